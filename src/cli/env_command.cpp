#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/app/arch_choice.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/cache_settings.hpp"
#include "sagebuild/cli/choices.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/env/doctor.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/report/silent_reporter.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

int run_create(const Settings& settings, Reporter& report) {
  require_own_cache(settings.enabled(kAllowSharedCache.name));
  EnvironmentRequest request;
  request.name = settings.text("name");
  request.python = settings.text("python");
  request.torch = settings.text("torch");
  request.cuda = settings.text("cuda");
  request.index_url = settings.text("index-url");
  request.offline = settings.enabled("offline");
  // The folder, which --python takes too.
  fmt::print("{}\n",
             create_environment(request, report).executable.parent_path().parent_path().string());
  return 0;
}

int run_list(const Cli& cli) {
  const auto environments = list_environments(/*with_sizes=*/true);
  Json rows = Json::array();
  for (const KeptEnvironment& kept : environments) {
    if (cli.global().json) {
      rows.push_back({{"name", kept.name},
                      {"path", kept.path.string()},
                      {"python", kept.python},
                      {"torch", kept.torch},
                      {"complete", kept.complete},
                      {"bytes", kept.bytes}});
    } else {
      fmt::print("{}  {}  python {}  torch {}  {}{}\n", kept.name, human_size(kept.bytes),
                 kept.python, kept.torch, kept.path.string(),
                 kept.complete ? "" : "  (incomplete)");
    }
  }
  if (cli.global().json)
    fmt::print("{}\n",
               json_lines(Json{{"schema", "sagebuild.environments/1"}, {"environments", rows}}));
  return 0;
}

int run_remove(const Settings& settings, const std::string& word, Reporter& report) {
  const std::string name = word.empty() ? settings.text("name") : word;
  if (name.empty())
    throw Error(ErrorKind::usage, "no environment named", {},
                "sagebuild env rm NAME; `sagebuild env ls` lists them");
  const auto bytes = remove_environment(name, report);
  report.stage(fmt::format("removed '{}', {}", name, human_size(bytes)));
  return 0;
}

std::string_view health_text(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warning:
      return "warning";
    case Health::error:
      return "error";
  }
  return "";
}

int run_doctor(const Cli& cli, const Settings& settings, Reporter& report) {
  require_own_cache(settings.enabled(kAllowSharedCache.name));
  DoctorRequest request;
  request.python = python_choice(settings);
  request.toolchain = toolchain_choice(settings);
  // `all` is whatever the toolkit compiles: nothing to check.
  const auto archs = settings.find("arch");
  if (archs && lower(archs->text) != "all" && lower(archs->text) != "all-major") {
    SilentReporter silent;
    request.archs = choose_archs({archs->text, archs->origin, true}, std::nullopt, {}, silent);
  }
  request.jobs = settings.number("jobs").value_or(0);
  request.source_url = settings.enabled("offline") ? "" : settings.text("source");
  auto findings = diagnose(request, this_machine(), network_reach, report);
  for (Diagnosis& finding : findings) finding.detail = redacted(finding.detail);
  Json rows = Json::array();
  for (const Diagnosis& finding : findings) {
    if (cli.global().json) {
      rows.push_back({{"severity", health_text(finding.health)},
                      {"what", name_of(finding.check)},
                      {"detail", finding.detail},
                      {"fix", finding.fix_command}});
      continue;
    }
    fmt::print("{:<8} {}: {}\n", health_text(finding.health), name_of(finding.check),
               finding.detail);
    if (!finding.fix_command.empty()) fmt::print("         fix: {}\n", finding.fix_command);
  }
  if (cli.global().json)
    fmt::print("{}\n", json_lines(Json{{"schema", "sagebuild.doctor/1"}, {"findings", rows}}));
  const bool bad = std::ranges::any_of(
      findings, [](const Diagnosis& finding) { return finding.health == Health::error; });
  return bad ? static_cast<int>(ErrorKind::environment) : 0;
}

}  // namespace

void add_env_commands(Cli& cli) {
  CLI::App& group = cli.add_group(
      "env",
      "make, list and remove build environments (torch and its CUDA compiler, about 5.1 GB each)");
  cli.add_below(
      group, "create", "make an environment, or find the one that is there; prints its folder",
      {{"python", "Python version, such as 3.11; as python3 on PATH if not given"},
       {"torch", "torch version", kDefaultTorch},
       {"cuda", "CUDA version that torch must be built with"},
       {"index-url", "package index for torch builds that PyPI does not have"},
       {"name", "name of the environment"},
       kAllowSharedCache,
       {"offline", "use the network for nothing", "", {}, true}},
      {"sagebuild env create --python 3.11 --torch 2.11.0"},
      [](const Settings& settings, Reporter& report) { return run_create(settings, report); });
  cli.add_below(group, "ls", "list them with their sizes", {}, {"sagebuild env ls"},
                [&cli](const Settings&, Reporter&) { return run_list(cli); });
  const auto removed = std::make_shared<std::string>();
  CLI::App& remove = cli.add_below(group, "rm", "remove one", {{"name", "the same as NAME"}},
                                   {"sagebuild env rm py311-torch2.11.0"},
                                   [removed](const Settings& settings, Reporter& report) {
                                     return run_remove(settings, *removed, report);
                                   });
  remove.add_option("NAME", *removed, "name, as `sagebuild env ls` shows it");
  cli.add(
      "doctor", "say what this machine lacks for a build, and the command that fixes it",
      {{"python", "interpreter, its folder or a version; else the active virtual environment"},
       {"torch", "torch version of the environment to look at"},
       {"cuda", "CUDA version of the environment to look at"},
       {"cuda-home", "CUDA toolkit to look at"},
       {"arch", "architectures that the toolkit must know"},
       {"jobs", "steps at a time that memory must be enough for", "", {"MAX_JOBS"}},
       {"source", "URL whose host must be reachable", "https://github.com/thu-ml/SageAttention"},
       kAllowSharedCache,
       {"offline", "look at no network", "", {}, true}},
      {"sagebuild doctor", "sagebuild doctor --python .venv/bin/python --arch 12.0"},
      [&cli](const Settings& settings, Reporter& report) {
        return run_doctor(cli, settings, report);
      });
  cli.add("version", "show the version", {}, {"sagebuild version"},
          [&cli](const Settings&, Reporter&) {
            if (cli.global().json)
              fmt::print("{}\n", json_lines(Json{{"schema", "sagebuild.version/1"},
                                                 {"version", program_version()}}));
            else
              fmt::print("sagebuild {}\n", program_version());
            return 0;
          });
}

}  // namespace sagebuild
