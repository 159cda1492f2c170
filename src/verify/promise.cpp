#include "sagebuild/verify/promise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/known_archs.hpp"
#include "sagebuild/model/provenance.hpp"
#include "sagebuild/model/requirement.hpp"
#include "verify/specifiers.hpp"

namespace sagebuild {
namespace {

std::string stem_of_name(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string normalized(std::string_view name) {
  std::string text = lower(name);
  std::ranges::replace(text, '-', '_');
  std::ranges::replace(text, '.', '_');
  return text;
}

// The one that the wheel was made by, else that of its name, else the first of its package.
std::optional<Recipe> recipe_for(const WheelFacts& wheel, const std::vector<Recipe>& recipes,
                                 const std::string& made_by) {
  const auto named = std::ranges::find(recipes, made_by, &Recipe::name);
  if (named != recipes.end()) return *named;
  if (!wheel.name) return std::nullopt;
  const std::string name = normalized(wheel.name->distribution);
  // A fork's recipe has a name of its own.
  auto fits = std::ranges::find_if(
      recipes, [&](const Recipe& recipe) { return normalized(recipe.name) == name; });
  if (fits == recipes.end())
    fits = std::ranges::find_if(
        recipes, [&](const Recipe& recipe) { return normalized(recipe.package) == name; });
  if (fits == recipes.end()) return std::nullopt;
  return *fits;
}

// Of a line of METADATA. Nothing: it asks for no package.
std::optional<Requirement> requirement_in(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || lower(line.substr(0, colon)) != "requires-dist")
    return std::nullopt;
  return parse_requirement(line.substr(colon + 1));
}

// What pip asks of torch: all lines that hold on Linux. Where none does for certain, those that
// may.
void take_requirements(std::string_view metadata, Promise& promise) {
  std::vector<std::string> sure, possible;
  for (const std::string_view line : lines_of(metadata)) {
    if (line.empty()) break;
    const auto requirement = requirement_in(line);
    if (!requirement || requirement->marker.find("extra") != std::string::npos) continue;
    const auto holds = requirement->marker.empty() ? std::optional(true)
                                                   : verifying::holds_on_linux(requirement->marker);
    if (holds == false) continue;
    if (requirement->name != "torch")
      promise.wants_packages = true;
    else
      (holds ? sure : possible).push_back(requirement->range);
  }
  std::ranges::sort(possible);
  possible.erase(std::unique(possible.begin(), possible.end()), possible.end());
  if (sure.empty()) {
    promise.is_torch_decided = possible.size() < 2;
    if (!possible.empty()) promise.torch_asked = join(possible, " or ");
    return;
  }
  std::erase(sure, "");
  promise.torch_asked = join(sure, ",");
}

MadeModule made_module(const StatedProvenance::Module& stated) {
  MadeModule module;
  module.stem = stem_of_name(stated.name);
  for (const StatedProvenance::Source& source : stated.sources) {
    if (source.code.empty()) continue;  // host code
    auto& targets = module.sources.emplace_back();
    for (const std::string& name : source.code)
      targets.push_back(
          {parse_arch(name.substr(name.find('_') + 1)), name.starts_with("compute_")});
  }
  return module;
}

// "2.11.0+cu130", and not "2.12.0.dev20260101+cu130" or "2.9.0a0+git1234".
bool is_release(std::string_view version) {
  version = version.substr(0, version.find('+'));
  return version.find_first_not_of("0123456789.") == std::string_view::npos;
}

// A real one has some ten kilobytes. Anybody may have written it, and each name of code in it costs
// as a list of architectures.
constexpr std::size_t kLargestProvenance = std::size_t{1} << 20;

// Written by this or another version of sagebuild, or by anybody.
void take_provenance(const StatedProvenance& stated, Promise& promise) {
  promise.cuda = parse_version(stated.cuda);
  if (const auto torch = parse_version(stated.torch))
    promise.torches.push_back({kProvenance, *torch});
  promise.is_torch_release = is_release(stated.torch);
  promise.commit = stated.commit;
  promise.made_by = stated.recipe;
  promise.rules = stated.rules;
  try {
    if (!stated.archs.empty()) promise.archs = parse_arch_list(stated.archs);
    if (!promise.archs.empty()) promise.origin = kProvenance;
    for (const StatedProvenance::Module& module : stated.modules)
      promise.made.push_back(made_module(module));
  } catch (const Error&) {
    promise.made.clear();
  }
}

constexpr std::string_view kDigits = "0123456789";

// The architectures that a text names: "sm_90a", "sm89", "compute capability 8.6".
ArchList archs_named_in(std::string_view text) {
  std::set<std::string> items;
  const std::string small = lower(text);
  const std::vector<Arch> known = known_archs();
  const auto add = [&](std::string_view number) {
    for (const Arch& arch : known)
      if (digits(arch) == number || dotted(arch) == number) items.insert(dotted(arch));
  };
  const std::string_view rest = small;
  for (auto at = rest.find("sm"); at != std::string_view::npos; at = rest.find("sm", at + 2)) {
    if (at > 0 && std::isalpha(static_cast<unsigned char>(rest[at - 1])) != 0) continue;
    std::string_view number = rest.substr(at + 2, 5);
    take_prefix(number, "_");
    add(number.substr(0, number.find_first_not_of(kDigits)));
  }
  constexpr std::string_view kCapability = "compute capability ";
  for (auto at = rest.find(kCapability); at != std::string_view::npos;
       at = rest.find(kCapability, at + 1)) {
    const std::string_view number = rest.substr(at + kCapability.size(), 4);
    std::string_view text_of_number = number.substr(0, number.find_first_not_of("0123456789."));
    if (text_of_number.ends_with('.')) text_of_number.remove_suffix(1);
    add(text_of_number);
  }
  if (items.empty()) return {};
  return parse_arch_list(join({items.begin(), items.end()}, " "));
}

const RecipeTarget* recipe_target(const RecipeModule& module, Arch gpu) {
  const auto found = std::ranges::find_if(module.targets, [&](const RecipeTarget& target) {
    return same_capability(target.request, gpu);
  });
  return found == module.targets.end() ? nullptr : &*found;
}

bool knows_gpu(const Recipe& recipe, Arch gpu) {
  return std::ranges::any_of(recipe.modules, [&](const RecipeModule& module) {
    return recipe_target(module, gpu) != nullptr;
  });
}

bool serves(const std::vector<MadeModule::Made>& targets, Arch gpu) {
  return std::ranges::any_of(targets, [&](const MadeModule::Made& made) {
    GpuImage image;
    image.kind = made.ptx ? ImageKind::ptx : ImageKind::sass;
    image.arch = made.arch;
    return runs_on(image, gpu);
  });
}

}  // namespace

Promise promise_of(const WheelFacts& wheel, const std::vector<Recipe>& recipes,
                   const std::optional<std::string>& asked) {
  Promise promise;
  if (wheel.provenance && wheel.provenance->size() <= kLargestProvenance)
    if (const auto stated = read_provenance(*wheel.provenance)) take_provenance(*stated, promise);
  promise.recipe = recipe_for(wheel, recipes, promise.made_by);
  const std::string label = wheel.name ? wheel.name->local_label() : "";
  if (!promise.cuda) promise.cuda = cuda_of_label(label);
  if (const auto torch = torch_of_label(label)) promise.torches.push_back({kLabel, *torch});
  if (!promise.torches.empty()) promise.torch = promise.torches.front().torch;
  take_requirements(wheel.metadata, promise);
  if (promise.commit.empty()) {
    // ".gd1a57a5" of the label
    for (const std::string_view part : split(label, "."))
      if (part.size() >= 8 && part.front() == 'g' &&
          part.find_first_not_of("0123456789abcdef", 1) == std::string_view::npos)
        promise.commit = part.substr(1);
  }
  if (asked) {
    promise.archs = parse_arch_list(*asked);
    promise.origin = kAsked;
  }
  if (promise.archs.empty() && !wheel.file.empty()) {
    promise.archs = archs_named_in(wheel.file);
    if (!promise.archs.empty()) promise.origin = kName;
  }
  if (promise.archs.empty()) {
    promise.archs = archs_named_in(wheel.metadata);
    if (!promise.archs.empty()) promise.origin = kDescription;
  }
  return promise;
}

std::string stem_of(const RecipeModule& module) { return stem_of_name(module.name); }

const RecipeModule* recipe_module(const Promise& promise, const std::string& stem) {
  if (!promise.recipe) return nullptr;
  for (const RecipeModule& module : promise.recipe->modules)
    if (stem_of(module) == stem) return &module;
  return nullptr;
}

bool is_recipe_proved(const Promise& promise) {
  return promise.recipe && !promise.recipe->proved.versions.empty();
}

bool must_serve(const Promise& promise, const std::string& stem, Arch gpu) {
  if (const RecipeModule* module = recipe_module(promise, stem))
    return recipe_target(*module, gpu) != nullptr || !knows_gpu(*promise.recipe, gpu);
  const auto made = std::ranges::find(promise.made, stem, &MadeModule::stem);
  const bool was_asked = std::ranges::any_of(promise.archs, [&](const ArchRequest& request) {
    return same_capability(request.arch, gpu);
  });
  if (made == promise.made.end() || promise.origin != kProvenance || !was_asked) return true;
  return std::ranges::all_of(made->sources,
                             [&](const auto& targets) { return serves(targets, gpu); });
}

bool must_hold_ptx(const Promise& promise, const std::string& stem, const ArchRequest& request) {
  if (!request.ptx) return false;
  if (const RecipeModule* module = recipe_module(promise, stem)) {
    const RecipeTarget* target = recipe_target(*module, request.arch);
    return target != nullptr && target->ptx_allowed;
  }
  const auto made = std::ranges::find(promise.made, stem, &MadeModule::stem);
  if (made == promise.made.end()) return true;
  return std::ranges::all_of(made->sources, [](const auto& targets) {
    return std::ranges::any_of(targets, &MadeModule::Made::ptx);
  });
}

std::vector<MissingModule> missing_modules(const WheelFacts& wheel, const Promise& promise,
                                           Arch gpu) {
  std::vector<MissingModule> missing;
  if (!promise.recipe || !wheel.is_wheel) return missing;
  const auto version = wheel.name ? parse_version(wheel.name->version) : std::nullopt;
  for (const RecipeModule& module : promise.recipe->modules) {
    const bool is_there = std::ranges::any_of(
        wheel.modules, [&](const ModuleFacts& facts) { return stem_of(facts) == stem_of(module); });
    const bool of_version = !version || ((!module.since || *module.since <= *version) &&
                                         (!module.until || *version < *module.until));
    if (is_there || !of_version || recipe_target(module, gpu) == nullptr) continue;
    const bool is_needed =
        module.needed_by.empty() || std::ranges::any_of(module.needed_by, [&](const auto& request) {
          return same_capability(request.arch, gpu);
        });
    missing.push_back({module.name, is_needed});
  }
  return missing;
}

std::vector<GpuKernel> wrong_traps(const Promise& promise, const std::string& stem,
                                   const GpuService& service, Arch gpu) {
  const RecipeModule* module = recipe_module(promise, stem);
  std::vector<GpuKernel> wrong = service.trapping;
  if (module == nullptr) return wrong;
  for (const MayTrap& may : module->may_trap) {
    const bool is_gpu = std::ranges::any_of(
        may.archs, [&](const ArchRequest& request) { return same_capability(request.arch, gpu); });
    if (!is_gpu) continue;
    std::erase_if(wrong, [&](const GpuKernel& kernel) {
      return std::ranges::any_of(may.kernels, [&](const std::string& text) {
        return kernel.name.find(text) != std::string::npos;
      });
    });
  }
  return wrong;
}

}  // namespace sagebuild
