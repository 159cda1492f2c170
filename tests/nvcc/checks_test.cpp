#include "sagebuild/nvcc/checks.hpp"

#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

TEST_CASE("undefined symbols of a real object") {
  const TempDir folder("checks");
  write_file(folder.path() / "a.cpp", "void gone(int); int here() { gone(1); return 2; }\n");
  run_checked({{"g++", "-c", "a.cpp", "-o", "a.o"}, folder.path()}, "cannot compile");
  const auto symbols = undefined_symbols(folder.path() / "a.o");
  CHECK(std::ranges::count(symbols, "_Z4gonei") == 1);
  CHECK(std::ranges::count(symbols, "_Z4herev") == 0);
  CHECK_THROWS_AS(undefined_symbols(folder.path() / "a.cpp"), Error);
}

TEST_CASE("missing kernels: the marker, a stub, a kernel's own name, and nothing else") {
  CHECK(missing_kernels({"_Z39sagebuild_kernel_missing_in_device_passv"}, {}));
  CHECK(missing_kernels({"_Z19__device_stub__Z1kPi"}, {}));
  CHECK(missing_kernels({"_ZN2ns1kEPi"}, {"k"}));
  CHECK_FALSE(missing_kernels({"_Z4gonei", "cudaLaunchKernel", "_ZN2ns2kkEPi"}, {"k"}));
}

TEST_CASE("the marker's mangled name is the one that the compiler makes") {
  const TempDir folder("checks");
  std::string text =
      "extern \"C\" int cudaLaunchKernel(...);\ntemplate <class T> void f() { "
      "::cudaLaunchKernel(0, 0, 0, 0, 0, 0);}\n"
      "void g() { f<int>(); }\n";
  REQUIRE(mark_missing_kernels(text) == 1);
  write_file(folder.path() / "a.cpp", text);
  run_checked({{"g++", "-c", "a.cpp", "-o", "a.o"}, folder.path()}, "cannot compile");
  CHECK(missing_kernels(undefined_symbols(folder.path() / "a.o"), {}));
}

TEST_CASE("types of torch's in a kernel's name") {
  CHECK(torch_types({"_Z4takeN2at6TensorE"}));
  CHECK(torch_types({"_Z4takeILN3c1010ScalarTypeE5EEvPi"}));
  CHECK_FALSE(torch_types({"_Z4takePf", "_Z4takePN3foo3atmE"}));
}

bool is_in_tree(std::string_view file) { return file.starts_with("/tree/"); }

TEST_CASE("what own files ask of the preprocessor") {
  const MacroUse use = macro_use(
      "# 1 \"/site/torch.h\"\n#define INNER 1\nint other;\n# 1 \"/tree/a.cu\" 1\n#define VERSION "
      "2\n#define CHECK(x) f(x)\n"
      "#undef NEVER\n#pragma omp x\nint a = one(\"in \\\" text\") + 'c' + 1'000;\n# 3 "
      "\"<built-in>\"\nint more;\n",
      "/tree/a.cu:2:5: warning: \"ZERO\" is not defined, evaluates to 0 [-Wundef]\n    2 | #if "
      "ZERO\n"
      "/site/torch.h:9:1: warning: \"OTHER\" is not defined, evaluates to 0 [-Wundef]\n",
      is_in_tree);
  CHECK(use.defined ==
        std::map<std::string, std::string, std::less<>>{{"CHECK", "(x) f(x)"}, {"VERSION", " 2"}});
  CHECK(use.undefined == std::set<std::string, std::less<>>{"NEVER", "ZERO"});
  CHECK(use.words == std::set<std::string, std::less<>>{"a", "int", "omp", "one", "pragma", "x"});
  CHECK_FALSE(use.hides_undefined);
}

TEST_CASE("what stands in a raw string leads to no other file and hides no question") {
  const MacroUse use =
      macro_use("# 1 \"/tree/a.cu\"\nauto s = R\"(\n# 1 \"/site/torch.h\"\n)\";\n#undef VERSION\n",
                "", is_in_tree);
  CHECK(use.undefined.contains("VERSION"));
  const MacroUse quoted =
      macro_use("# 1 \"/tree/a.cu\"\nauto s = R\"(\n#define ONLY_TORCHS 1\n#pragma undef\n)\";\n",
                "", is_in_tree);
  CHECK(quoted.defined.empty());
  CHECK(quoted.words == std::set<std::string, std::less<>>{"auto", "s"});
  CHECK_FALSE(quoted.hides_undefined);
}

TEST_CASE("a quote in a raw string, or in a literal of one character, hides no word behind it") {
  for (const std::string literal : {"R\"(\")\"", "u8R\"x(\")\")x\"", "R\"(\n\")\"", "L'\"'", "'\"'",
                                    "\"\\\\\"", "\"\\\"\"", "1'000"}) {
    CAPTURE(literal);
    const MacroUse use =
        macro_use("# 1 \"/tree/a.cu\"\nf(" + literal + ", WORD);\n", "", is_in_tree);
    CHECK(use.words == std::set<std::string, std::less<>>{"WORD", "f"});
  }
}

TEST_CASE("a definition that torch's headers hold in a raw string is none") {
  const MacroState state = macro_state("#define A 1\nauto s = R\"(\n#undef A\n#define B\n)\";\n");
  CHECK(state.defined == std::map<std::string, std::string, std::less<>>{{"A", " 1"}});
  CHECK(state.taken_back.empty());
}

TEST_CASE("what is defined at the end of a text survives being written down") {
  const MacroState state =
      macro_state("#define A 1\nint x;\n#define B(x) x\n#undef A\n#define C\n#define C 2\n");
  CHECK(state.defined ==
        std::map<std::string, std::string, std::less<>>{{"B", "(x) x"}, {"C", " 2"}});
  CHECK(state.taken_back == std::set<std::string, std::less<>>{"A"});
  const MacroState again = macro_state(text_of(state));
  CHECK(again.defined == state.defined);
  CHECK(again.taken_back == state.taken_back);
}

TEST_CASE("macros that torch's headers would have answered otherwise") {
  const MacroState full = macro_state(
      "#define VERSION 2\n#define TORCH_CHECK(x) real(x)\n#define SAME 1\n#define OLD\n#undef "
      "OLD\n");
  const std::set<std::string, std::less<>> stand_ins = {"TORCH_CHECK", "OURS"};
  const auto difference = [&](const std::string& asked) {
    return macro_difference(macro_use("# 1 \"/tree/a.cu\"\n" + asked, "", is_in_tree), full,
                            stand_ins)
        .value_or("none");
  };
  CHECK(difference("#define VERSION 2\n#define TORCH_CHECK(x) other(x)\n#undef NEVER\n#define SAME "
                   "1\nint a;\n") == "none");
  CHECK_THAT(difference("#undef VERSION\n"), Catch::Contains("'VERSION' is asked for"));
  CHECK_THAT(difference("#define VERSION 1\n"), Catch::Contains("'VERSION' has another value"));
  CHECK_THAT(difference("int a = VERSION;\n"),
             Catch::Contains("'VERSION' of torch's headers is used"));
  CHECK(difference("#define SAGEBUILD_HERE 0\n") == "none");
  CHECK_THAT(difference("#define OURS 1\n"), Catch::Contains("'OURS' is sagebuild's own"));
  CHECK_THAT(difference("#define OLD 1\n"), Catch::Contains("'OLD' is taken back"));
  CHECK_THAT(difference("#undef Py_GIL_DISABLED\n"), Catch::Contains("Py_GIL_DISABLED"));
  CHECK_THAT(difference("#pragma GCC diagnostic ignored \"-Wundef\"\n"),
             Catch::Contains("silences -Wundef"));
  CHECK(difference("#define MINE 1\n") == "none");
  CHECK(defined_macros("#define A 1\n  #define B(x) x\n// #define C\n") ==
        std::set<std::string, std::less<>>{"A", "B"});
}

TEST_CASE("the proof: PTX equal but for globals that nothing refers to") {
  const std::string full =
      ".target sm_89\n.global .align 1 .b8 unused[1];\n.entry k()\n{\nret;\n}\n";
  CHECK_FALSE(ptx_difference(full, ".target sm_89\n.entry k()\n{\nret;\n}\n"));
  CHECK(ptx_difference(full, ".target sm_89\n.entry k()\n{\nexit;\n}\n")->find("exit;") !=
        std::string::npos);
  CHECK(ptx_difference(full, ".target sm_89\n.entry k()\n{\nret;\n"));
}

}  // namespace
}  // namespace sagebuild
