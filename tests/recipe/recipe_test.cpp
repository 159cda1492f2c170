#include "sagebuild/recipe/recipe.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

fs::path shipped() { return fs::path(std::getenv("SAGEBUILD_TEST_SOURCE")) / "patches"; }

const RecipeModule& module_of(const Recipe& recipe, std::string_view name) {
  const auto found = std::ranges::find(recipe.modules, name, &RecipeModule::name);
  REQUIRE(found != recipe.modules.end());
  return *found;
}

// "8.0->80/80" for every target, "+" where PTX is worth something.
std::string table_of(const RecipeModule& module) {
  std::vector<std::string> cells;
  for (const RecipeTarget& target : module.targets) {
    cells.push_back(dotted(target.request) + "->" + digits(target.virtual_arch) + "/" +
                    digits(target.real) + (target.ptx_allowed ? "+" : ""));
  }
  return join(cells, " ");
}

Recipe from_text(std::string_view text) {
  const TempDir dir("recipe-test");
  write_file(dir.path() / "x.toml", text);
  return load_recipe(dir.path() / "x.toml");
}

}  // namespace

TEST_CASE("the shipped recipe of SageAttention says what each module is built for") {
  const Recipe recipe = load_recipes(shipped()).named("sageattention");
  CHECK(recipe.url == "https://github.com/thu-ml/SageAttention");
  CHECK(recipe.ref == "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5");
  CHECK(print(recipe.default_archs) == "8.0 8.6 8.9 9.0 12.0+PTX");
  CHECK(table_of(module_of(recipe, "sageattention._qattn_sm89")) ==
        "8.9->89/89+ 9.0->89/90+ 10.0->100/100+ 10.3->100/100+ 12.0->120/120+ 12.1->120/120+");
  CHECK(table_of(module_of(recipe, "sageattention._qattn_sm90")) == "9.0->90a/90a");
  CHECK(table_of(module_of(recipe, "sageattention._fused")) ==
        "8.0->80/80 8.6->80/80 8.7->80/80 8.9->89/89+ 9.0->90/90+ 10.0->100/100+ 10.3->100/100+ "
        "12.0->120/120+ "
        "12.1->120/120+");
  for (const RecipeModule& module : recipe.modules) CHECK_FALSE(module.reason.empty());
  CHECK(module_of(recipe, "sageattention._qattn_sm80").costs == StageCosts{56, 34});
  CHECK(module_of(recipe, "sageattention._qattn_sm80").parts == 4);
  CHECK(module_of(recipe, "sageattention._qattn_sm89").costs == StageCosts{});
  CHECK(module_of(recipe, "sageattention._qattn_sm89").parts == 1);
  REQUIRE(recipe.proved.versions.size() == 1);
  CHECK(recipe.proved.versions.front().size() == 29);  // every file of its csrc
  CHECK(recipe.proved.macros == std::set<std::string, std::less<>>{"ENABLE_BF16"});
  CHECK(load_recipes(shipped()).named("spargeattn").proved.empty());
}

TEST_CASE("no shipped recipe makes FP8 PTX below 8.9 or PTX of an architecture-specific target") {
  const Recipes recipes = load_recipes(shipped());
  for (const Recipe& recipe : recipes.all()) {
    for (const RecipeModule& module : recipe.modules) {
      const bool fp8 = module.name.find("sm80") == std::string::npos &&
                       module.name.find("fp4") == std::string::npos;
      for (const RecipeTarget& target : module.targets) {
        INFO(recipe.name << " " << module.name << " " << dotted(target.request));
        if (fp8 && target.virtual_arch < Arch{8, 9}) CHECK_FALSE(target.ptx_allowed);
        if (target.virtual_arch.feature != ArchFeature::plain) CHECK_FALSE(target.ptx_allowed);
      }
    }
  }
}

TEST_CASE("a recipe file that is not there is the user's slip, with what --recipe takes") {
  CHECK_THROWS_MATCHES(load_recipes(shipped(), fs::path("nowhere.toml")), Error,
                       says("there is no recipe file 'nowhere.toml'").hints("--recipe takes"));
}

TEST_CASE("a tree is matched by what its setup.py holds") {
  const Recipes recipes = load_recipes(shipped());
  const TempDir tree("recipe-test");
  CHECK_THROWS_MATCHES(recipes.match(tree.path()), Error, says("has no setup.py"));
  write_file(tree.path() / "python" / "setup.py", "");
  CHECK_THROWS_MATCHES(recipes.match(tree.path()), Error,
                       says("python").hints("--subfolder python"));

  write_file(tree.path() / "setup.py", "setup(name='something')\n");
  CHECK_FALSE(recipes.match(tree.path()));

  write_file(tree.path() / "setup.py", "setup(name='sageattention')\n");
  REQUIRE(recipes.match(tree.path()));
  CHECK(recipes.match(tree.path())->name == "sageattention");
}

namespace {

std::string matched(const std::string& setup_py) {
  const auto recipe = load_recipes(shipped()).match_text(setup_py);
  return recipe ? recipe->name : "none";
}

}  // namespace

TEST_CASE(
    "a recipe is told by the modules that setup.py builds, not by words that may stand anywhere") {
  // A fork of the FP4 subproject in a folder of its own, which names the parent project in its
  // address.
  CHECK(
      matched("setup(name=\"sageattn3\", url=\"https://example.org/sageattention\", ext_modules=[\n"
              "  CUDAExtension(\"sageattn3.fp4attn_cuda\", [\"k.cu\"])])\n") == "sageattention3");
  CHECK(matched("setup(name='mine', install_requires=['sageattention'],\n"
                "  ext_modules=[CUDAExtension('mine._C', ['k.cu'])])\n") == "none");
  // A fork under another name, with the same modules; and one that builds both projects.
  CHECK(matched("# from sageattention\nCUDAExtension(f'{PACKAGE}._qattn_sm80')\n") ==
        "sageattention");
  CHECK(
      matched("CUDAExtension('sageattention._fused')\nCUDAExtension('sageattention._qattn_sm80')\n"
              "CUDAExtension('fp4attn_cuda')\n") == "sageattention");
  CHECK(matched("url = 'of sageattention'\nCUDAExtension(name='spas_sage_attn._qattn')\n"
                "CUDAExtension(name='spas_sage_attn._fused')\n") == "spargeattn");
}

TEST_CASE("two recipes that fit equally are asked about, unless one was given") {
  const std::string module = "[[module]]\nname = 'p._C'\ntargets = [{request = '8.0'}]\n";
  const TempDir dir("recipe-test");
  write_file(dir.path() / "a.toml", "name = 'a'\ndetect = ['p._C']\n" + module);
  write_file(dir.path() / "b.toml", "name = 'b'\ndetect = ['p._C']\n" + module);
  CHECK_THROWS_MATCHES(
      load_recipes(dir.path()).match_text("X('p._C')"), Error,
      says("recipes 'a' and 'b' fit 'setup.py' equally").hints("--recipe a or --recipe b"));
  CHECK(load_recipes(dir.path(), dir.path() / "b.toml").match_text("X('p._C')")->name == "b");
  write_file(dir.path() / "b.toml", "name = 'b'\ndetect = [\"X('p._C')\"]\n" + module);
  CHECK(load_recipes(dir.path()).match_text("X('p._C')")->name == "b");
}

TEST_CASE("what is wrong in a recipe is named with its line") {
  const std::string head = "name = 'x'\ndetect = ['x']\n";
  CHECK(from_text(head).package == "x");
  CHECK_THROWS_MATCHES(from_text("name = 'x'\n"), Error, says("'detect' is missing"));
  CHECK_THROWS_MATCHES(from_text(head + "may_mis = ['a']\n"), Error,
                       says("unknown key 'may_mis'").hints("may_miss"));
  CHECK_THROWS_MATCHES(from_text(head + "[[module]]\nname = 'm'\n"), Error, says("has no targets"));
  CHECK_THROWS_MATCHES(from_text(head + "[[module]]\nname = 'm'\ntargets = [{request = '9.9'}]\n"),
                       Error, says("x.toml:5"));
  CHECK_THROWS_MATCHES(
      from_text(
          head +
          "[[module]]\nname = 'm'\ntargets = [{request = '9.0', virtual = '9.0a', ptx = true}]\n"),
      Error, says("no other GPU can take it"));
  CHECK_THROWS_MATCHES(
      from_text(head +
                "[[module]]\nname = 'm'\ntargets = [{request = '8.0'}, {request = '8.0'}]\n"),
      Error, says("'8.0' has two targets"));
  const std::string costs =
      head + "[[module]]\nname = 'm'\ntargets = [{request = '8.0'}]\ncosts = {";
  CHECK(from_text(costs + "ptxas_seconds = 9}\nparts = 4\n").modules[0].parts == 4);
  CHECK_THROWS_MATCHES(from_text(costs + "ptxas_seconds = 9}\nparts = 0\n"), Error,
                       says("'parts' is from 1 to 64"));
  CHECK_THROWS_MATCHES(from_text(costs + "cicc = 3}\n"), Error, says("unknown key 'cicc'"));
}

TEST_CASE(
    "an extra recipe replaces the shipped one of its name, and unknown names get the nearest") {
  const TempDir dir("recipe-test");
  write_file(dir.path() / "mine.toml",
             "name = 'sageattention'\ndetect = ['fork']\nurl = 'file:///mine'\n");
  const Recipes recipes = load_recipes(shipped(), dir.path() / "mine.toml");
  CHECK(recipes.named("sageattention").url == "file:///mine");
  CHECK_THROWS_MATCHES(recipes.named("sageatention"), Error,
                       says("unknown recipe").hints("sageattention"));
}

}  // namespace sagebuild
