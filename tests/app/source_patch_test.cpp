#include "sagebuild/app/source_patch.hpp"

#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecipe = R"(name = 'p'
detect = ['p._C']
record_archs = '8.0;9.0'
[[module]]
name = 'p._C'
targets = [{request = '8.0'}]
[[module]]
name = 'p._D'
targets = [{request = '9.0'}]
[[shape]]
name = 'port'
when = ['hipcc']
refuse = 'is a port'
[[shape]]
name = 'flags of its own'
when = ['own_flags']
as_is = true
note = 'as it is'
[[shape]]
name = 'any'
[[rule]]
id = 'flags'
why = 'one list for all'
planned = true
pattern = 'flags = 1'
replace = 'flags = 2'
done = 'flags = 2'
[[rule]]
id = 'check'
why = 'an old nvcc makes traps'
pattern = 'check = 1'
replace = 'check = 2'
count = '0-1'
[[rule]]
id = 'heads'
file = 'p/core.py'
why = 'heads are counted wrong'
pattern = 'heads = 1'
replace = 'heads = 2'
done = 'heads = 2'
)";

struct World {
  TempDir folder{"source-patch-test"};
  Checkout checkout;
  Recipe recipe;
  RecordingReporter report;

  World(std::string_view setup_py, std::string_view core) {
    write_file(folder.path() / "p.toml", kRecipe);
    write_file(folder.path() / "tree/setup.py", setup_py);
    write_file(folder.path() / "tree/p/core.py", core);
    recipe = load_recipe(folder.path() / "p.toml");
    checkout.root = folder.path() / "tree";
  }
  PatchedSource patch(bool strict = false) {
    return patch_source(checkout, recipe, strict, report);
  }
  std::string text(const char* file) const { return read_file(checkout.root / file); }
};

}  // namespace

TEST_CASE("a setup.py that the rules do not fit is built as it is, and what that costs is said") {
  World world("check = 1\nflagz = 1\n", "heads = 1\n");
  const PatchedSource source = world.patch();
  CHECK_FALSE(source.known);
  CHECK(world.text("setup.py") == "check = 1\nflagz = 1\n");
  CHECK(world.text("p/core.py") == "heads = 2\n");  // the files whose rules fit are patched
  REQUIRE(source.tree.rules.size() == 1);
  CHECK(source.tree.rules[0].id == "heads");
  REQUIRE(world.report.warnings.size() == 2);
  CHECK(world.report.warnings[0].find("rule 'flags' expects 1 match and found 0 in 'setup.py'") ==
        0);
  CHECK(world.report.warnings[1].find("'setup.py' is built as it is") == 0);
  CHECK(world.report.warnings[1].find("what is lost: check: an old nvcc makes traps") !=
        std::string::npos);
  // The plan does that
  CHECK(world.report.warnings[1].find("one list for all") == std::string::npos);
}

TEST_CASE("with --strict-patch a rule that does not fit is an error, and nothing is written") {
  World world("flagz = 1\n", "heads = 1\n");
  CHECK_THROWS_MATCHES(world.patch(true), Error, says("cannot patch 'setup.py'"));
  CHECK(world.text("p/core.py") == "heads = 1\n");
}

TEST_CASE("what the recipe refuses stays refused") {
  World world("hipcc\nflags = 1\n", "heads = 1\n");
  CHECK_THROWS_MATCHES(world.patch(), Error, says("is a port"));
}

TEST_CASE("a shape that is right by itself is not patched, and its other files are") {
  World world("own_flags\nflags = 1\n", "heads = 1\n");
  const PatchedSource source = world.patch(true);
  CHECK_FALSE(source.known);  // so nothing is proved of its sources
  CHECK(world.text("setup.py") == "own_flags\nflags = 1\n");
  CHECK(world.text("p/core.py") == "heads = 2\n");
  CHECK(world.report.warnings.empty());
  CHECK(world.report.notes == std::vector<std::string>{"as it is"});
}

TEST_CASE(
    "a module that setup.py names and does not build is missed, where the recipe has code for it") {
  World world("X('p._C'); Y('p._D')\n", "heads = 1\n");
  const RecordedBuild recorded{{{"p._C", "p/_C.so", {}, {}, {}}}, "/w.whl"};
  warn_of_missing_modules(world.recipe, world.checkout.root, recorded, parse_arch_list("8.0"),
                          world.report);
  CHECK(world.report.warnings.empty());
  warn_of_missing_modules(world.recipe, world.checkout.root, recorded, parse_arch_list("8.0 9.0"),
                          world.report);
  REQUIRE(world.report.warnings.size() == 1);
  CHECK(world.report.warnings[0].find("setup.py names 'p._D' and does not build it") == 0);
}

}  // namespace sagebuild
