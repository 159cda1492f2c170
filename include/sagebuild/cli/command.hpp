#pragma once
// How a command is made: add_X(Cli&) registers its options and examples with CLI11 and says what
// runs. One file per command.

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/cli/settings.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// What the command line says before any setting is looked at.
struct GlobalOptions {
  int verbosity = 0;   // -q is -1, -v is 1
  bool json = false;   // stdout carries one JSON document
  std::string folder;  // -C
  std::string cache;   // --cache-dir
};

class Cli {
 public:
  Cli();

  // A command whose flags are the table's rows. `examples` are shown under --help, one per line.
  // `run` gets the merged settings and gives the exit code.
  using Run = std::function<int(const Settings&, Reporter&)>;
  CLI::App& add(std::string name, std::string description, std::vector<SettingSpec> specs,
                std::vector<std::string> examples, Run run);
  // The same below another command: `env create`.
  CLI::App& add_below(CLI::App& parent, std::string name, std::string description,
                      std::vector<SettingSpec> specs, std::vector<std::string> examples, Run run);
  // A group without work of its own: `env`, `cache`.
  CLI::App& add_group(std::string name, std::string description);

  // Parses argv, runs the chosen command, prints what ended it. Gives the exit code; raises a
  // signal that came again.
  int run(const std::vector<std::string>& argv);

  const GlobalOptions& global() const { return global_; }
  CLI::App& app() { return app_; }

 private:
  struct Chosen;
  int run_chosen(const std::vector<std::string>& words);
  std::vector<std::string> with_help_word(std::vector<std::string> argv) const;
  static void name_operands(CLI::App& app);
  void apply_global() const;
  void keep_secrets(const Settings& settings);
  void warn_of_variables(Reporter& report) const;
  std::string hint_for(const std::string& unknown) const;
  [[noreturn]] void unknown_word(const std::string& word) const;
  // Throws Error{usage} that names the option
  void require_values(const std::vector<std::string>& argv) const;
  bool is_flag(std::string_view word) const;

  CLI::App app_;
  GlobalOptions global_;
  std::map<std::string, std::string> flags_;
  std::vector<std::string> known_;  // every setting of every command
  std::function<int(Reporter&)> chosen_;
  std::vector<Secret> secrets_;  // alive, and so hidden, until the last word is printed
};

// Registered by main's table, in the order of --help.
void add_build_commands(Cli& cli);  // build and plan
void add_patch_command(Cli& cli);
void add_env_commands(Cli& cli);    // env create, ls, rm; doctor; version
void add_cache_commands(Cli& cli);  // cache stat, gc, clear, verify, explain
void add_upload_command(Cli& cli);
void add_hub_commands(Cli& cli);         // hub ls, rm, mv, reindex
void add_inspect_commands(Cli& cli);     // inspect, verify, explain
void add_wheel_commands(Cli& cli);       // wheel retag, label
void add_completion_commands(Cli& cli);  // completion; man, which --help does not show

}  // namespace sagebuild
