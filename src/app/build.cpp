#include "sagebuild/app/build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/build_parameters.hpp"
#include "app/packing.hpp"
#include "sagebuild/app/arch_choice.hpp"
#include "sagebuild/app/check.hpp"
#include "sagebuild/app/compile.hpp"
#include "sagebuild/app/inspect.hpp"
#include "sagebuild/app/known_bad.hpp"
#include "sagebuild/app/recorded_checks.hpp"
#include "sagebuild/app/replacement.hpp"
#include "sagebuild/app/run_log.hpp"
#include "sagebuild/app/source_patch.hpp"
#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/exec/timeline.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/probe/record_setup.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/source/git_view.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {

namespace {

struct PreparedBuild {
  TempDir work{"sagebuild"};
  std::filesystem::path logs;
  PythonEnv python;
  std::unique_ptr<SharedLock> python_in_use;
  Toolchain toolchain;
  std::optional<Recipe> recipe;
  PatchedTree tree;
  RecordedBuild recorded;
  BuildPlan plan;

  std::filesystem::path subfolder;  // of setup.py; empty: the top
  BuildParameters parameters;

  // The folder of setup.py.
  std::filesystem::path project() const {
    return subfolder.empty() ? tree.checkout.root : tree.checkout.root / subfolder;
  }
};

namespace fs = std::filesystem;

FetchOptions fetch_options(const BuildSettings& settings, const Recipes& recipes,
                           const fs::path& destination) {
  FetchOptions options;
  options.cache = cache_folder();
  options.destination = destination;
  options.allow_foreign_owner = settings.allow_foreign_owner;
  options.with_git = true;
  // The recipe is known for sure only when the files are there; what any of them may miss is
  // missing for no build.
  for (const Recipe& recipe : recipes.all())
    options.may_miss.insert(options.may_miss.end(), recipe.may_miss.begin(), recipe.may_miss.end());
  return options;
}

std::optional<Recipe> recipe_of(const BuildSettings& settings, const Recipes& recipes,
                                const Checkout& checkout, Reporter& report) {
  const std::string& subfolder = settings.source.subfolder;
  if (!subfolder.empty() && !is_file(checkout.root / subfolder / "setup.py")) {
    throw Error(ErrorKind::usage, fmt::format("the source has no '{}/setup.py'", subfolder), {},
                "--subfolder is the folder of setup.py, relative to the source's top");
  }
  const bool is_named = settings.recipe_file || !settings.recipe.empty();
  std::optional<Recipe> recipe;
  if (settings.recipe_file)
    recipe = recipes.all().front();
  else if (is_named)
    recipe = recipes.named(settings.recipe);
  else
    recipe = recipes.match(subfolder.empty() ? checkout.root : checkout.root / subfolder);
  // What the user says of the place holds; a recipe's own is that inside its project's repository.
  if (recipe && !subfolder.empty()) recipe->subfolder = subfolder;
  if (is_named) return recipe;
  if (recipe)
    report.note(fmt::format("recipe '{}'", recipe->name));
  else
    report.warning(
        "no recipe fits this source: it is built unpatched, every module for all that its own "
        "flags allow");
  return recipe;
}

std::string recording_archs(const std::optional<Recipe>& recipe, const ArchList& archs) {
  if (recipe && !recipe->record_archs.empty()) return recipe->record_archs;
  return archs_for_torch(archs);
}

// Relative to the tree.
std::vector<std::string> patched_files(const PreparedBuild& build) {
  std::vector<std::string> files;
  for (const AppliedRule& rule : build.tree.rules)
    files.push_back(
        (build.project() / rule.file).lexically_relative(build.tree.checkout.root).string());
  return files;
}

std::string described(const Checkout& checkout) {
  std::string text = checkout.location;
  if (!checkout.commit.empty()) text += fmt::format(" at {}", checkout.commit.substr(0, 12));
  return checkout.dirty && !checkout.commit.empty() ? text + " with local changes" : text;
}

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

// setuptools splits compiler commands at blanks, and nvcc misquotes the others in what it runs.
void require_plain_path(const fs::path& work) {
  if (work.string().find_first_of(" \t,'\"$\\`") == std::string::npos) return;
  throw Error(
      ErrorKind::environment,
      fmt::format("cannot build in the temporary folder '{}'", work.string()),
      {"compiler drivers split or misquote paths with blanks, commas, quotes, '$' or backslashes"},
      "set TMPDIR to a folder without them");
}

// As the hook reads them.
std::string capabilities(const ArchList& archs) {
  std::vector<std::string> items;
  for (const ArchRequest& request : archs)
    items.push_back(dotted({request.arch.major, request.arch.minor}));
  return join(items, ";");
}

// `unfitting`: what is to be told of the patch rules if setup.py fails.
void record(PreparedBuild& build, const ArchList& archs, const std::vector<std::string>& unfitting,
            const Environment& variables, bool allow_cpu, ActionCache& cache, Reporter& report) {
  report.stage("recording what setup.py would build");
  const std::string all = recording_archs(build.recipe, archs);
  const std::string asked = archs_for_torch(archs);
  const auto recorded_for = [&](const std::string& list, const char* folder) {
    RecordSettings recording{build.project(), list, build.work.path() / folder, &cache};
    recording.log = build.logs / "setup.log";
    recording.variables = variables;
    recording.git = git_view_text(build.tree.checkout.root);
    return record_setup(recording, build.python, build.toolchain, report);
  };
  const auto recorded = [&] {
    try {
      return recorded_for(all, "record");
    } catch (const Error& error) {
      // A recipe's list is for its newest version; an older one can refuse what came later.
      if (all == asked || error.kind != ErrorKind::failed) throw;
      report.detail(fmt::format("{} for {}; once more for {}", error.message, all, asked));
    }
    return recorded_for(asked, "record-asked");
  };
  try {
    build.recorded = with_kept_log(build.work.path(), recorded);
  } catch (Error& error) {
    error.causes.insert(error.causes.end(), unfitting.begin(), unfitting.end());
    error.hint = joined_hints(hint_of_own_arch_list(build.project(), variables, archs), error.hint);
    error.hint = joined_hints(hint_of_asked_gpu(build.project(), variables), error.hint);
    throw;
  }
  report_variables(build.recorded, variables, report);
  require_device_code(build.recorded, build.project(), variables, allow_cpu);
  warn_of_version(build.recorded, build.tree.checkout, build.project(), report);
}

// Everything up to the plan. What builds has a log from its beginning.
std::unique_ptr<PreparedBuild> prepare(const BuildSettings& settings, bool builds,
                                       ActionCache& cache, Reporter& report) {
  sweep_temp_dirs();
  auto state = std::make_unique<PreparedBuild>();
  PreparedBuild& build = *state;
  build.work.sweep_if_killed();
  require_plain_path(build.work.path());
  if (settings.keep_temp) {
    build.work.keep();
    report.note(fmt::format("temporary files stay in '{}'", build.work.path().string()));
  }
  build.logs = builds ? make_run_log(build.work.path(), report) : build.work.path() / "logs";
  const auto [recipes, source, predicted] = check(settings, report);
  Environment variables = setup_variables(current_environment(), settings.setup_variables);
  build.python = find_python(settings.python, report, predicted);
  build.python_in_use = hold_environment(build.python);
  build.toolchain = find_toolchain(settings.toolchain, build.python, report);
  report.stage(fmt::format("python {} ('{}'), torch {}, CUDA {} ({})", build.python.version,
                           build.python.executable.string(),
                           build.python.torch ? build.python.torch->version : "none",
                           build.toolchain.nvcc_build, build.toolchain.origin));

  build.tree.checkout =
      fetch(source, fetch_options(settings, recipes, build.work.path() / "tree"), report);
  report.note(described(build.tree.checkout));
  if (settings.told_source) {
    build.tree.checkout.location = settings.told_source->url;
    build.tree.checkout.ref = settings.told_source->ref;
  }
  build.recipe = recipe_of(settings, recipes, build.tree.checkout, report);
  build.subfolder = build.recipe ? build.recipe->subfolder : source.subfolder;
  build.parameters = parameters_of(settings, build.subfolder);
  const ArchList archs = choose_archs(settings.archs, build.recipe, build.toolchain.cuda, report);
  require_cuda_for(archs, build.toolchain);
  if (settings.assume_gpus) variables[kGpusVariable] = capabilities(archs);
  PatchedSource patched;
  if (build.recipe && settings.patch) {
    patched = patch_source(build.tree.checkout, *build.recipe, settings.strict_patch, report);
    build.tree = patched.tree;
  }
  if (build.recipe) {
    for (const std::string& fault : known_faults(*build.recipe, build.tree, archs))
      report.warning(fault);
  }
  hide_from_git(build.tree.checkout.root, patched_files(build));

  record(build, archs, patched.failures, variables, settings.allow_cpu, cache, report);
  build.plan = make_plan(build.recorded, build.recipe, archs, settings.archs.inherited);
  set_compression(build.plan, settings.compression, build.toolchain.cuda,
                  shell_words(environment_value("NVCC_PREPEND_FLAGS").value_or("") + " " +
                              environment_value("NVCC_APPEND_FLAGS").value_or("")));
  for (const std::string& warning : build.plan.warnings) report.warning(warning);
  if (!patched.known)
    warn_of_missing_modules(*build.recipe, build.project(), build.recorded, archs, report);
  if (settings.headers == HeaderChoice::automatic && build.plan.proved.empty())
    report.note(
        "compiled with torch's own headers: no recipe vouches for sagebuild's, which --headers "
        "check would try");
  return state;
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
    return compile_modules(state.plan, state.toolchain, state.python, context, headers, execution,
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
      predict_modules(state->plan, state->toolchain, state->python,
                      compile_context(*state, settings), settings.headers, execution, report);
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
