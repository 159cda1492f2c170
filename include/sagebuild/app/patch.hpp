#pragma once
// `sagebuild patch`: a setup.py, or a whole tree, patched in place or shown, with proof that the
// result is Python and does what the recipe's table says.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/patch/patch.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct PatchSettings {
  std::string target;  // a file, a folder, or "-" for standard input
  std::string input;   // what standard input held, for "-"
  // By name; empty: the one that fits the content
  std::string recipe;
  std::optional<std::filesystem::path> recipe_file;  // --recipe FILE
  // The program's data folder: holds patches/
  std::filesystem::path data;
  std::string python = "python3";  // checks the result; looked up in PATH
  // Writes nothing; Error{patch_needed} if a patch is needed
  bool check = false;
  bool diff = false;  // writes nothing; the diff is in the result
  // Writes nothing; the module x gencode table is in the result
  bool verify = false;
  // TORCH_CUDA_ARCH_LIST values; empty: a default set
  std::vector<std::string> verify_lists;
  std::optional<std::filesystem::path> output;  // of a single file: written there instead
};

// What a setup.py would hand to nvcc for one architecture list.
struct GencodeRow {
  std::string list;
  std::string error;                                        // setup.py refused the list
  std::map<std::string, std::vector<std::string>> modules;  // module to "sm_90a", "compute_120" ...
};

struct PatchReport {
  std::string recipe;
  std::vector<PatchOutcome> outcomes;
  // "rule 'package-version' is for 'sageattention/__init__.py'"
  std::vector<std::string> not_applied;
  std::string diff;
  std::vector<GencodeRow> table;
  std::string text;  // the patched text, for "-"
};

// Writes all files or none. Throws Error{failed} with every rule that does not fit, for a file that
// is unreadable, not UTF-8 or read-only, and if the result is not valid Python; Error{usage} for
// flags that do not go together.
PatchReport patch_files(const PatchSettings& settings, Reporter& report);

// `sagebuild patch --lint`: loads recipes with all rules and gives one line for each. Throws
// Error{usage} with the first fault.
std::vector<std::string> lint_recipes(const std::filesystem::path& data,
                                      const std::optional<std::filesystem::path>& extra);

// Runs the text of a setup.py in `folder` with stand-ins for torch and setuptools that record what
// it would compile.
std::vector<GencodeRow> gencode_table(std::string_view setup_py,
                                      const std::filesystem::path& folder,
                                      const std::vector<std::string>& lists,
                                      const PatchSettings& settings);

}  // namespace sagebuild
