#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "sagebuild/app/build.hpp"
#include "sagebuild/app/inspect.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/cache_settings.hpp"
#include "sagebuild/cli/choices.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/job_summary.hpp"
#include "sagebuild/cli/upload_options.hpp"
#include "sagebuild/env/install.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/streams.hpp"

namespace sagebuild {
namespace {

std::vector<SettingSpec> shared_specs() {
  return {
      {"source", "git URL, folder, local repository or source archive; the recipe's if not given"},
      {"ref", "branch, tag or commit"},
      {"subfolder",
       "folder of setup.py inside the source; #subdirectory=FOLDER of a git+https URL says the "
       "same"},
      {"recipe",
       "recipe to use: its name (sageattention, minisage, ...), or a file of your own, which "
       "docs/recipes.md in sagebuild's data folder explains"},
      {"arch",
       "architectures: \"8.0 8.9 12.0+PTX\", sm_120, rtx5090, Ada, native, all, all-major",
       "",
       {"TORCH_CUDA_ARCH_LIST"}},
      {"python",
       "interpreter, its folder, or a version such as 3.12; else the active virtual environment"},
      {"torch", "torch version of the environment to use or make"},
      {"cuda", "CUDA version of the environment to use or make"},
      {"cuda-home",
       "CUDA toolkit; else CUDA_HOME, CUDA_PATH, nvcc on PATH, /usr/local/cuda*, PyPI packages"},
      {"index-url", "package index for torch builds that PyPI does not have"},
      {"offline", "use the network for nothing", "", {}, true},
      {.name = "env",
       .help = "variable for setup.py, NAME or NAME=VALUE; may stand several times",
       .is_list = true},
      {"force",
       "replace a wheel of the same name that is for other architectures, or published with other "
       "content",
       "",
       {},
       true},
      {"assume-gpus",
       "tell setup.py of GPUs of the architectures asked for, which need not be here",
       "",
       {},
       true},
      {"compress",
       "GPU code in the wheel: auto (as small as costs no time), size (smallest), project (as "
       "setup.py has it)",
       "auto"},
      {"no-parts", "compile every source in one piece", "", {}, true},
      {"allow-cpu", "build a package that has no CUDA source", "", {}, true},
      {"no-patch", "build the source as it is", "", {}, true},
      {"strict-patch",
       "a rule of the recipe that does not fit is an error, also where the plan makes up for it",
       "",
       {},
       true},
      {"keep-temp", "keep the temporary folder", "", {}, true},
      {"allow-foreign-owner", "open local repositories that belong to somebody else", "", {}, true},
      kAllowSharedCache,
  };
}

std::vector<SettingSpec> build_specs() {
  std::vector<SettingSpec> specs = shared_specs();
  specs.push_back({"output", "folder for the wheel", "dist"});
  specs.push_back({"platform",
                   "platform tag of the wheel: auto (the lowest manylinux tag that is true), linux",
                   "auto"});
  specs.push_back({"jobs", "steps at a time; the machine's cores if not given", "", {"MAX_JOBS"}});
  specs.push_back(
      {"memory",
       "memory that steps may take together, such as 16G; 80 % of what there is if not given"});
  specs.push_back({"headers",
                   "headers that stand in for torch's: auto (where proved), facade, full, check "
                   "(facade with proof)",
                   "auto"});
  specs.push_back(
      {"timeline", "write what ran when to this file, for ui.perfetto.dev or chrome://tracing"});
  for (SettingSpec& spec : cache_specs()) specs.push_back(std::move(spec));
  return specs;
}

HeaderChoice header_choice(const Settings& settings) {
  if (const auto choice = header_choice_named(settings.text("headers"))) return *choice;
  throw Error(ErrorKind::usage, fmt::format("'{}' is no header mode", settings.text("headers")), {},
              "one of auto, facade, full, check");
}

Compression compression_choice(const Settings& settings) {
  const std::string word = settings.text("compress");
  if (const auto choice = compression_named(word)) return *choice;
  throw Error(ErrorKind::usage, fmt::format("'{}' is no way to compress", word), {},
              "one of auto, size, project");
}

bool is_plain_platform(const std::string& word) {
  if (word == "auto" || word == "linux") return word == "linux";
  throw Error(ErrorKind::usage, fmt::format("'{}' is no choice of platform", word), {},
              "one of auto, linux; `sagebuild wheel retag` gives a wheel any other tag");
}

BuildSettings build_settings(const Settings& settings) {
  // Refused before anything is fetched for a build that would fail by it
  (void)source_date_epoch();
  BuildSettings build;
  build.source =
      read_source(settings.text("source"), settings.text("ref"), settings.text("subfolder"));
  build.source.offline = settings.enabled("offline");
  build.recipe = settings.text("recipe");
  if (is_recipe_file(build.recipe)) build.recipe_file = std::exchange(build.recipe, "");
  if (const auto arch = settings.find("arch")) {
    build.archs = {arch->text, arch->origin, arch->is_foreign};
  }
  build.python = python_choice(settings);
  build.toolchain = toolchain_choice(settings);
  build.setup_variables = settings.list("env");
  build.force = settings.enabled("force");
  build.parts = !settings.enabled("no-parts");
  build.assume_gpus = settings.enabled("assume-gpus");
  build.allow_cpu = settings.enabled("allow-cpu");
  build.patch = !settings.enabled("no-patch");
  build.strict_patch = settings.enabled("strict-patch");
  build.keep_temp = settings.enabled("keep-temp");
  build.allow_foreign_owner = settings.enabled("allow-foreign-owner");
  build.output = settings.text("output");
  build.plain_platform = is_plain_platform(settings.text("platform"));
  build.headers = header_choice(settings);
  build.compression = compression_choice(settings);
  build.timeline = settings.text("timeline");
  build.cache = cache_choice(settings);
  build.cache.shared = settings.enabled(kAllowSharedCache.name);
  build.limits.jobs = settings.number("jobs").value_or(available_cores());
  build.limits.memory = settings.size("memory").value_or(available_memory() / 10 * 8);
  return build;
}

nlohmann::ordered_json json_of_sources(const std::vector<CompileOutcome>& sources) {
  auto rows = nlohmann::ordered_json::array();
  for (const CompileOutcome& source : sources) {
    if (source.cached) continue;
    rows.push_back({{"source", source.label},
                    {"mode", describe(source.mode)},
                    {"reason", source.reason},
                    {"parts", source.parts}});
  }
  return rows;
}

UploadOutcome publish_wheel(UploadSettings settings, const Wheel& wheel, Reporter& report) {
  settings.files = {wheel.path};
  UploadOutcome outcome = upload(settings, report);
  append_job_summary(summary_of_upload(outcome));
  return outcome;
}

// "uv pip install --python /x/bin/python dist/x.whl", for whoever has that Python.
std::string install_line(const BuildOutcome& outcome) {
  const std::string wheel = outcome.wheel.path.string();
  if (outcome.python_is_kept) return shell_line({"pip", "install", wheel});
  return shell_line({outcome.python.executable.string(), "-m", "pip", "install",
                     "--force-reinstall", "--no-deps", wheel});
}

void install_or_tell(const BuildOutcome& outcome, bool install, Reporter& report) {
  if (!install) {
    report.stage(fmt::format("to install it: {}", install_line(outcome)));
    return;
  }
  install_wheel(outcome.python, outcome.wheel.path);
  report.stage(fmt::format("installed for '{}'", outcome.python.executable.string()));
}

// What is in the wheel is read once more for it, which only a job pays for.
void summarize(const BuildOutcome& outcome, unsigned jobs) {
  if (!wants_job_summary()) return;
  const std::string path = outcome.wheel.path.string();
  InspectSettings inspected;
  inspected.file = path;
  inspected.jobs = jobs;
  const Verification verification = verify_file(inspected, std::nullopt, Policy::local);
  append_job_summary(summary_of_wheel(verification, shell_line({"pip", "install", path})) +
                     summary_of_run(outcome));
}

constexpr std::string_view kUploadPrefix = "upload-";

// The options of `upload`, as `build` calls them. --force and --unverified are for both.
std::vector<SettingSpec> prefixed_upload_specs(const std::vector<SettingSpec>& own) {
  static std::set<std::string> names;  // that the rows point to
  std::vector<SettingSpec> specs = shared_upload_specs();
  std::erase_if(specs, [&](const SettingSpec& spec) {
    return std::ranges::find(own, spec.name, &SettingSpec::name) != own.end();
  });
  for (SettingSpec& spec : specs)
    spec.name = *names.insert(std::string(kUploadPrefix) + std::string(spec.name)).first;
  return specs;
}

int run_build(const Cli& cli, const Settings& settings, Reporter& report) {
  BuildSettings chosen = build_settings(settings);
  chosen.unverified = settings.enabled("unverified");
  chosen.install = settings.enabled("install");
  const bool install = chosen.install;
  const auto repo = settings.optional_text("upload");
  std::optional<UploadSettings> publishing;  // checked before hours of compiling
  if (repo) {
    publishing = upload_settings(settings.without_prefix(kUploadPrefix), *repo, {});
    require_upload_access(*publishing, report);
  } else {
    settings.require_unused(prefixed_upload_specs({}), "--upload",
                            "name the repository: --upload OWNER/NAME");
  }
  const unsigned jobs = chosen.limits.jobs;
  const BuildOutcome outcome = build(std::move(chosen), report);
  remember_last_build(outcome.wheel.path.parent_path(), {outcome.wheel.path});
  const ExecOutcome& execution = outcome.execution;
  const auto cached = std::ranges::count_if(execution.steps, &StepRecord::cached);
  report.stage(
      fmt::format("{} steps, {} cached; {} of CPU time in {}, at most {} of memory; the cache "
                  "saved {} of CPU time",
                  execution.steps.size(), cached, human_time(execution.cpu_seconds),
                  human_time(execution.wall_seconds), human_size(execution.peak_memory),
                  human_time(outcome.cache.cpu_seconds_saved)));
  summarize(outcome, jobs);
  if (!cli.global().json) {
    fmt::print("{}\n", outcome.wheel.path.string());
    // Known even if the upload fails
    flush_output(fmt::format("the wheel is '{}'", outcome.wheel.path.string()));
    install_or_tell(outcome, install, report);
    if (publishing) print_upload(publish_wheel(*publishing, outcome.wheel, report));
    return 0;
  }
  nlohmann::ordered_json document = {
      {"schema", "sagebuild.build/1"},
      {"wheel", outcome.wheel.path.string()},
      {"steps", execution.steps.size()},
      {"cached", cached},
      {"cpu_seconds_saved", outcome.cache.cpu_seconds_saved},
      {"cpu_seconds", execution.cpu_seconds},
      {"wall_seconds", execution.wall_seconds},
      {"peak_memory", execution.peak_memory},
      {"sources", json_of_sources(outcome.sources)},
      {"installed", install},
      {"plan", nlohmann::ordered_json::parse(json_of(outcome.plan))}};
  if (install) install_or_tell(outcome, install, report);
  if (publishing)
    document["upload"] = upload_document(publish_wheel(*publishing, outcome.wheel, report));
  fmt::print("{}\n", json_lines(document));
  return 0;
}

int run_plan(const Cli& cli, const Settings& settings, Reporter& report) {
  if (settings.enabled("show-settings")) {
    fmt::print("{}", cli.global().json ? settings.json() : settings.table());
    return 0;
  }
  BuildSettings chosen = build_settings(settings);
  // It says what a build would do: gigabytes come only if that was asked for.
  chosen.python.create = settings.enabled("create-env") || settings.enabled("yes");
  const auto [plan, forecast] = plan_build(std::move(chosen), report);
  fmt::print("{}", cli.global().json ? json_of(plan, forecast) : table_of(plan, forecast));
  return 0;
}

}  // namespace

void add_build_commands(Cli& cli) {
  std::vector<SettingSpec> whole_way = build_specs();
  whole_way.push_back({"unverified",
                       "take a wheel that `sagebuild verify` finds errors in, if its archive and "
                       "RECORD are sound",
                       "",
                       {},
                       true});
  whole_way.push_back(
      {"install", "install the wheel into the Python that it is built for", "", {}, true});
  whole_way.push_back({"upload", "publish the wheel in this repository on the Hub"});
  for (SettingSpec& spec : prefixed_upload_specs(whole_way)) whole_way.push_back(std::move(spec));
  cli.add("build", "fetch, patch, plan, compile, pack and verify; prints the wheel's path",
          std::move(whole_way),
          {"sagebuild build --arch 12.0+PTX",
           "sagebuild build --source https://github.com/thu-ml/SageAttention --ref main --arch "
           "\"8.9 9.0\"",
           "sagebuild build --recipe minisage --arch rtx4090 --output wheels"},
          [&cli](const Settings& settings, Reporter& report) {
            return run_build(cli, settings, report);
          });
  std::vector<SettingSpec> specs = build_specs();
  specs.push_back({"create-env",
                   "make the build environment if there is none: fetches about 2.8 GB",
                   "",
                   {},
                   true});
  specs.push_back({"yes", "the same as --create-env", "", {}, true});
  specs.push_back(
      {"show-settings", "print every setting and where it came from, and stop", "", {}, true});
  cli.add("plan", "the same up to the plan: module, source and architecture table; builds nothing",
          std::move(specs),
          {"sagebuild plan --arch \"8.0 8.6 9.0 12.0+PTX\"", "sagebuild plan --show-settings"},
          [&cli](const Settings& settings, Reporter& report) {
            return run_plan(cli, settings, report);
          });
}

}  // namespace sagebuild
