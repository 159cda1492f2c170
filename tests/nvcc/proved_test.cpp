// A recipe's word for our headers holds for the sources that it lists, and for no others.

#include "nvcc/proved.hpp"

#include "sagebuild/recipe/recipe.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using nvcc::source_digest;

constexpr std::string_view kSource =
    "#include <torch/extension.h>\n#include \"own.h\"\n__global__ void k(float* p) { *p = OWN; }\n"
    "void f(at::Tensor t) { k<<<1, 1>>>(static_cast<float*>(t.data_ptr())); }\n";
constexpr std::string_view kBinding =
    "#include <torch/extension.h>\n#include \"own.h\"\nint f(torch::Tensor& t) { return t.size(0) "
    "> OWN; }\n";
constexpr std::string_view kHeader = "#define OWN 1\n";

const CompileMode kTorchsOwn{HeaderMode::full, HeaderMode::full, false};

ProvedSources proved_of(std::initializer_list<std::string_view> texts) {
  ProvedSources proved;
  auto& version = proved.versions.emplace_back();
  for (const auto text : texts) version.insert(source_digest(text).hex());
  return proved;
}

CompileOutcome outcome_of(NvccWorld& world, const std::string& name, std::string_view source,
                          std::string_view header) {
  world.put(world.tree() / name, source);
  world.put(world.tree() / "own.h", header);
  world.outcomes.clear();
  world.compile(name);
  REQUIRE(world.outcomes.size() == 1);
  return world.outcomes.front();
}

}  // namespace

TEST_CASE("comments and blanks of a source do not count, and everything else does") {
  const auto same = [](std::string_view one, std::string_view other) {
    return source_digest(one) == source_digest(other);
  };
  CHECK(same("int a;  // one\nint b;\n", "int a; // two\n\n  int b; /* x */\n"));
  CHECK(same("int a = 1'000; // '\n", "int a = 1'000;\n"));
  CHECK_FALSE(same("int a;\n#define X\n", "int a; #define X\n"));
  CHECK_FALSE(
      same("const char* a = \"/*\"; int b; // */\n", "const char* a = \"/*\"; int c; // */\n"));
  CHECK_FALSE(same("const char* a = \"// x\";\n", "const char* a = \"// y\";\n"));
  CHECK_FALSE(same("int ab;\n", "int a/**/b;\n"));
  // The backslash joins two lines in one of them alone.
  CHECK_FALSE(same("#define A x \\ // c\n y\n", "#define A x \\\n y\n"));
  CHECK_FALSE(same("#define A x \\ /* c */\n y\n", "#define A x \\\n y\n"));
  CHECK_FALSE(same("// \\\nint a;\n", "// \\\nint b;\n"));
  CHECK_FALSE(same("auto a = R\"(\")\"; // \"\nint b;\n", "auto a = R\"(\")\"; // \"\nint c;\n"));
  CHECK_FALSE(same("char a = '\"'; int b; // \"\n", "char a = '\"'; int c; // \"\n"));
}

TEST_CASE("stand-ins serve the sources that the recipe lists, with every file that they include") {
  NEEDS_NVCC();
  NvccWorld world;
  world.proved = proved_of({kSource, kBinding, kHeader});
  CHECK(outcome_of(world, "a.cu", kSource, kHeader).mode.device == HeaderMode::facade);
  CHECK(describe(outcome_of(world, "b.cpp", kBinding, kHeader).mode) == "binding headers");

  const std::string other = replaced(std::string(kSource), "*p = OWN", "*p = OWN + 1");
  const auto source = outcome_of(world, "a.cu", other, kHeader);
  CHECK(source.mode == kTorchsOwn);
  CHECK_THAT(source.reason, Catch::Contains("'a.cu' is not the source"));
  for (const auto& [name, text] : {std::pair("a.cu", kSource), std::pair("b.cpp", kBinding)}) {
    const auto header = outcome_of(world, name, text, "#define OWN 2\n");
    CHECK(header.mode == kTorchsOwn);
    CHECK_THAT(header.reason, Catch::Contains("'own.h' is not the source"));
  }

  world.proved = proved_of({kSource, kBinding});  // and the object from before is not taken
  world.proved.versions.push_back(proved_of({kHeader}).versions.front());
  const auto mixed = outcome_of(world, "a.cu", kSource, kHeader);
  CHECK(mixed.mode == kTorchsOwn);
  CHECK_THAT(mixed.reason, Catch::Contains("'own.h' is not the source"));
}

TEST_CASE("a macro that the proved commands did not define is refused stand-ins") {
  NEEDS_NVCC();
  NvccWorld world;
  world.proved = proved_of({kSource});
  world.put(world.tree() / "a.cu", kSource);
  world.flags =
      GENERATE(Words{"-DOTHER=1"}, Words{"-Xcompiler", "-O1,-DOTHER"}, Words{"-D", "NDEBUG,OTHER"});
  const auto outcome = [&] {
    return predict_compile(world.source("a.cu"), "minisage._x", *world.settings()).outcome;
  };
  CHECK(outcome().mode == kTorchsOwn);
  CHECK_THAT(outcome().reason, Catch::Contains("'OTHER'"));
  world.proved.macros.insert("OTHER");
  CHECK(outcome().mode.device == HeaderMode::facade);
}

TEST_CASE("the recipe of minisage lists what lies in examples") {
  const auto root = test_source() / "examples/minisage/csrc";
  const Recipe recipe = load_recipe(test_source() / "patches/minisage.toml");
  REQUIRE(recipe.proved.versions.size() == 1);
  std::set<std::string, std::less<>> digests;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string digest = source_digest(read_file(entry.path())).hex();
    INFO(digest << " " << entry.path().lexically_relative(root.parent_path()).string());
    CHECK(recipe.proved.versions.front().contains(digest));
    digests.insert(digest);
  }
  CHECK(recipe.proved.versions.front() == digests);
}

}  // namespace sagebuild
