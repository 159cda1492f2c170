#include "sagebuild/app/known_bad.hpp"

#include <algorithm>

#include "sagebuild/patch/rule.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/machine.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const Recipes& shipped() {
  static const Recipes recipes = load_recipes(
      std::filesystem::path(environment_value("SAGEBUILD_TEST_SOURCE").value()) / "patches");
  return recipes;
}

}  // namespace

TEST_CASE("who asks for v2.2.0 is told of its wrong results, and what was done about them") {
  const Recipe& recipe = shipped().named("sageattention");
  PatchedTree tree;
  tree.checkout.commit = "28dc1b0" + std::string(33, '0');
  const auto unpatched = known_faults(recipe, tree, parse_arch_list("8.9 9.0"));
  REQUIRE(unpatched.size() == 2);
  CHECK(unpatched[0].find("v2.2.0 is known to be bad: it returns uninitialised output on Hopper") ==
        0);
  CHECK(unpatched[0].ends_with("nothing mended it here: build another commit"));
  CHECK(known_faults(recipe, tree, parse_arch_list("8.9 12.0+PTX")).size() ==
        1);  // Hopper is not asked for
  CHECK(known_faults(recipe, tree, parse_arch_list("9.0a")).size() == 2);
  tree.rules.push_back({.id = "hopper-fake-name", .file = "", .why = "", .count = 1});
  CHECK(known_faults(recipe, tree, parse_arch_list("9.0"))[0].ends_with(
      "the rule 'hopper-fake-name' mended it in this build"));
  tree.checkout.commit = recipe.ref;  // what is built by default
  tree.rules.back().count = 0;        // and is right by itself
  CHECK(known_faults(recipe, tree, parse_arch_list("9.0")).empty());
}

TEST_CASE("the tag v2.2.0 itself, and a fork that has its fault, are told of") {
  const Recipe& recipe = shipped().named("sageattention");
  PatchedTree tag;
  tag.checkout.commit = "eb615cf6cf4d221338033340ee2de1c37fbdba4a";
  CHECK(known_faults(recipe, tag, parse_arch_list("9.0")).size() == 2);
  PatchedTree fork;
  fork.checkout.commit = std::string(40, '1');
  fork.rules.push_back({.id = "hopper-fake-name", .file = "", .why = "", .count = 0});
  fork.rules.push_back({.id = "gqa-heads", .file = "", .why = "", .count = 0});
  fork.rules.push_back({.id = "gqa-heads", .file = "", .why = "", .count = 3});
  const auto faults = known_faults(recipe, fork, parse_arch_list("9.0"));
  REQUIRE(faults.size() == 1);
  CHECK(
      faults[0].starts_with("this source has a known fault of v2.2.0: it computes grouped-query"));
  CHECK(faults[0].ends_with("the rule 'gqa-heads' mended it in this build"));
}

TEST_CASE("the rules that a recipe names for known faults are there") {
  for (const Recipe& recipe : shipped().all()) {
    const RuleSet rules = load_rules(recipe);
    for (const KnownBad& bad : recipe.known_bad) {
      INFO(recipe.name << " " << bad.mended_by);
      CHECK((bad.mended_by.empty() ||
             std::ranges::find(rules.rules, bad.mended_by, &Rule::id) != rules.rules.end()));
    }
  }
}

}  // namespace sagebuild
