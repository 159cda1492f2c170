// Any bytes as a recipe: it loads, or an Error names what is wrong; what loads can be applied.

#include <string_view>

#include "sagebuild/base/error.hpp"
#include "sagebuild/patch/patch.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const sagebuild::TempDir dir("fuzz-recipe", "/dev/shm");
  static const std::string setup =
      sagebuild::read_file(SAGEBUILD_SOURCE_DATA "/tests/patch/shapes/v2_2_main.py");
  const std::filesystem::path file = dir.path() / "x.toml";
  sagebuild::write_file(file, std::string_view(reinterpret_cast<const char*>(data), size));
  try {
    const sagebuild::RuleSet rules = sagebuild::load_rules(sagebuild::load_recipe(file));
    (void)sagebuild::patch_text(rules, "setup.py", setup);
  } catch (const sagebuild::Error&) {
  }
  return 0;
}
