#pragma once
// What the tests of the shipped rules share: the fixtures, one file per shape that upstream's
// setup.py ever had.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/app/patch.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

inline std::filesystem::path source_folder() { return std::getenv("SAGEBUILD_TEST_SOURCE"); }

inline std::string shape_text(const std::string& name) {
  return read_file(source_folder() / "tests/patch/shapes" / (name + ".py"));
}

inline RuleSet shipped_rules(std::string_view recipe) {
  return load_rules(load_recipes(source_folder() / "patches").named(recipe));
}

inline PatchSettings plain_settings() {
  PatchSettings settings;
  settings.data = source_folder();
  return settings;
}

// Module by module, as plain setuptools would build it: "_fused: sm_80 sm_120 | _qattn_sm80:
// sm_80", or the error.
inline std::string row_text(const GencodeRow& row) {
  if (!row.error.empty()) return row.error;
  std::vector<std::string> cells;
  for (const auto& [module, targets] : row.modules) {
    cells.push_back(module.substr(module.rfind('.') + 1) + ": " + join(targets, " "));
  }
  return join(cells, " | ");
}

inline std::vector<std::string> built_for(std::string_view setup_py,
                                          const std::vector<std::string>& lists) {
  std::vector<std::string> rows;
  for (const GencodeRow& row :
       gencode_table(setup_py, std::filesystem::temp_directory_path(), lists, plain_settings())) {
    rows.push_back(row_text(row));
  }
  return rows;
}

inline const std::vector<std::string> kSageShapes = {
    "v2_0", "v2_1_0", "v2_1_1", "v2_2_july", "v2_2_0", "simple", "v2_2_november", "v2_2_main"};

}  // namespace sagebuild
