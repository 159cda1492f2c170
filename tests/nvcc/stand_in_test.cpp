// Headers that stand in for torch's may not change what a source means, and serve only where they
// are proved.
#include "sagebuild/nvcc/compile.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

constexpr CompileMode kTorchsOwn{HeaderMode::full, HeaderMode::full, false};
constexpr std::string_view kStart =
    "#include <torch/extension.h>\ntemplate <int N> __global__ void k(int* p) { *p = N; }\n"
    "void f(int* p) { k<1><<<1, 1>>>(p); }\n";

CompileOutcome outcome_of(NvccWorld& world, const std::string& name, const std::string& text) {
  world.put(world.tree() / name, text);
  world.outcomes.clear();
  world.compile(name);
  REQUIRE(world.outcomes.size() == 1);
  return world.outcomes.front();
}

// A detection idiom that a member of torch's Tensor answers, and the facade's lacks: no check could
// see the difference.
constexpr std::string_view kIdiom =
    "#include <torch/extension.h>\n#include <type_traits>\n"
    "template <class T, class = void> struct has : std::false_type {};\n"
    "template <class T> struct has<T, std::void_t<decltype(std::declval<T&>().only_torch())>> : "
    "std::true_type {};\n"
    "__global__ void k(int* p) { *p = has<at::Tensor>::value; }\nvoid f(int* p) { k<<<1, 1>>>(p); "
    "}\n";

TEST_CASE("a project that no recipe vouches for is compiled with torch's own headers") {
  NEEDS_NVCC();
  NvccWorld world;
  const auto tensor = world.site() / "torch/include/ATen/core/Tensor.h";
  world.put(tensor, replaced(read_file(tensor), "void* data_ptr() const;",
                             "void* data_ptr() const; void only_torch();"));
  const auto stored_value = [&] {
    const std::string ptx = read_file(world.find_private("a.ptx"));
    return ptx.substr(
        ptx.find("mov.b32") == std::string::npos ? ptx.find("mov.u32") : ptx.find("mov.b32"), 40);
  };
  SECTION("by default") {
    world.proved = {};
    CHECK(outcome_of(world, "a.cu", std::string(kIdiom)).mode == kTorchsOwn);
    CHECK_THAT(stored_value(), Catch::Contains(", 1;"));
    const std::string binding =
        "#include <torch/extension.h>\nint f(torch::Tensor& t) { return t.size(0) > 1; }\n";
    CHECK(outcome_of(world, "b.cpp", binding).mode.host == HeaderMode::full);
  }
  SECTION("--headers facade takes ours, at the user's risk") {
    world.choice = HeaderChoice::facade;
    CHECK(outcome_of(world, "a.cu", std::string(kStart)).mode.device == HeaderMode::facade);
  }
  SECTION("--headers check takes ours, and finds the difference") {
    world.choice = HeaderChoice::check;
    const auto outcome = outcome_of(world, "a.cu", std::string(kIdiom));
    CHECK(outcome.mode == kTorchsOwn);
    CHECK_THAT(outcome.reason, Catch::Contains("PTX differs"));
    CHECK_THAT(stored_value(), Catch::Contains(", 1;"));
  }
}

TEST_CASE("a macro of torch's is missed in every pass and every file that asks for it") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string asks = "#ifdef ONLY_FULL\n#define WHICH 2\n#else\n#define WHICH 1\n#endif\n";
  const std::string kernel =
      "__global__ void which(int* p) { *p = WHICH; }\nvoid g(int* p) { which<<<1, 1>>>(p); }\n";
  const auto is_refused = [&](const std::string& name, const std::string& text,
                              const std::string& macro = "ONLY_FULL") {
    const CompileOutcome outcome = outcome_of(world, name, text);
    CAPTURE(outcome.reason);
    CHECK(outcome.mode.host == HeaderMode::full);
    CHECK_THAT(outcome.reason, Catch::Contains(macro));
    return outcome.mode;
  };
  SECTION("a .cpp with the binding headers") {
    is_refused("b.cpp",
               "#include <torch/extension.h>\n" + asks + "int which() { return WHICH; }\n");
  }
  SECTION("the pass of one architecture alone, which is not the first") {
    world.targets.push_back({Arch{9, 0}, Arch{9, 0}, true, false, ""});
    const std::string late =
        "#if __CUDA_ARCH__ >= 900\n" + asks + "#else\n#define WHICH 3\n#endif\n";
    CHECK(is_refused("a.cu", std::string(kStart) + late + kernel) == kTorchsOwn);
  }
  SECTION("a header outside of the project's tree") {
    const auto elsewhere = world.tree().parent_path() / "elsewhere";
    world.put(elsewhere / "which.h", asks);
    world.flags.push_back("-I" + elsewhere.string());
    CHECK(is_refused("a.cu", std::string(kStart) + "#include <which.h>\n" + kernel) == kTorchsOwn);
  }
  SECTION("a package beside torch") {
    world.put(world.site() / "other" / "which.h", asks);
    world.flags.push_back("-I" + (world.site() / "other").string());
    CHECK(is_refused("a.cu", std::string(kStart) + "#include <which.h>\n" + kernel) == kTorchsOwn);
  }
  SECTION("the list of architectures, in a header outside of the tree") {
    const auto elsewhere = world.tree().parent_path() / "elsewhere";
    world.put(elsewhere / "list.h", "inline int list[] = {__CUDA_ARCH_LIST__};\n");
    world.flags.push_back("-I" + elsewhere.string());
    is_refused("a.cu", std::string(kStart) + "#include <list.h>\n", "__CUDA_ARCH_LIST__");
  }
  SECTION("a name that is put together, and one that is used as a word") {
    const auto header = world.site() / "torch/include/torch/extension.h";
    world.put(header, read_file(header) + "#define ONLY_NAME other_name\n");
    const std::string paste = std::string(kStart) + "#define PASTE(a, b) a##b\n";
    is_refused("a.cu", paste + "int PASTE(ONLY_, NAME) = 3;\n", "ONLY_NAME");
    is_refused("c.cu", paste + "#if PASTE(ONLY_, FULL)\nint more;\n#endif\n");
    is_refused("d.cu", std::string(kStart) + "int ONLY_NAME = 3;\n", "ONLY_NAME");
  }
  SECTION("a macro of Python's that this Python does not have") {
    is_refused("a.cu", std::string(kStart) + "#ifdef Py_NEWER\nint more;\n#endif\n", "Py_NEWER");
  }
}

// What changes between two builds with one cache, alone; the second is held against a build with an
// empty cache.
void expect_change(NvccWorld& world, const std::string& name, const std::function<void()>& change) {
  world.compile(name);
  const std::string before = world.object(name);
  world.compile(name);
  CHECK((world.object(name) == before));
  change();
  world.compile(name);
  const std::string after = world.object(name);
  CHECK((after != before));
  world.cache = std::make_shared<MemoryCache>();
  world.compile(name);
  // nvcc itself names temporary files by its process in what it makes.
  const bool is_nvccs_own = !world.outcomes.empty() && world.outcomes.back().mode.plain;
  CHECK((world.object(name) == after || is_nvccs_own));
}

TEST_CASE("a file that only the assembler reads counts") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string blob =
      "asm(\".section .rodata\\n.globl blob\\nblob: .inc\" \"bin \\\"data.bin\\\"\\n.text\");\n";
  world.put(world.tree() / "data.bin", "data-ONE");
  const auto change = [&] { world.put(world.tree() / "data.bin", "data-TWO"); };
  SECTION("in a .cpp, named relative to where it is compiled") {
    world.put(world.tree() / "b.cpp", blob);
    expect_change(world, "b.cpp", change);
  }
  SECTION("in a .cu that is taken apart") {
    world.put(world.tree() / "a.cu",
              std::string(kStart) + "#ifndef __CUDA_ARCH__\n" + blob + "#endif\n");
    expect_change(world, "a.cu", change);
    CHECK_FALSE(world.outcomes.back().mode.plain);
  }
  SECTION("in a .cu that plain nvcc compiles") {
    world.flags = {"-O1", "-rdc=true"};
    world.put(world.tree() / "a.cu",
              std::string(kStart) + "#ifndef __CUDA_ARCH__\n" + blob + "#endif\n");
    expect_change(world, "a.cu", change);
    CHECK(world.outcomes.back().mode.plain);
    CHECK((world.object("a.cu").find("data-TWO") != std::string::npos));
  }
}

TEST_CASE("files that options name count") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string text = std::string(kStart) + "int value() { return VALUE; }\n";
  world.put(world.tree() / "a.cu", text);
  world.put(world.tree() / "b.cpp", "int value() { return VALUE; }\n");
  const auto file = world.tree() / "options.txt";
  world.put(file, "-DVALUE=1");
  const auto change = [&] { world.put(file, "-DVALUE=2"); };
  SECTION("nvcc's options file") {
    world.flags = {"-O1", "--options-file", file.string()};
    expect_change(world, "a.cu", change);
  }
  SECTION("nvcc's options file, named relative to where it is compiled") {
    world.flags = {"-O1", "--options-file=options.txt"};
    expect_change(world, "a.cu", change);
  }
  SECTION("g++'s @file") {
    world.flags = {"-O1", "@" + file.string()};
    expect_change(world, "b.cpp", change);
  }
  SECTION("a header that is included by force") {
    world.put(file, "#define VALUE 1\n");
    world.flags = {"-O1", "-include", file.string()};
    expect_change(world, "a.cu", [&] { world.put(file, "#define VALUE 2\n"); });
  }
}

TEST_CASE("a compile whose inputs cannot be told is not kept, and that is said") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "b.cpp", "int value() { return 1; }\n");
  world.flags = {"-O1", "-fprofile-use"};
  world.compile("b.cpp");
  CHECK(RecordingReporter::any_has(world.reporter.notes,
                                   "is not kept in the cache: '-fprofile-use'"));
  CHECK(world.compile("b.cpp").count("g++") == 1);
}

TEST_CASE("a header that only the host compile reads counts") {
  NEEDS_NVCC();
  NvccWorld world;
  // Found before CUDA's own, since the project's folders come first.
  const auto header = world.tree() / "inc" / "fatbinary_section.h";
  const std::string text =
      read_file(world.toolchain().cuda_home / "include" / "fatbinary_section.h");
  const auto put = [&](const std::string& value) {
    world.put(header,
              "#pragma once\n" + text + "\nextern \"C\" int extra() { return " + value + "; }\n");
  };
  put("1");
  world.flags.push_back("-Iinc");
  world.put(world.tree() / "a.cu", std::string(kStart));
  expect_change(world, "a.cu", [&] { put("2"); });
  CHECK_FALSE(world.outcomes.back().mode.plain);
}

}  // namespace
}  // namespace sagebuild
