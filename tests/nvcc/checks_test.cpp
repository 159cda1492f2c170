#include "sagebuild/nvcc/checks.hpp"

#include "sagebuild/nvcc/text.hpp"
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
      "extern \"C\" int cudaLaunchKernel(...);\ntemplate <class T> void f() { ::cudaLaunchKernel(0, 0, 0, 0, 0, 0);}\n"
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

TEST_CASE("macros that the project's files ask for") {
  const std::string full =
      "# 1 \"/site/torch.h\"\n#define INNER 1\n# 1 \"/tree/a.cu\" 1\n#define VERSION 2\n#define TORCH_CHECK(x) "
      "real(x)\n"
      "#undef NEVER\n#define SAME 1\n";
  const auto ours = [](const std::string& text) { return "# 1 \"/tree/a.cu\"\n" + text; };
  const std::string same = "#define VERSION 2\n#define TORCH_CHECK(x) other(x)\n#undef NEVER\n#define SAME 1\n";
  const std::set<std::string, std::less<>> by_design = {"TORCH_CHECK"};
  CHECK_FALSE(macro_difference(full, ours(same), "/tree/", by_design));
  CHECK(macro_difference(full, ours(same), "/tree/", {})->find("TORCH_CHECK") != std::string::npos);
  CHECK(macro_difference(full, ours("#undef VERSION\n#define SAME 1\n"), "/tree/", by_design)->find("VERSION") !=
        std::string::npos);
  CHECK(macro_difference(full, ours("#define VERSION 1\n#define SAME 1\n"), "/tree/", by_design)->find("VERSION") !=
        std::string::npos);
  CHECK(macro_difference(full, ours("#define VERSION 2\n"), "/tree/", by_design)->find("SAME") != std::string::npos);
  CHECK(defined_macros("#define A 1\n  #define B(x) x\n// #define C\n") ==
        std::set<std::string, std::less<>>{"A", "B"});
}

TEST_CASE("the proof: PTX equal but for globals that nothing refers to") {
  const std::string full = ".target sm_89\n.global .align 1 .b8 unused[1];\n.entry k()\n{\nret;\n}\n";
  CHECK_FALSE(ptx_difference(full, ".target sm_89\n.entry k()\n{\nret;\n}\n"));
  CHECK(ptx_difference(full, ".target sm_89\n.entry k()\n{\nexit;\n}\n")->find("exit;") != std::string::npos);
  CHECK(ptx_difference(full, ".target sm_89\n.entry k()\n{\nret;\n"));
}

}  // namespace
}  // namespace sagebuild
