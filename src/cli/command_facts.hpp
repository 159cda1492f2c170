#pragma once
// The command line as CLI11 knows it, as plain values: what completion and man pages are made from,
// so that neither can tell of what is not there. Hidden options and commands are left out.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace sagebuild {

struct OptionFacts {
  std::vector<std::string> names;  // "-o", "--output"
  std::string group;
  std::string value;  // "DIR"; empty: a switch
  std::string help;
  bool is_list = false;
};

struct CommandFacts {
  std::string path;  // "env create"; empty: the program itself
  std::string help;
  std::string footer;  // examples
  std::vector<OptionFacts> options;
  std::vector<OptionFacts> operands;                       // named by `value`: "FILE"
  std::vector<std::pair<std::string, std::string>> below;  // commands with their help
};

// The program, then each command, in the order of --help.
std::vector<CommandFacts> command_facts(const CLI::App& app);

}  // namespace sagebuild
