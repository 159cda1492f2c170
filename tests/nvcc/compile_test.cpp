#include "sagebuild/nvcc/compile.hpp"

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/sys/elf.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

constexpr CompileMode kFirst{HeaderMode::facade, HeaderMode::facade, false};

constexpr std::string_view kOps = R"(#include <torch/extension.h>
#include "scale.cuh"
namespace { __global__ void hidden(int* p) { *p = kScale; } }
__constant__ int table[4];
template <class T> __global__ void fill(T* p, T value) { p[threadIdx.x] = value + T(table[0]); }
void launch(torch::Tensor out) {
  TORCH_CHECK(out.size(0) > 0, "empty");
  hidden<<<1, 1>>>(static_cast<int*>(out.data_ptr()));
  fill<float><<<1, 32>>>(static_cast<float*>(out.data_ptr()), 2.0f);
}
)";

void put_ops(const NvccWorld& world) {
  world.put(world.tree() / "csrc/ops.cu", kOps);
  world.put(world.tree() / "csrc/scale.cuh",
            "#pragma once\n// how much\nconstexpr int kScale = 2;\n");
}

TEST_CASE("this machine's toolkit passes its self-test") {
  NEEDS_NVCC();
  const auto toolkit = NvccWorld::toolkit();
  CHECK(toolkit->decompose_off == "");
  CHECK(toolkit->kernel_check_off == "");
  CHECK(toolkit->detach_off == "");
  for (const auto tool : {"nvcc", "cudafe++", "cicc", "ptxas", "fatbinary", "ld", "host"})
    CHECK(toolkit->tools.contains(tool));
}

TEST_CASE("a source is compiled with facade headers, and a second time from the cache") {
  NEEDS_NVCC();
  NvccWorld world;
  put_ops(world);
  const auto first = world.compile("csrc/ops.cu");
  REQUIRE(world.outcomes.size() == 1);
  CHECK(world.outcomes[0].mode == kFirst);
  CHECK(world.outcomes[0].reason == "");
  CHECK(first.count("cicc") == 1);
  for (const auto& symbol : undefined_symbols(world.source("csrc/ops.cu").recorded.object))
    CHECK(symbol.find("fatbin") == std::string::npos);

  std::filesystem::remove_all(world.tree() / "build");
  const auto second = world.compile("csrc/ops.cu");
  REQUIRE(second.runs.size() == 1);
  CHECK(second.runs[0].hit);
  CHECK(std::filesystem::exists(world.source("csrc/ops.cu").recorded.object));
}

// It loses what it was told of the headers that fitted.
class ForgetfulCache : public MemoryCache {
 public:
  std::optional<ActionResult> lookup_by_files(const ActionKey& key,
                                              const SearchScope& scope) override {
    if (key.kind() == "mode") return std::nullopt;
    return MemoryCache::lookup_by_files(key, scope);
  }
};

TEST_CASE("with an object from the cache comes how it was made, whatever else is lost") {
  NEEDS_NVCC();
  NvccWorld world(std::make_shared<ForgetfulCache>());
  // Only torch's own headers have it.
  world.put(world.tree() / "csrc/ops.cu",
            "#include <torch/extension.h>\nint f() { return ONLY_FULL; }\n");
  world.compile("csrc/ops.cu");
  REQUIRE(world.outcomes.size() == 1);
  CHECK_FALSE(world.outcomes[0].cached);
  CHECK(world.outcomes[0].mode.host == HeaderMode::full);
  std::filesystem::remove_all(world.tree() / "build");
  const auto second = world.compile("csrc/ops.cu");
  REQUIRE(second.runs.size() == 1);
  REQUIRE(world.outcomes.size() == 2);
  CHECK(world.outcomes[1].cached);
  CHECK(world.outcomes[1].mode == world.outcomes[0].mode);
  CHECK(world.outcomes[1].reason == world.outcomes[0].reason);
}

TEST_CASE("another folder and another venv give the same bytes, and every stage hits") {
  NEEDS_NVCC();
  NvccWorld world;
  put_ops(world);
  world.compile("csrc/ops.cu");
  NvccWorld elsewhere(world.cache);
  put_ops(elsewhere);
  const auto runs = elsewhere.compile("csrc/ops.cu");
  CHECK(runs.runs.size() == 1);  // the whole compile, by its headers
  CHECK(elsewhere.object("csrc/ops.cu") == world.object("csrc/ops.cu"));
  // A flag that only the preprocessor reads, and that changes nothing
  elsewhere.flags.push_back("-DUNUSED");
  const auto stages = elsewhere.compile("csrc/ops.cu");
  CHECK(stages.count("cicc") == 0);
  CHECK(stages.count("ptxas") == 0);
  CHECK(stages.count("cudafe++") == 0);
  CHECK(stages.count("host compile") == 0);
  CHECK(elsewhere.object("csrc/ops.cu") == world.object("csrc/ops.cu"));
}

TEST_CASE("what a change costs") {
  NEEDS_NVCC();
  NvccWorld world;
  put_ops(world);
  world.compile("csrc/ops.cu");
  SECTION("a comment that moves nothing: nothing at all") {
    world.put(world.tree() / "csrc/scale.cuh",
              "#pragma once\n// how much, exactly\nconstexpr int kScale = 2;\n");
    const auto runs = world.compile("csrc/ops.cu");
    REQUIRE(runs.runs.size() == 1);
    CHECK(runs.runs[0].hit);
  }
  SECTION(
      "the same with an options file, of which nobody knows what it asks for: no stage behind the "
      "preprocessor") {
    world.put(world.tree() / "options", "-DUNUSED");
    world.flags.push_back("--options-file=" + (world.tree() / "options").string());
    world.compile("csrc/ops.cu");
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("device preprocess") == 1);
    CHECK(runs.count("cicc") == 0);
  }
  SECTION("the same in a source that plain nvcc compiles: -src-in-ptx would copy the comment") {
    world.flags.insert(world.flags.end(), {"-lineinfo", "-src-in-ptx"});
    world.compile("csrc/ops.cu");
    CHECK(world.compile("csrc/ops.cu").count("nvcc") == 0);
    world.put(world.tree() / "csrc/scale.cuh",
              "#pragma once\n// how much, exactly\nconstexpr int kScale = 2;\n");
    CHECK(world.compile("csrc/ops.cu").count("nvcc") == 1);
  }
  SECTION("a comment on a line of its own: no stage behind the preprocessor") {
    world.put(world.tree() / "csrc/scale.cuh",
              "#pragma once\n// how much,\n// exactly\nconstexpr int kScale = 2;\n");
    const auto runs = world.compile("csrc/ops.cu");
    for (const auto stage : {"cicc", "ptxas", "cudafe++", "host compile"})
      CHECK(runs.count(stage) == 0);
    CHECK(runs.count("header check") == 0);  // full headers are not read again
  }
  SECTION("a macro of full headers that the source asks for since then: another verdict") {
    const std::string text(kOps);
    world.put(world.tree() / "csrc/ops.cu", text + "#ifdef ONLY_FULL\nint more;\n#endif\n");
    world.compile("csrc/ops.cu");
    CHECK(world.outcomes.back().mode.device == HeaderMode::full);
  }
  SECTION(
      "another module, which has another TORCH_EXTENSION_NAME: full headers are not read again") {
    const auto named = [&](const std::string& module, const std::string& more) {
      world.put(world.tree() / "csrc/ops.cu",
                std::string(kOps) + "void TORCH_EXTENSION_NAME() {}\n");
      world.flags = {"-DTORCH_EXTENSION_NAME=" + module};
      if (!more.empty()) world.flags.push_back(more);
      const auto runs = world.compile("csrc/ops.cu");
      CHECK(world.outcomes.back().mode.device == HeaderMode::facade);
      return runs;
    };
    CHECK(named("_one", "").count("header check") == 1);
    const auto runs = named("_two", "");
    CHECK(runs.count("header check") == 0);
    CHECK(runs.count("host compile") == 1);
    CHECK(named("_two", "-DOTHER").count("header check") == 1);
  }
  SECTION("a macro that a full header defines since then: another verdict") {
    world.put(world.tree() / "csrc/ops.cu",
              std::string(kOps) + "#ifdef LATER\nint more;\n#endif\n");
    world.compile("csrc/ops.cu");
    CHECK(world.outcomes.back().mode.device == HeaderMode::facade);
    const auto header = world.site() / "torch/include/torch/extension.h";
    world.put(header, read_file(header) + "#define LATER 1\n");
    if (GENERATE(true, false))
      world.put(world.tree() / "csrc/ops.cu",
                std::string(kOps) + "#ifdef LATER\nint more;\n#endif\n// touched\n");
    world.compile("csrc/ops.cu");
    CHECK(world.outcomes.back().mode.device == HeaderMode::full);
  }
  SECTION("a kernel's body: its device code, and no host compile") {
    std::string text(kOps);
    world.put(world.tree() / "csrc/ops.cu", replaced(text, "*p = kScale;", "*p = kScale + 1;"));
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("cicc") == 1);
    CHECK(runs.count("ptxas") == 1);
    CHECK(runs.count("cudafe++") == 1);
    CHECK(runs.count("host compile") == 0);
  }
  SECTION("one more architecture: its own stages") {
    world.targets.push_back({Arch{12, 0}, Arch{12, 0}, true, true, ""});
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("cicc") == 1);
    CHECK(runs.count("ptxas") == 1);
    CHECK(runs.count("cudafe++") == 0);
    CHECK(runs.count("host compile") == 0);
  }
  SECTION("one more real architecture of the same virtual one: ptxas alone") {
    world.targets.push_back({Arch{8, 9}, Arch{9, 0}, true, false, ""});
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("cicc") == 0);
    CHECK(runs.count("ptxas") == 1);
    CHECK(runs.count("host compile") == 0);
  }
  SECTION("another torch: its macros are looked at, no stage runs") {
    const auto header = world.site() / "torch/include/ATen/core/Tensor.h";
    world.put(header, read_file(header) + "namespace at { inline int newer() { return 1; } }\n");
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("header check") == 1);
    for (const auto stage : {"cicc", "ptxas", "cudafe++", "host compile"})
      CHECK(runs.count(stage) == 0);
  }
  SECTION("another Python: nothing at all") {
    const auto python = world.site().parent_path() / "python";
    const auto with_python = [&](const std::string& version) {
      world.put(python / "Python.h", "#pragma once\n#define PY_VERSION " + version + "\n");
      auto settings = world.settings();
      settings->roots["python"] = python;
      auto source = world.source("csrc/ops.cu");
      source.recorded.argv.push_back("-I" + python.string());
      StepRunner runner(*world.cache);
      runner.run(compile_step(source, "mini._ops", settings));
      return runner;
    };
    const auto header = world.site() / "torch/include/torch/extension.h";
    world.put(header, read_file(header) + "#include <Python.h>\n");
    CHECK(with_python("311").count("header check") == 1);
    const auto runs = with_python("312");
    REQUIRE(runs.runs.size() == 1);
    CHECK(runs.runs[0].hit);
  }
  SECTION("another torch, with its own headers on the host: the host side") {
    world.bridge = nullptr;
    world.compile("csrc/ops.cu");
    CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::full, false});
    const auto header = world.site() / "torch/include/ATen/core/Tensor.h";
    world.put(header, read_file(header) + "namespace at { inline int newer() { return 1; } }\n");
    const auto runs = world.compile("csrc/ops.cu");
    CHECK(runs.count("cicc") == 0);
    CHECK(runs.count("ptxas") == 0);
    CHECK(runs.count("cudafe++") == 1);
  }
}

// Each planted mismatch: what the source holds, and what has to be said.
TEST_CASE(
    "a mismatch between device and host pass is found, and the source compiled with headers that "
    "fit") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string start =
      "#include <torch/extension.h>\ntemplate <int N> __global__ void k(int* p) { *p = N; }\n";
  const auto outcome = [&](const std::string& text) {
    world.put(world.tree() / "bad.cu", text);
    world.compile("bad.cu");
    REQUIRE(world.outcomes.size() == 1);
    CHECK(world.outcomes[0].mode.device != HeaderMode::facade);
    CAPTURE(world.outcomes[0].reason, world.reporter.details);
    return world.outcomes[0];
  };
  SECTION("another struct layout") {
    const auto result =
        outcome(start +
                "struct Args { int a;\n#ifdef ONLY_FULL\n int b;\n#endif\n int c; };\n"
                "__global__ void take(int* p, Args a) { *p = a.c; }\n"
                "void f(int* p) { take<<<1, 1>>>(p, Args{}); }\n");
    CHECK(result.reason.find("ONLY_FULL") != std::string::npos);
    CHECK(result.mode == CompileMode{HeaderMode::full, HeaderMode::full, false});
  }
  SECTION("a macro that one mode lacks") {
    const auto result =
        outcome(start +
                "#if TORCH_VERSION_MAJOR >= 2\n#define STEP 2\n#else\n#define STEP 1\n#endif\n"
                "__global__ void take(int* p) { *p = STEP; }\n"
                "void f(int* p) { take<<<1, 1>>>(p); }\n");
    CHECK_THAT(result.reason, Catch::Contains("TORCH_VERSION_MAJOR"));
    CHECK(result.mode == CompileMode{HeaderMode::full, HeaderMode::full, false});
  }
  SECTION("a macro that the host pass alone asks for") {
    world.put(world.tree() / "bad.cu",
              start + "#ifndef __CUDA_ARCH__\n#ifdef ONLY_FULL\nint more;\n#endif\n#endif\n");
    world.compile("bad.cu");
    CHECK_THAT(world.outcomes.back().reason, Catch::Contains("'ONLY_FULL' is asked for"));
    CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::full, false});
  }
  SECTION("a host text that differs with the list of architectures") {
    world.put(world.tree() / "bad.cu", start + "int list[] = {__CUDA_ARCH_LIST__};\n");
    world.compile("bad.cu");
    CHECK_THAT(world.outcomes.back().reason, Catch::Contains("__CUDA_ARCH_LIST__"));
    CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::full, false});
  }
  SECTION("a kernel that takes a type of torch's") {
    const auto result =
        outcome(start +
                "template <at::ScalarType S> __global__ void take(int* p) { *p = int(S); }\n"
                "void f(int* p) { take<at::ScalarType::Half><<<1, 1>>>(p); }\n");
    CHECK(result.reason.find("type of torch's") != std::string::npos);
    CHECK(result.mode.device == HeaderMode::full);
  }
}

TEST_CASE(
    "a kernel that only the host pass launches is found whatever the headers, and left to plain "
    "nvcc") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string start =
      "#include <torch/extension.h>\ntemplate <int N> __global__ void k(int* p) { *p = N; }\n";
  world.put(world.tree() / "template.cu",
            start +
                "void f(int* p) {\n k<1><<<1, 1>>>(p);\n#ifndef __CUDA_ARCH__\n"
                " k<2><<<1, 1>>>(p);\n#endif\n}\n");
  world.compile("template.cu");
  CHECK(world.outcomes.back().mode.plain);
  CHECK(world.outcomes.back().reason.find(
            "template kernel that the device pass did not instantiate") != std::string::npos);

  world.put(world.tree() / "plain.cu",
            start +
                "#ifndef __CUDA_ARCH__\n__global__ void only(int* p) { *p = 1; }\n"
                "void f(int* p) { only<<<1, 1>>>(p); }\n#endif\n"
                "void g(int* p) { k<1><<<1, 1>>>(p); }\n");
  world.compile("plain.cu");
  CHECK(world.outcomes.back().mode.plain);
  CHECK(world.outcomes.back().reason.find("only(int*)") != std::string::npos);
}

}  // namespace
}  // namespace sagebuild
