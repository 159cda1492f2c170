#include "sagebuild/plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "own_targets.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// The year of the standard that torch's headers are written in; 0: any. From 2.13 on they warn
// below C++20, and from 2.14 on they refuse.
int year_of_headers(const Version& torch) {
  if (torch >= Version{2, 13}) return 20;
  return torch >= Version{2, 1} ? 17 : 0;
}

// Of "c++17" or "gnu++1z"; without a name that which compilers have taken since GCC 11 and nvcc 12.
int year_of(std::string_view standard) {
  static const std::map<std::string_view, int> older = {{"98", 3},  {"03", 3},  {"0x", 11},
                                                        {"11", 11}, {"1y", 14}, {"14", 14},
                                                        {"1z", 17}, {"17", 17}, {"", 17}};
  const auto found = older.find(standard.substr(standard.rfind('+') + 1));
  return found == older.end() ? 20 : found->second;
}

// "gnu++20" of "gnu++17", where 20 is needed; empty where it is new enough.
std::string raised(std::string_view standard, int needed) {
  if (year_of(standard) >= needed) return "";
  if (standard.empty()) standard = "c++";
  return fmt::format("{}{}", standard.substr(0, standard.rfind('+') + 1), needed);
}

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

using TargetsByPair = std::map<std::pair<Arch, Arch>, Target>;

void add_target(Target target, TargetsByPair& by_pair) {
  const auto [entry, is_new] = by_pair.try_emplace({target.virtual_arch, target.real}, target);
  entry->second.sass |= target.sass;
  entry->second.ptx |= target.ptx;
}

std::vector<Target> sorted_targets(const TargetsByPair& by_pair) {
  std::vector<Target> targets;
  for (const auto& [pair, target] : by_pair) targets.push_back(target);
  std::ranges::sort(targets, {}, [](const Target& target) {
    return std::pair(target.real, target.virtual_arch);
  });
  return targets;
}

// What one module is compiled for; fills `served` with the requests that it serves.
std::vector<Target> targets_of(const RecipeModule* module, const ArchList& archs,
                               std::set<Arch>& served) {
  TargetsByPair by_pair;
  for (const ArchRequest& request : archs) {
    Target target{request.arch, request.arch, request.sass, request.ptx, kAskedFor};
    if (module != nullptr) {
      const RecipeTarget* row = find_target(*module, request.arch);
      if (row == nullptr) continue;
      target = {row->virtual_arch, row->real, request.sass, request.ptx && row->ptx_allowed,
                row->reason};
    }
    if (!target.sass && !target.ptx) continue;
    served.insert(request.arch);
    add_target(std::move(target), by_pair);
  }
  return sorted_targets(by_pair);
}

// What one source without a recipe is compiled for: what was asked for, or of that what its own
// flags allow.
struct SourceTargets {
  std::vector<Target> targets;
  ArchList unserved;
  std::vector<Target> named;  // by setup.py, sorted; empty where it leaves the choice to others
};

SourceTargets targets_of(const RecordedSource& source, const ArchList& archs,
                         std::set<Arch>& served) {
  const std::vector<Target> named = named_targets(source.argv);
  if (!names_features(named)) return {targets_of(nullptr, archs, served), {}, {}};
  const OwnTargets own = own_targets(named, archs);
  TargetsByPair used;
  TargetsByPair all;
  for (const Target& target : own.targets) add_target(target, used);
  for (const Target& target : named) add_target(target, all);
  for (const ArchRequest& request : archs) {
    if (std::ranges::find(own.unserved, request) == own.unserved.end()) served.insert(request.arch);
  }
  return {sorted_targets(used), own.unserved, sorted_targets(all)};
}

// By its name, or as one of the newer GPUs that the PTX of an older one is meant for.
bool is_asked_for(const ArchList& archs, Arch gpu) {
  return std::ranges::any_of(archs, [&](const ArchRequest& request) {
    const Arch plain{request.arch.major, request.arch.minor};
    return plain == gpu || (request.ptx && plain < gpu);
  });
}

// A GPU would load older code of its own major where it gets none, and the recipe says that it
// needs its own.
void warn_of_traps(const RecipeModule& module, const std::vector<Target>& targets,
                   BuildPlan& plan) {
  for (const RecipeTarget& row : module.targets) {
    if (row.real != row.request || !is_asked_for(plan.archs, row.request)) continue;
    const auto has = [&](auto condition) {
      return std::ranges::any_of(targets,
                                 [&](const Target& t) { return t.sass && condition(t.real); });
    };
    if (has([&](Arch real) { return real == row.real; })) continue;
    if (!has([&](Arch real) {
          return real.feature == ArchFeature::plain && real.major == row.real.major &&
                 real.minor < row.real.minor;
        }))
      continue;
    plan.warnings.push_back(
        fmt::format("a GPU of {} would load {}'s code for an older one and may fail: add {} ({})",
                    dotted(row.request), module.name, dotted(row.request), module.reason));
  }
}

PlannedSource planned(const RecordedSource& recorded, std::vector<Target> targets,
                      const RecipeModule* module) {
  PlannedSource source{recorded, {}, {}};
  if (recorded.language == Language::cuda) source.targets = std::move(targets);
  if (module == nullptr) return source;
  source.costs = module->costs;
  source.parts = module->parts;
  return source;
}

PlannedModule empty_plan_of(const RecordedModule& module) {
  return {module.name, module.output, {}, module.link, module.link_cwd};
}

bool has_cuda(const RecordedModule& module) {
  return std::ranges::any_of(module.sources, [](const RecordedSource& source) {
    return source.language == Language::cuda;
  });
}

std::string no_target_reason(const RecipeModule& module, const ArchList& archs) {
  return fmt::format("no target for {}{}", print(archs),
                     module.reason.empty() ? "" : ": " + module.reason);
}

void plan_by_recipe(const RecordedModule& recorded, const RecipeModule& row, std::set<Arch>& served,
                    BuildPlan& plan) {
  const auto targets = targets_of(&row, plan.archs, served);
  if (targets.empty() && has_cuda(recorded)) {
    plan.dropped.push_back({recorded.name, recorded.output, no_target_reason(row, plan.archs)});
    return;
  }
  warn_of_traps(row, targets, plan);
  PlannedModule module = empty_plan_of(recorded);
  for (const RecordedSource& source : recorded.sources)
    module.sources.push_back(planned(source, targets, &row));
  plan.modules.push_back(std::move(module));
}

void plan_by_flags(const RecordedModule& recorded, std::set<Arch>& served, BuildPlan& plan) {
  PlannedModule module = empty_plan_of(recorded);
  std::string left_out;  // of the first source that lacks something
  bool has_targets = !has_cuda(recorded);
  for (const RecordedSource& source : recorded.sources) {
    if (source.language != Language::cuda) {
      module.sources.push_back(planned(source, {}, nullptr));
      continue;
    }
    SourceTargets own = targets_of(source, plan.archs, served);
    has_targets |= !own.targets.empty();
    if (left_out.empty() && !own.unserved.empty()) {
      left_out =
          fmt::format("no code for {}: setup.py has '{}' compiled for {} alone",
                      print(own.unserved), source.source.filename().string(), describe(own.named));
    }
    // The link needs its object even where others of the module serve what was asked for.
    module.sources.push_back(
        planned(source, own.targets.empty() ? own.named : own.targets, nullptr));
  }
  if (!left_out.empty()) {
    plan.warnings.push_back(fmt::format("module '{}' {} {}", recorded.name,
                                        has_targets ? "has" : "is left out, for it has", left_out));
  }
  if (has_targets)
    plan.modules.push_back(std::move(module));
  else
    plan.dropped.push_back({recorded.name, recorded.output, left_out});
}

// An inherited list loses what cannot be served; one that the user wrote for this build is refused.
void check_served(const std::set<Arch>& served, bool inherited, BuildPlan& plan) {
  ArchList kept;
  ArchList unserved;
  for (const ArchRequest& request : plan.archs)
    (served.contains(request.arch) ? kept : unserved).push_back(request);
  if (unserved.empty()) return;
  const std::string names = print(unserved);
  if (!inherited || kept.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("no module of this package can be built for {}", names), plan.warnings,
                kept.empty() ? "give --arch what the package has code for"
                             : fmt::format("leave {} out: --arch \"{}\"", names, print(kept)));
  }
  plan.warnings.push_back(
      fmt::format("no module of this package can be built for {}: left out of the inherited list",
                  print(unserved)));
  plan.archs = std::move(kept);
}

}  // namespace

bool serves(const RecipeModule& module, Arch arch) { return find_target(module, arch) != nullptr; }

bool serves(const Recipe& recipe, Arch arch) {
  const auto has_code = [&](const RecipeModule& module) { return serves(module, arch); };
  return recipe.modules.empty() || std::ranges::any_of(recipe.modules, has_code);
}

BuildPlan make_plan(const RecordedBuild& recorded, const std::optional<Recipe>& recipe,
                    const ArchList& archs, bool inherited) {
  BuildPlan plan;
  plan.archs = archs;
  if (recipe) plan.proved = recipe->proved;
  std::set<Arch> served;
  for (const RecordedModule& module : recorded.modules) {
    const RecipeModule* row = recipe ? find_module(*recipe, module.name) : nullptr;
    if (row != nullptr) {
      plan_by_recipe(module, *row, served, plan);
      continue;
    }
    if (recipe) {
      plan.warnings.push_back(
          fmt::format("recipe '{}' does not know the module '{}': it is built for all of {} that "
                      "setup.py's own flags allow",
                      recipe->name, module.name, print(archs)));
    }
    plan_by_flags(module, served, plan);
  }
  // Without device code (--allow-cpu) no list is served, and none need be.
  if (std::ranges::any_of(recorded.modules, has_cuda)) check_served(served, inherited, plan);
  return plan;
}

void raise_standard(BuildPlan& plan, const Version& torch) {
  const int needed = year_of_headers(torch);
  for (PlannedModule& module : plan.modules) {
    for (PlannedSource& source : module.sources) {
      if (source.recorded.language != Language::c)
        source.cxx_standard = raised(standard_of(source), needed);
    }
  }
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
