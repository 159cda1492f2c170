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

TEST_CASE("a recipe says what is called on a GPU, and how right it must be") {
  const std::string head = "name = 'x'\ndetect = ['x']\n[[gpu_check]]\n";
  const std::string least = head + "function = 'p.f'\narchs = '9.0'\n";
  const std::string rest = "similarity = 0.99\nrelative_l1 = 0.1\n";
  const GpuCheck plain = from_text(least + rest).gpu_checks.at(0);
  CHECK(plain.function == "p.f");
  CHECK(print(plain.archs) == "9.0");
  CHECK(plain.layouts == std::vector<std::string>{"HND"});
  CHECK(plain.dtypes == std::vector<std::string>{"float16", "bfloat16"});
  CHECK(plain.causal == "is_causal");
  CHECK(plain.grouped);
  CHECK(plain.similarity == 0.99);
  CHECK(plain.relative_l1 == 0.1);
  const GpuCheck full = from_text(least + rest +
                                  "arguments = {b = 'x', a = true, c = 2, d = 0.5}\nmodule = '_m'\n"
                                  "layouts = ['varlen']\ndtypes = ['float16']\ncausal = ''\n"
                                  "grouped = false\nsince = '2.1'\nreason = 'r'\n")
                            .gpu_checks.at(0);
  CHECK(full.arguments == std::map<std::string, TomlScalar, std::less<>>{
                              {"a", true}, {"b", "x"}, {"c", 2LL}, {"d", 0.5}});
  CHECK(full.module == "_m");
  CHECK(full.layouts == std::vector<std::string>{"varlen"});
  CHECK(full.dtypes == std::vector<std::string>{"float16"});
  CHECK(full.causal.empty());
  CHECK_FALSE(full.grouped);
  CHECK(full.since == Version{2, 1});
  CHECK(full.reason == "r");

  const auto refuses = [&](const std::string& text, std::string_view why) {
    INFO(text);
    CHECK_THROWS_MATCHES(from_text(text), Error, says(std::string(why)));
  };
  refuses(head + "archs = '9.0'\n" + rest, "'function' is missing");
  refuses(head + "function = 'f'\narchs = '9.0'\n" + rest, "full name");
  refuses(head + "function = 'p.f'\n" + rest, "'archs' is missing");
  refuses(least + "similarity = 0.99\n", "'relative_l1' is missing");
  refuses(least + "similarity = 1\nrelative_l1 = 0.1\n", "'similarity' is between 0 and 1");
  refuses(least + "similarity = 'x'\nrelative_l1 = 0.1\n", "must be a number");
  refuses(least + rest + "layouts = ['DNH']\n", "'layouts' is a list of HND, NHD, varlen");
  refuses(least + rest + "layouts = []\n", "'layouts' is a list of");
  refuses(least + rest + "layouts = ['HND', 'varlen']\n", "a layout of its own");
  refuses(least + rest + "dtypes = ['float32']\n", "'dtypes' is a list of bfloat16, float16");
  for (const char* number : {"nan", "inf", "-inf", "0", "-0.5"})
    refuses(least + "similarity = 0.99\nrelative_l1 = " + number + "\n", "between 0 and 1");
  for (const char* name : {".f", "p.", "p..f"})
    refuses(head + "function = '" + name + "'\narchs = '9.0'\n" + rest, "full name");
  for (const char* archs : {"9.0+PTX", "9.0a", "8.0 12.0f"})
    refuses(head + "function = 'p.f'\narchs = '" + archs + "'\n" + rest, "a list of GPUs");
  refuses(least + rest + "dtypes = ['float16', 'float16']\n",
          "'dtypes' has one of its words twice");
  refuses(least + rest + "layouts = ['HND', 'HND']\n", "'layouts' has one of its words twice");
  refuses(least + rest + "arguments = {is_causal = 'x'}\n", "'is_causal' is given by the check");
  refuses(least + rest + "causal = 'c'\narguments = {c = true}\n", "'c' is given by the check");
  refuses(least + rest + "layouts = ['HND', 'NHD']\narguments = {tensor_layout = 'HND'}\n",
          "'tensor_layout' is given by the check");
  refuses(least + rest + "arguments = {a = [1]}\n", "must be a text, number or boolean");
  refuses(least + rest + "arguments = {a = nan}\n", "no finite number");
  refuses(least + rest + "layout = 'HND'\n", "unknown key 'layout'");
}

TEST_CASE("SageAttention's functions are called where its modules have code for the GPU") {
  const Recipes recipes = load_recipes(shipped());
  const Recipe& recipe = recipes.named("sageattention");
  CHECK(recipe.gpu_checks.size() == 21);
  const auto on = [&](const char* gpu) {
    std::map<std::string, int> calls;
    for (const GpuCheck& check : recipe.gpu_checks) {
      CHECK(check.function.starts_with("sageattention.sageattn"));
      if (std::ranges::find(check.archs, ArchRequest{parse_arch(gpu)}) == check.archs.end())
        continue;
      ++calls[check.module];
      // Its Triton kernel is kept off these.
      if (*gpu == '1' && gpu[1] == '2' && !check.module.empty())
        CHECK(check.arguments.at("qk_quant_gran") == TomlScalar("per_warp"));
    }
    return calls;
  };
  using Calls = std::map<std::string, int>;
  CHECK(on("8.6") == Calls{{"", 3}, {"_qattn_sm80", 8}});
  CHECK(on("8.9") == Calls{{"", 3}, {"_qattn_sm80", 8}, {"_qattn_sm89", 8}});
  CHECK(on("9.0") == Calls{{"", 3}, {"_qattn_sm80", 8}, {"_qattn_sm89", 8}, {"_qattn_sm90", 2}});
  CHECK(on("12.0") == Calls{{"", 1}, {"_qattn_sm80", 4}, {"_qattn_sm89", 4}});
  CHECK(on("7.5").empty());
  // A module that a check names is one of the recipe's, with code for each of its GPUs.
  for (const Recipe& one : recipes.all()) {
    for (const GpuCheck& check : one.gpu_checks) {
      if (check.module.empty()) continue;
      const RecipeModule& module = module_of(one, one.package + "." + check.module);
      for (const ArchRequest& request : check.archs) {
        INFO(check.module << " " << dotted(request.arch));
        CHECK(std::ranges::find(module.targets, request.arch, &RecipeTarget::request) !=
              module.targets.end());
      }
    }
  }
}

}  // namespace sagebuild
