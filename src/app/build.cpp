#include "sagebuild/app/build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/packing.hpp"
#include "app/prepare.hpp"
#include "sagebuild/app/compile.hpp"
#include "sagebuild/app/inspect.hpp"
#include "sagebuild/app/recorded_checks.hpp"
#include "sagebuild/app/replacement.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/exec/timeline.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {

namespace {

namespace fs = std::filesystem;

WheelNeeds needs_of(const PreparedBuild& state, const LinkedModules& modules) {
  return {
      std::ranges::any_of(state.recorded.modules, has_device_code),
      std::ranges::any_of(modules, [](const auto& module) { return wants_torch(module.second); })};
}

// Its platform is still to be set.
PackSettings pack_settings(const PreparedBuild& state, const LinkedModules& modules,
                           const WheelNeeds& needs, const fs::path& output) {
  PackSettings pack;
  pack.recorded = state.recorded.wheel;
  pack.modules = modules;
  pack.output = output;
  pack.local_label = local_version_label(state.python, state.tree.checkout, needs);
  if (state.python.torch && needs.torch)
    pack.torch_pin = fmt::format("=={}.*", state.python.torch->number.major_minor());
  pack.provenance = {program_version(), state.recipe ? state.recipe->name : "",
                     state.tree,        state.toolchain,
                     state.python,      state.plan,
                     state.parameters};
  return pack;
}

// Of each source as it was last: a module whose objects do not fit each other is made again.
std::vector<CompiledSource> compiled_sources(const PreparedBuild& state,
                                             const std::vector<CompileOutcome>& outcomes) {
  std::map<std::string, const CompileOutcome*> by_label;
  for (const CompileOutcome& outcome : outcomes) by_label[outcome.label] = &outcome;
  std::vector<CompiledSource> sources;
  for (const PlannedModule& module : state.plan.modules) {
    for (const PlannedSource& source : module.sources) {
      const fs::path& path = source.recorded.source;
      const auto found = by_label.find(
          fmt::format("{} {}", module.name, path.lexically_relative(state.project()).string()));
      if (found == by_label.end()) continue;
      const CompileOutcome& outcome = *found->second;
      sources.push_back(
          {module.name, path.filename().string(), describe(outcome.mode), outcome.parts});
    }
  }
  return sources;
}

// Whether a module wants torch is known when it is linked, so these are the two names that the
// wheel can have.
std::vector<PackSettings> expected_packs(const PreparedBuild& state, const fs::path& output) {
  const bool cuda = needs_of(state, {}).cuda;
  return {pack_settings(state, {}, {cuda, true}, output),
          pack_settings(state, {}, {cuda, false}, output)};
}

// For who reads the plan when the temporary folder is gone: sources relative to the project, the
// rest below the name that objects carry, too.
BuildPlan told_plan(BuildPlan plan, const PreparedBuild& state) {
  const PathRoots roots = {{"tree", state.project()}, {"build", state.work.path()}};
  const auto told = [&](const std::string& text) {
    return replaced(with_mapped_paths(text, roots), "/sagebuild/tree/", "");
  };
  for (PlannedModule& module : plan.modules) {
    for (PlannedSource& source : module.sources)
      source.recorded.source = told(source.recorded.source.string());
    for (std::string& word : module.link) word = told(word);
  }
  return plan;
}

CompileContext compile_context(const PreparedBuild& state, const BuildSettings& settings) {
  return {state.recipe ? state.recipe->package : "", state.project(), state.work.path(),
          settings.keep_temp, settings.parts};
}

ModuleOutcome compiled_modules(const PreparedBuild& state, const CompileContext& context,
                               HeaderChoice headers, const ExecSettings& execution,
                               Reporter& report) {
  try {
    return compile_modules(state.plan, state.toolkit, state.python, context, headers, execution,
                           report);
  } catch (const Error&) {
    execution.cache->flush();  // what was done before the failure is worth keeping, for others too
    throw;
  }
}

}  // namespace

PlanOutcome plan_build(BuildSettings settings, Reporter& report) {
  require_own_cache(settings.cache.shared);
  const auto cache = open_build_cache(std::move(settings.cache), report);
  const auto history = open_history(action_cache_folder());
  const auto state = prepare(settings, false, *cache, report);
  const ExecSettings execution{settings.limits, state->logs, cache.get(), history.get()};
  const auto packs = expected_packs(*state, settings.output);
  for (const PackSettings& pack : packs) {
    for (const fs::path& wheel : wheels_called(settings.output, finished_name(pack))) {
      require_no_folder(wheel);
      const auto other = other_content(wheel, pack.provenance);
      if (!other || settings.force) continue;
      report.warning(fmt::format(
          "another wheel has the name '{}': {}; a build needs --force, or another --output",
          wheel.string(), *other));
    }
  }
  BuildForecast forecast =
      predict_modules(state->plan, state->toolkit, state->python, compile_context(*state, settings),
                      settings.headers, execution, report);
  forecast.wheel = expected_name(packs, settings.plain_platform);
  cache->flush();
  return {told_plan(std::move(state->plan), *state), std::move(forecast)};
}

BuildOutcome build(BuildSettings settings, Reporter& report) {
  require_own_cache(settings.cache.shared);
  require_writable_folder(settings.output, "output folder");
  const auto cache = open_build_cache(std::move(settings.cache), report);
  const auto history = open_history(action_cache_folder());
  const auto prepared = prepare(settings, true, *cache, report);
  const PreparedBuild& state = *prepared;
  for (const PackSettings& pack : expected_packs(state, settings.output)) {
    // Before hours of compiling
    (void)replaceable_wheels(settings.output, finished_name(pack), pack.provenance, settings.force);
  }

  report.stage(fmt::format("compiling {} on {}", counted(state.plan.modules.size(), "module"),
                           counted(settings.limits.jobs, "core")));
  const CompileContext context = compile_context(state, settings);
  const ExecSettings execution{settings.limits, state.logs, cache.get(), history.get(),
                               !log_path().empty()};
  const ModuleOutcome compiled =
      compiled_modules(state, context, settings.headers, execution, report);
  if (!settings.timeline.empty())
    write_file(settings.timeline, chrome_trace(compiled.execution.steps));

  report.stage("packing the wheel");
  PackSettings pack =
      pack_settings(state, compiled.modules, needs_of(state, compiled.modules), settings.output);
  set_platform(pack, settings.plain_platform, report);
  pack.provenance.tools = compiled.tools;
  pack.provenance.sources = compiled_sources(state, compiled.sources);
  const Wheel wheel{wheel_path(pack)};
  const std::vector<fs::path> older =
      replaceable_wheels(settings.output, finished_name(pack), pack.provenance, settings.force);
  const fs::path made = packed(pack, state.work.path(), settings.limits.jobs, *cache);
  cache->flush();
  report.stage("verifying the wheel");
  const std::string hint =
      "`sagebuild explain CODE` says what each means; --unverified takes the wheel all the same";
  require_verified(
      made, {Policy::local, settings.limits.jobs, settings.unverified, hint, {}, state.recipe},
      report);
  copy_whole(made, wheel.path);
  remove_others(older, wheel.path, report);
  return {wheel,
          told_plan(state.plan, state),
          compiled.sources,
          compiled.execution,
          cache->counters(),
          state.python,
          state.python_in_use != nullptr};
}

}  // namespace sagebuild
