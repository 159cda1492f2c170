// Any bytes as a setup.py: the shipped rules patch or refuse them, twice is once, and the time is
// linear.

#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "sagebuild/patch/patch.hpp"
#include "sagebuild/recipe/recipe.hpp"

namespace {

std::vector<sagebuild::RuleSet> shipped_rules() {
  std::vector<sagebuild::RuleSet> rules;
  const sagebuild::Recipes recipes = sagebuild::load_recipes(SAGEBUILD_SOURCE_DATA "/patches");
  for (const sagebuild::Recipe& recipe : recipes.all())
    rules.push_back(sagebuild::load_rules(recipe));
  return rules;
}

void require(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const std::vector<sagebuild::RuleSet> all = shipped_rules();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const sagebuild::RuleSet& rules : all) {
    const std::clock_t start = std::clock();  // of this process: a busy machine is no fault
    const sagebuild::PatchOutcome outcome = sagebuild::patch_text(rules, "setup.py", text);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    require(seconds < 1.0 + 1e-4 * static_cast<double>(size));
    require(outcome.failures.empty() || !outcome.changed());
    if (!outcome.changed()) continue;
    require(!sagebuild::patch_text(rules, "setup.py", outcome.after).changed());
  }
  return 0;
}
