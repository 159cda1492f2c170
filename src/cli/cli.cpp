#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/console_reporter.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

constexpr const char* kSettingsFile = "sagebuild.toml";

void print_error(const Error& error, bool json) {
  std::fputs(redacted(error.rendered()).c_str(), stderr);
  if (!json) return;
  const nlohmann::ordered_json document = {{"schema", "sagebuild.error/1"},
                                           {"error",
                                            {{"exit_code", static_cast<int>(error.kind)},
                                             {"message", error.message},
                                             {"causes", error.causes},
                                             {"hint", error.hint},
                                             {"log", error.log}}}};
  fmt::print("{}\n", redacted(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)));
}

std::string footer(const std::vector<std::string>& examples) {
  std::string text = "Examples:\n";
  for (const std::string& example : examples) text += "  " + example + "\n";
  return text;
}

bool is_ci() { return environment_value("CI").has_value(); }

}  // namespace

Cli::Cli()
    : app_("From a git URL to a verified multi-GPU-architecture CUDA wheel, on a machine without a GPU.", "sagebuild") {
  app_.set_help_flag("-h,--help", "show this help");
  app_.set_version_flag("-V,--version", program_version(), "show the version");
  app_.add_flag_callback(
      "-v,--verbose", [this] { global_.verbosity = 1; }, "say more");
  app_.add_flag_callback(
      "-q,--quiet", [this] { global_.verbosity = -1; }, "warnings and errors only");
  app_.add_flag("--json", global_.json, "print one JSON document on standard output");
  app_.add_option("-C", global_.folder, "run in this folder")->type_name("DIR");
  app_.fallthrough();  // global flags may stand behind the command
  app_.require_subcommand(1);
  app_.get_formatter()->column_width(32);
  app_.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 environment, 4 network, 5 verify found errors,\n"
      "6 a patch is needed, 70 a bug of sagebuild, 128+n by signal n.");
}

CLI::App& Cli::add_group(std::string name, std::string description) {
  CLI::App& group = *app_.add_subcommand(std::move(name), std::move(description));
  group.require_subcommand(1);
  return group;
}

CLI::App& Cli::add(std::string name, std::string description, std::vector<SettingSpec> specs,
                   std::vector<std::string> examples, Run run) {
  return add_below(app_, std::move(name), std::move(description), std::move(specs), std::move(examples),
                   std::move(run));
}

CLI::App& Cli::add_below(CLI::App& parent, std::string name, std::string description, std::vector<SettingSpec> specs,
                         std::vector<std::string> examples, Run run) {
  CLI::App& command = *parent.add_subcommand(std::move(name), std::move(description));
  command.footer(footer(examples));
  for (const SettingSpec& spec : specs) {
    const std::string setting(spec.name);
    known_.push_back(setting);
    // -j and -o are the only short ones beside the global ones (design section 7).
    const std::string flag = setting == "jobs" ? "-j,--jobs" : setting == "output" ? "-o,--output" : "--" + setting;
    std::string help(spec.help);
    if (!spec.fallback.empty()) help += fmt::format(" [{}]", spec.fallback);
    if (spec.is_switch) {
      command.add_flag_callback(
          flag, [this, setting] { flags_[setting] = "true"; }, help);
    } else {
      command
          .add_option_function<std::string>(
              flag, [this, setting](const std::string& value) { flags_[setting] = value; }, help)
          ->type_name("");
    }
  }
  command.callback([this, specs = std::move(specs), run = std::move(run)] {
    chosen_ = [this, specs, run](Reporter& report) {
      std::optional<std::filesystem::path> file;
      if (std::filesystem::exists(kSettingsFile)) file = kSettingsFile;
      return run(Settings::merge(specs, flags_, current_environment(), file, known_), report);
    };
  });
  return command;
}

// What was meant by a word that CLI11 does not know: a command or a flag.
std::string Cli::nearest_word(const std::string& unknown) const {
  std::vector<std::string> words = {"--help", "--version", "--json", "--verbose", "--quiet"};
  for (const CLI::App* command : app_.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(command->get_name());
  for (const std::string& name : known_) words.push_back("--" + name);
  return nearest(unknown.substr(0, unknown.find('=')), words).value_or("");
}

int Cli::run_chosen(const std::vector<std::string>& argv) {
  std::vector<std::string> reversed(argv.rbegin(), argv.rend() - 1);
  // Known before parsing, so that a usage error is JSON too.
  global_.json = std::ranges::find(argv, "--json") != argv.end();
  try {
    app_.parse(reversed);
  } catch (const CLI::Success& success) {  // --help, --version
    return app_.exit(success);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> extra = app_.remaining(true);
    const std::string word = extra.empty() ? "" : extra.front();
    const std::string near = word.empty() ? "" : nearest_word(word);
    throw Error(ErrorKind::usage, word.empty() ? lower(error.what()) : fmt::format("unknown argument '{}'", word), {},
                near.empty() ? "see `sagebuild --help`" : fmt::format("did you mean '{}'?", near));
  }
  if (!global_.folder.empty()) {
    std::error_code failure;
    std::filesystem::current_path(global_.folder, failure);
    if (failure)
      throw Error(ErrorKind::usage, fmt::format("cannot go to the folder '{}'", global_.folder), {failure.message()});
  }
  const bool live = is_terminal(STDERR_FILENO) && !is_ci() && !global_.json && global_.verbosity <= 0;
  ConsoleReporter report(global_.verbosity, live, wants_color(STDERR_FILENO));
  return chosen_(report);
}

int Cli::run(const std::vector<std::string>& argv) {
  try {
    return run_chosen(argv);
  } catch (Error& error) {
    if (error.log.empty()) error.log = log_path().string();
    print_error(error, global_.json);
    return static_cast<int>(error.kind);
  } catch (const Interrupted& interruption) {
    fmt::print(stderr, "interrupted\n");
    std::fflush(nullptr);
    end_by_signal(interruption.signal);
  } catch (const std::exception& error) {
    print_error(Error(ErrorKind::bug, "sagebuild itself failed", {error.what()}, "please report this with the log",
                      log_path().string()),
                global_.json);
    return static_cast<int>(ErrorKind::bug);
  }
}

}  // namespace sagebuild
