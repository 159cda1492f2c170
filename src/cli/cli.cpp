#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "cli/full_disk.hpp"
#include "cli/option_table.hpp"
#include "cli/troubleshooting.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/console_reporter.hpp"
#include "sagebuild/cli/github.hpp"
#include "sagebuild/cli/job_summary.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/sys/streams.hpp"

namespace sagebuild {
namespace {

constexpr const char* kSettingsFile = "sagebuild.toml";
constexpr const char* kOutputHint =
    "what standard output leads to is full or closed: give it a place that can be written";
constexpr const char* kGlobal[] = {"help", "version", "json", "verbose", "quiet", "cache-dir"};

const CLI::App* command_below(const CLI::App& command, const std::string& name) {
  for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; }))
    if (below->get_name() == name) return below;
  return nullptr;
}

// The command that was parsed, or the program itself.
const CLI::App& parsed_command(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return below.empty() ? app : parsed_command(*below.front());
}

// "env create"
std::string whole_name(const CLI::App& command) {
  const CLI::App* above = command.get_parent();
  const bool is_below_group = above != nullptr && above->get_parent() != nullptr;
  return (is_below_group ? whole_name(*above) + " " : "") + command.get_name();
}

std::string see_help_of(const CLI::App& command) {
  const bool is_all = command.get_parent() == nullptr;
  return fmt::format("see `sagebuild{} --help`", is_all ? "" : " " + whole_name(command));
}

// Commands below `app` that have this option.
std::vector<std::string> owners_of(const std::string& option, const CLI::App& app) {
  std::vector<std::string> owners;
  for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (below->get_option_no_throw(option) != nullptr) owners.push_back(whole_name(*below));
    for (std::string& owner : owners_of(option, *below)) owners.push_back(std::move(owner));
  }
  return owners;
}

// One word may be a switch of one command and take a value in another (--diff).
bool takes_value(const CLI::App& command, const std::string& word) {
  if (!word.starts_with('-')) return false;
  const CLI::Option* option = command.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

// Neither stream need be writable, and there is nobody else to tell.
void print_error(const Error& error, bool json) {
  const std::string shown = printable(redacted(error.rendered()));
  if (on_github())
    print_github_error(error, shown);
  else
    std::fputs(shown.c_str(), stderr);
  append_job_summary(summary_of_error(error));
  if (!json) return;
  const nlohmann::ordered_json document = {{"schema", "sagebuild.error/1"},
                                           {"error",
                                            {{"exit_code", static_cast<int>(error.kind)},
                                             {"message", error.message},
                                             {"causes", error.causes},
                                             {"hint", error.hint},
                                             {"log", error.log}}}};
  std::fputs((redacted(json_lines(document)) + "\n").c_str(), stdout);
}

// The last words of a run, in its log too.
int ended_by(Error error, bool json) {
  if (error.log.empty()) error.log = log_path().string();
  if (!path_exists(error.log)) error.log.clear();
  log_line(error.rendered());
  print_error(error, json);
  return static_cast<int>(error.kind);
}

std::string footer(const std::vector<std::string>& examples) {
  std::string text = "Examples:\n";
  for (const std::string& example : examples) text += "  " + example + "\n";
  return text + "\nOptions of all commands: -v, -q, --json, -C DIR, --cache-dir DIR.";
}

}  // namespace

Cli::Cli()
    : app_(
          "From a git URL to a verified multi-GPU-architecture CUDA wheel, on a machine without a "
          "GPU.",
          "sagebuild") {
  app_.set_help_flag("-h,--help", "show this help");
  app_.set_version_flag("-V,--version", program_version(), "show the version");
  app_.add_flag_callback(
      "-v,--verbose", [this] { global_.verbosity = 1; }, "say more");
  app_.add_flag_callback(
      "-q,--quiet", [this] { global_.verbosity = -1; }, "warnings and errors only");
  app_.add_flag("--json", global_.json, "print one JSON document on standard output");
  app_.add_option("-C", global_.folder, "run in this folder")->type_name("DIR");
  app_.add_option("--cache-dir", global_.cache, "folder of caches, environments, toolkits and logs")
      ->type_name("DIR");
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
  return add_below(app_, std::move(name), std::move(description), std::move(specs),
                   std::move(examples), std::move(run));
}

CLI::App& Cli::add_below(CLI::App& parent, std::string name, std::string description,
                         std::vector<SettingSpec> specs, std::vector<std::string> examples,
                         Run run) {
  CLI::App& command = *parent.add_subcommand(std::move(name), std::move(description));
  command.footer(footer(examples));
  const bool grouped = specs.size() >= kGroupedFrom;
  if (grouped)
    std::ranges::stable_sort(specs, {},
                             [](const SettingSpec& spec) { return order_of(look_of(spec.name)); });
  for (const SettingSpec& spec : specs) {
    const std::string setting(spec.name);
    known_.push_back(setting);
    // -j and -o are the only short ones beside the global ones.
    const std::string flag = setting == "jobs"     ? "-j,--jobs"
                             : setting == "output" ? "-o,--output"
                                                   : "--" + setting;
    std::string help(spec.help);
    if (!spec.fallback.empty()) help += fmt::format(" [{}]", spec.fallback);
    const OptionLook look = look_of(setting);
    // With few options headings would only be in the way; what is hidden is hidden.
    const std::string group(specs.size() < kGroupedFrom && !look.group.empty() ? "Options"
                                                                               : look.group);
    if (spec.is_switch) {
      command
          .add_flag_callback(
              flag, [this, setting] { flags_[setting] = "true"; }, help)
          ->group(group);
      continue;
    }
    CLI::Option* option = nullptr;
    if (spec.is_list) {
      option = command.add_option_function<std::vector<std::string>>(
          flag,
          [this, setting](const std::vector<std::string>& values) {
            flags_[setting] = join(values, "\n");
          },
          help);
      option->allow_extra_args(false);  // one value each time: what follows is something else
    } else {
      option = command.add_option_function<std::string>(
          flag, [this, setting](const std::string& value) { flags_[setting] = value; }, help);
    }
    option->type_name(std::string(look.value))->group(group);
  }
  command.callback([this, specs = std::move(specs), run = std::move(run)] {
    chosen_ = [this, specs, run](Reporter& report) {
      std::optional<std::filesystem::path> file;
      if (path_exists(kSettingsFile)) file = kSettingsFile;
      const Settings settings = Settings::merge(specs, flags_, current_environment(), file, known_);
      keep_secrets(settings);
      return run(settings, report);
    };
  });
  return command;
}

// CLI11 would show "FILE TEXT": what it takes is said by its name.
void Cli::name_operands(CLI::App& app) {
  for (CLI::Option* option : app.get_options({}))
    if (option->get_positional() && option->get_type_name() == "TEXT") option->type_name("");
  for (CLI::App* below : app.get_subcommands({})) name_operands(*below);
}

// CLI11 takes the next word, whatever it is, for the value of "--output=" and of "--output".
void Cli::require_values(const std::vector<std::string>& argv) const {
  const auto fail = [](std::string_view option, std::string_view cause) {
    throw Error(ErrorKind::usage, fmt::format("option '{}' has no value", option),
                {std::string(cause)}, "leave it out, or give it a value");
  };
  const CLI::App* command = &app_;
  for (std::size_t i = 1; i < argv.size() && argv[i] != "--"; ++i) {
    const std::string& word = argv[i];
    if (const CLI::App* below = command_below(*command, word)) command = below;
    if (word.ends_with('=') && is_flag(word))
      fail(word.substr(0, word.size() - 1), "nothing stands behind its '='");
    if (!(takes_value(*command, word) || takes_value(app_, word)) || i + 1 == argv.size()) continue;
    const std::string& value = argv[++i];
    if (value.empty()) fail(word, "the word behind it is empty");
    if (is_flag(value)) fail(word, fmt::format("behind it stands the option '{}'", value));
  }
}

bool Cli::is_flag(std::string_view word) const {
  if (!take_prefix(word, "--")) return false;
  const std::string_view name = word.substr(0, word.find('='));
  return std::ranges::find(known_, name) != known_.end() ||
         std::ranges::find(kGlobal, name) != std::end(kGlobal);
}

// What was meant by a word that CLI11 does not know: a command or an option of the one that is
// used, else an option that another one has.
std::string Cli::hint_for(const std::string& unknown) const {
  const CLI::App& command = parsed_command(app_);
  const std::string name = unknown.substr(0, unknown.find('='));
  const std::string more = see_help_of(command);
  if (!name.starts_with('-') && command.get_option_no_throw("--source") != nullptr)
    return fmt::format("--source {} names a source, --recipe a recipe", shell_quoted(unknown));
  if (const auto owners = owners_of(name, app_); !owners.empty() && name.starts_with("--"))
    return fmt::format("it is an option of {}; {}", join(owners, ", "), more);
  std::vector<std::string> words;
  for (const char* global : kGlobal) words.push_back(fmt::format("--{}", global));
  for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(below->get_name());
  for (const CLI::Option* option : command.get_options())
    for (const std::string& longer : option->get_lnames()) words.push_back("--" + longer);
  const auto near = nearest(name, words);
  return near ? fmt::format("did you mean '{}'?", *near) : more;
}

void Cli::unknown_word(const std::string& word) const {
  throw Error(ErrorKind::usage, fmt::format("unknown argument '{}'", word), {}, hint_for(word));
}

// "help build" is "build --help", and so are "env help" and "env help make", "env" being a group.
std::vector<std::string> Cli::with_help_word(std::vector<std::string> argv) const {
  if (argv.size() < 2) return argv;
  const bool is_group =
      !app_.get_subcommands([&](const CLI::App* command) {
             return command->get_name() == argv[1] && !command->get_subcommands({}).empty();
           })
           .empty();
  const std::size_t place = is_group ? 2 : 1;
  if (argv.size() <= place || argv[place] != "help") return argv;
  argv.erase(argv.begin() + static_cast<std::ptrdiff_t>(place));
  argv.emplace_back("--help");
  return argv;
}

// After -C: a relative folder is one of that place.
void Cli::apply_global() const {
  if (!global_.folder.empty()) {
    std::error_code failure;
    std::filesystem::current_path(global_.folder, failure);
    if (failure)
      throw Error(ErrorKind::usage, fmt::format("cannot go to the folder '{}'", global_.folder),
                  {failure.message()}, "name a folder that is there");
  }
  // Child processes find their cache by it, too.
  if (!global_.cache.empty())
    ::setenv("SAGEBUILD_CACHE_DIR", absolute_path(global_.cache).c_str(), /*overwrite=*/1);
}

// What setup.py is given may come back in what it prints.
void Cli::keep_secrets(const Settings& settings) {
  for (const std::string& word : settings.list("env")) {
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (!is_secret_variable(name)) continue;
    secrets_.emplace_back(equals == std::string::npos ? environment_value(name).value_or("")
                                                      : word.substr(equals + 1));
  }
}

void Cli::warn_of_variables(Reporter& report) const {
  for (const auto& [name, near] : unknown_variables(current_environment(), known_)) {
    report.warning(fmt::format("no setting is called {}{}", name,
                               near.empty() ? "" : fmt::format(": {} is", near)));
  }
}

int Cli::run_chosen(const std::vector<std::string>& words) {
  if (words.size() == 1) {  // no error, for nothing was asked; no success either
    std::fputs(app_.help().c_str(), stderr);
    return static_cast<int>(ErrorKind::usage);
  }
  name_operands(app_);
  const std::vector<std::string> argv = with_help_word(words);
  std::vector<std::string> reversed(argv.rbegin(), argv.rend() - 1);
  // Known before parsing, so that a usage error is JSON too.
  global_.json = std::ranges::find(argv, "--json") != argv.end();
  require_values(argv);
  try {
    app_.parse(reversed);
  } catch (const CLI::Success& success) {  // --help, --version
    // CLI11 answers them before it minds the words that it does not know.
    if (const auto extra = app_.remaining(true); !extra.empty()) unknown_word(extra.front());
    std::ostringstream text;
    const int code = app_.exit(success, text, text);
    fmt::print("{}", text.str());
    return code;
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> extra = app_.remaining(true);
    if (!extra.empty()) unknown_word(extra.front());
    throw Error(ErrorKind::usage, lower(error.what()), {}, see_help_of(parsed_command(app_)));
  }
  apply_global();
  const bool live = is_terminal(STDERR_FILENO) && environment_value("TERM") != "dumb" && !in_ci() &&
                    !global_.json && global_.verbosity <= 0;
  ConsoleReporter console(global_.verbosity, live, wants_color(STDERR_FILENO));
  GithubReporter github(console);
  Reporter& report = on_github() ? static_cast<Reporter&>(github) : console;
  warn_of_variables(report);
  return chosen_(report);
}

int Cli::run(const std::vector<std::string>& argv) {
  try {
    try {
      const int code = run_chosen(argv);
      flush_output(code == 0 ? fmt::format("what the command does is done; {}", kOutputHint)
                             : std::string(kOutputHint));
      return code;
      // What the system refuses is no bug of ours
    } catch (const std::filesystem::filesystem_error& failure) {
      throw Error(ErrorKind::failed, fmt::format("cannot use '{}'", failure.path1().string()),
                  {errno_text(failure.code().value())},
                  "check its permissions, and those of the folders above it");
    } catch (const std::system_error& failure) {  // from fmt::print
      if (std::ferror(stdout) == 0) throw;
      throw Error(ErrorKind::failed, "cannot write to standard output",
                  {errno_text(failure.code().value())}, kOutputHint);
    }
  } catch (Error& error) {
    // Whoever threw a hint of a full disk knows better which one it is.
    const auto full = full_disk_hint(join(error.causes, "\n"));
    if (full && error.hint.find("full") == std::string::npos) error.hint = *full;
    if (const std::string page = trouble_page(error.message + join(error.causes, "\n"));
        !page.empty())
      error.hint += (error.hint.empty() ? "see " : "; see ") + page;
    return ended_by(std::move(error), global_.json);
  } catch (const Interrupted& interruption) {
    log_line("interrupted");
    std::fputs("interrupted\n", stderr);
    std::fflush(nullptr);
    end_by_signal(interruption.signal);
  } catch (const std::exception& error) {
    const bool has_log = path_exists(log_path());
    return ended_by(Error(ErrorKind::bug, "sagebuild itself failed", {error.what()},
                          has_log ? "please report this with the log" : "please report this"),
                    global_.json);
  }
}

}  // namespace sagebuild
