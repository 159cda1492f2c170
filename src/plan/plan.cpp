#include "sagebuild/plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// torch 2.15 refuses C++17 and 2.6 takes 20, so one value serves all and keeps device code equal (design D7).
constexpr std::string_view kStandard = "c++20";

std::string last_part(std::string_view module) {
  const auto dot = module.rfind('.');
  return std::string(dot == std::string_view::npos ? module : module.substr(dot + 1));
}

const RecipeModule* find_module(const Recipe& recipe, std::string_view name) {
  for (const RecipeModule& module : recipe.modules) {
    if (module.name == name || last_part(module.name) == last_part(name)) return &module;
  }
  return nullptr;
}

// The row for a request; "9.0a" is served by the row of "9.0" where there is none of its own.
const RecipeTarget* find_target(const RecipeModule& module, Arch arch) {
  for (const Arch wanted : {arch, Arch{arch.major, arch.minor}}) {
    const auto found = std::ranges::find(module.targets, wanted, &RecipeTarget::request);
    if (found != module.targets.end()) return &*found;
  }
  return nullptr;
}

std::vector<Target> sorted_targets(const std::map<std::pair<Arch, Arch>, Target>& by_pair) {
  std::vector<Target> targets;
  for (const auto& [pair, target] : by_pair) targets.push_back(target);
  std::ranges::sort(targets, {}, [](const Target& target) { return std::pair(target.real, target.virtual_arch); });
  return targets;
}

// What one module is compiled for; fills `served` with the requests that it serves.
std::vector<Target> targets_of(const RecipeModule* module, const ArchList& archs, std::set<Arch>& served) {
  std::map<std::pair<Arch, Arch>, Target> by_pair;
  for (const ArchRequest& request : archs) {
    Target target{request.arch, request.arch, request.sass, request.ptx, kAskedFor};
    if (module != nullptr) {
      const RecipeTarget* row = find_target(*module, request.arch);
      if (row == nullptr) continue;
      target = {row->virtual_arch, row->real, request.sass, request.ptx && row->ptx_allowed, row->reason};
    }
    if (!target.sass && !target.ptx) continue;
    served.insert(request.arch);
    auto [entry, is_new] = by_pair.try_emplace({target.virtual_arch, target.real}, target);
    entry->second.sass |= target.sass;
    entry->second.ptx |= target.ptx;
  }
  return sorted_targets(by_pair);
}

// By its name, or as one of the newer GPUs that the PTX of an older one is meant for.
bool is_asked_for(const ArchList& archs, Arch gpu) {
  return std::ranges::any_of(archs, [&](const ArchRequest& request) {
    const Arch plain{request.arch.major, request.arch.minor};
    return plain == gpu || (request.ptx && plain < gpu);
  });
}

// A GPU would load older code of its own major where it gets none, and the recipe says that it needs its own.
void warn_of_traps(const RecipeModule& module, const std::vector<Target>& targets, BuildPlan& plan) {
  for (const RecipeTarget& row : module.targets) {
    if (row.real != row.request || !is_asked_for(plan.archs, row.request)) continue;
    const auto has = [&](auto condition) {
      return std::ranges::any_of(targets, [&](const Target& t) { return t.sass && condition(t.real); });
    };
    if (has([&](Arch real) { return real == row.real; })) continue;
    if (!has([&](Arch real) {
          return real.feature == ArchFeature::plain && real.major == row.real.major && real.minor < row.real.minor;
        }))
      continue;
    plan.warnings.push_back(fmt::format("a GPU of {} would load {}'s code for an older one and may fail: add {} ({})",
                                        dotted(row.request), module.name, dotted(row.request), module.reason));
  }
}

PlannedSource planned(const RecordedSource& recorded, const std::vector<Target>& targets, const RecipeModule* module) {
  PlannedSource source{recorded, std::string(kStandard), {}};
  if (recorded.language == Language::cuda) source.targets = targets;
  if (module != nullptr) source.costs = module->costs;
  return source;
}

std::string no_target_reason(const RecipeModule* module, const ArchList& archs) {
  return fmt::format("no target for {}{}", print(archs),
                     module != nullptr && !module->reason.empty() ? ": " + module->reason : "");
}

}  // namespace

BuildPlan make_plan(const RecordedBuild& recorded, const std::optional<Recipe>& recipe, const ArchList& archs) {
  BuildPlan plan;
  plan.archs = archs;
  plan.stand_ins_proved = recipe && recipe->stand_ins_proved;
  std::set<Arch> served;
  for (const RecordedModule& recorded_module : recorded.modules) {
    const RecipeModule* row = recipe ? find_module(*recipe, recorded_module.name) : nullptr;
    if (recipe && row == nullptr) {
      plan.warnings.push_back(fmt::format("recipe '{}' does not know the module '{}': it is built for all of {}",
                                          recipe->name, recorded_module.name, print(archs)));
    }
    const auto targets = targets_of(row, archs, served);
    const bool has_cuda = std::ranges::any_of(
        recorded_module.sources, [](const RecordedSource& source) { return source.language == Language::cuda; });
    if (targets.empty() && has_cuda) {
      plan.dropped.push_back({recorded_module.name, recorded_module.output, no_target_reason(row, archs)});
      continue;
    }
    if (row != nullptr) warn_of_traps(*row, targets, plan);
    PlannedModule module{
        recorded_module.name, recorded_module.output, {}, recorded_module.link, recorded_module.link_cwd};
    for (const RecordedSource& source : recorded_module.sources)
      module.sources.push_back(planned(source, targets, row));
    plan.modules.push_back(std::move(module));
  }
  for (const ArchRequest& request : archs) {
    if (served.contains(request.arch) || recorded.modules.empty()) continue;
    throw Error(
        ErrorKind::usage, fmt::format("no module of this package can be built for {}", dotted(request.arch)), {},
        fmt::format("leave {} out of --arch; `sagebuild plan` shows what each module can serve", dotted(request.arch)));
  }
  return plan;
}

std::string describe(const std::vector<Target>& targets) {
  std::vector<std::string> words;
  for (const Target& target : targets) {
    const bool same = target.virtual_arch == target.real;
    if (target.sass)
      words.push_back(sm_name(target.real) +
                      (same ? "" : fmt::format(" (from {})", compute_name(target.virtual_arch))));
    if (target.ptx) words.push_back(compute_name(target.virtual_arch));
  }
  return join(words, ", ");
}

}  // namespace sagebuild
