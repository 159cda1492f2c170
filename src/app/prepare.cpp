#include "app/prepare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "app/build_parameters.hpp"
#include "sagebuild/app/arch_choice.hpp"
#include "sagebuild/app/check.hpp"
#include "sagebuild/app/known_bad.hpp"
#include "sagebuild/app/recorded_checks.hpp"
#include "sagebuild/app/run_log.hpp"
#include "sagebuild/app/source_patch.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/probe/record_setup.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/source/git_view.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

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

// What is told of setup.py where it fails, and a second try for another list, is not for it.
struct ToolkitFailure {
  std::exception_ptr error;
};

// Its self-test takes seconds where the toolkit is new, so it is done while setup.py runs.
void inspect(PreparedBuild& build, ActionCache& cache, Reporter& report) {
  if (build.toolkit) return;
  const Toolchain& toolchain = build.toolchain;
  const Words nvcc = {toolchain.nvcc.string(), "-ccbin", toolchain.host_compiler.string()};
  build.toolkit = std::make_shared<Toolkit>(inspect_toolkit(toolchain, nvcc, cache, report));
}

// `unfitting`: what is to be told of the patch rules if setup.py fails.
void record(PreparedBuild& build, const ArchList& archs, const std::vector<std::string>& unfitting,
            const Environment& variables, const BuildSettings& settings, ActionCache& cache,
            Reporter& report) {
  report.stage("recording what setup.py would build");
  const std::string all = recording_archs(build.recipe, archs);
  const std::string asked = archs_for_torch(archs);
  const auto recorded_for = [&](const std::string& list, const char* folder) {
    RecordSettings recording{build.project(), list, build.work.path() / folder, &cache};
    recording.log = build.logs / "setup.log";
    recording.variables = variables;
    recording.git = git_view_text(build.tree.checkout.root);
    recording.jobs = settings.limits.jobs;
    recording.meanwhile = [&] {
      try {
        inspect(build, cache, report);
      } catch (const Error&) {
        throw ToolkitFailure{std::current_exception()};
      }
    };
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
  } catch (const ToolkitFailure& failure) {
    std::rethrow_exception(failure.error);
  } catch (Error& error) {
    error.causes.insert(error.causes.end(), unfitting.begin(), unfitting.end());
    error.hint = joined_hints(hint_of_own_arch_list(build.project(), variables, archs), error.hint);
    error.hint = joined_hints(hint_of_asked_gpu(build.project(), variables), error.hint);
    throw;
  }
  report_variables(build.recorded, variables, report);
  require_device_code(build.recorded, build.project(), variables, settings.allow_cpu);
  warn_of_version(build.recorded, build.tree.checkout, build.project(), report);
}

}  // namespace

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

  record(build, archs, patched.failures, variables, settings, cache, report);
  inspect(build, cache, report);  // where no setup.py ran
  build.parameters =
      parameters_of(settings, build.subfolder,
                    asked_of_environment(build.recorded, variables, settings.setup_variables));
  build.plan = make_plan(build.recorded, build.recipe, archs, settings.archs.inherited);
  if (build.python.torch)
    raise_standard(build.plan, parse_version(build.python.torch->version).value_or(Version{}));
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

}  // namespace sagebuild
