// What does not fit the first mode, and what nobody should notice.
#include "sagebuild/nvcc/compile.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

const std::string kSmall =
    "#include <torch/extension.h>\n__global__ void k(int* p) { *p = 1; }\nvoid f(torch::Tensor t) "
    "{ "
    "k<<<1, 1>>>(static_cast<int*>(t.data_ptr())); }\n";

TEST_CASE("an option that changes the shape goes to plain nvcc, with a reason") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  world.flags = {"-O1", "-rdc=true"};
  world.compile("a.cu");
  CHECK(world.outcomes.back().mode.plain);
  CHECK(world.outcomes.back().reason.find("device link") != std::string::npos);
  CHECK(RecordingReporter::any_has(world.reporter.notes, "in one piece"));
  CHECK(world.object("a.cu").size() > 0);
  CHECK(world.outcomes.back().mode.host == HeaderMode::full);
  std::filesystem::remove_all(world.tree() / "build");
  CHECK(world.compile("a.cu").runs.front().hit);
}

TEST_CASE("architectures hidden in an options file are not the plan's, so plain nvcc gets them") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  world.put(world.tree() / "more.txt", "-gencode=arch=compute_90,code=sm_90");
  world.flags = {"-O1", "--options-file", "more.txt"};
  const auto predicted = predict_compile(world.source("a.cu"), "mini._ops", *world.settings());
  CHECK(predicted.outcome.mode.plain);
  CHECK(predicted.outcome.reason.find("other architectures") != std::string::npos);
}

TEST_CASE(
    "a program that only this source needs counts by its content; one that is not found keeps "
    "nothing") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu",
            "__global__ void k(int* p) { *p = 1; }\nvoid f(int* p) { k<<<1, 1>>>(p); }\n");
  const auto tool = world.tree() / "tileir";
  const auto nvcc = world.tree() / "nvcc";
  const bool found = GENERATE(true, false);
  if (found) world.put(tool, "one");
  world.put(
      nvcc,
      fmt::format(
          "#!/bin/sh\ncase \"$*\" in *--dryrun*) {0} \"$@\"; echo '#$ {1} x' >&2; exit 0;; esac\n"
          "exec {0} \"$@\"\n",
          real_nvcc()->string(), tool.string()));
  std::filesystem::permissions(nvcc, std::filesystem::perms::owner_all);
  const auto hits = [&] {
    PlannedSource source = world.source("a.cu");
    source.recorded.argv.front() = nvcc;
    StepRunner runner(*world.cache);
    runner.run(compile_step(source, "mini._ops", world.settings()));
    return runner.runs.front().hit;
  };
  CHECK_FALSE(hits());
  CHECK(world.outcomes.back().mode.plain);
  CHECK(hits() == found);
  if (found) world.put(tool, "two");
  CHECK_FALSE(hits());
}

TEST_CASE(
    "memory is predicted for the headers that will be used, and what others took says nothing of "
    "it") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  const auto predicted = [&](bool proved) {
    world.proved.everything = proved;
    return predict_compile(world.source("a.cu"), "mini._ops", *world.settings()).steps;
  };
  const auto ours = predicted(true);
  const auto torchs = predicted(false);  // no recipe vouches for ours
  const auto most = [](const StepGraph& steps) {
    return std::ranges::max(steps, {}, &Step::expected_memory).expected_memory >> 20U;
  };
  CHECK(most(ours) <= 500);
  CHECK(most(torchs) >= 2900);  // Thrust beside torch took 2.9 GB
  for (const Stage stage : {Stage::cudafe, Stage::cicc, Stage::host_compile}) {
    const auto subject_of = [&](const StepGraph& steps) {
      return std::ranges::find(steps, stage, &Step::stage)->subject;
    };
    CHECK(subject_of(ours) != subject_of(torchs));
  }
}

TEST_CASE("plan predicts mode and cache") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  const auto before = predict_compile(world.source("a.cu"), "mini._ops", *world.settings());
  CHECK(before.outcome.mode == CompileMode{HeaderMode::facade, HeaderMode::facade, false});
  CHECK_FALSE(before.cached);
  CHECK(std::ranges::count(before.steps, Stage::cicc, &Step::stage) == 1);
  world.compile("a.cu");
  const auto after = predict_compile(world.source("a.cu"), "mini._ops", *world.settings());
  CHECK(after.cached);
  CHECK(after.steps.empty());
}

TEST_CASE("what the facade does not have is taken from torch's own headers") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "full.cu", kSmall + "int g() { return ONLY_FULL; }\n");
  world.compile("full.cu");
  CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::full, HeaderMode::full, false});
}

TEST_CASE("what only the host pass cannot compile has torch's own headers there alone") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu",
            kSmall + "#ifndef __CUDA_ARCH__\nint g(at::Scale s) { return s.value > 1; }\n#endif\n");
  world.compile("a.cu");
  CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::full, false});
}

TEST_CASE(
    "a torch that the bridge does not compile with costs its headers on the host, and is told") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  auto settings = world.settings();
  settings->bridge->object = settings->work / "bridge" / "torch_bridge.o";
  StepRunner runner(*world.cache);
  runner.run(bridge_step(world.source("a.cu"), *settings));  // this torch has no c10/cuda
  CHECK_FALSE(world.bridge->fits);
  CHECK(RecordingReporter::any_has(world.reporter.notes, "bridge does not compile: "));
  world.compile("a.cu");
  CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::full, false});
}

TEST_CASE("whether a project includes torch") {
  const TempDir tree("sagebuild-test");
  write_file(tree.path() / "a.cu", "__global__ void k(int* p) { *p = 1; }\n");
  CHECK_FALSE(includes_torch(tree.path()));
  write_file(tree.path() / "csrc" / "a.cuh", "#include <torch/extension.h>\n");
  CHECK(includes_torch(tree.path()));
}

TEST_CASE("a mistake in the source is nvcc's own error in the end") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall + "int g() { return no_such_name; }\n");
  try {
    world.compile("a.cu");
    FAIL("it compiled");
  } catch (const Error& error) {
    CHECK(error.rendered().find("no_such_name") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(world.source("a.cu").recorded.object));
}

TEST_CASE("spaces and other letters in paths") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string name = "my sources/k\xc3\xa4se brot.cu";
  world.put(world.tree() / name, kSmall);
  world.compile(name);
  CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::facade, HeaderMode::facade, false});
}

TEST_CASE("line information names the project's files, not this machine's folders") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  world.flags = {"-O1", "-lineinfo"};
  world.compile("a.cu");
  const auto object = world.object("a.cu");
  const auto ptx = read_file(world.find_private("a.ptx"));
  CHECK(ptx.find("/sagebuild/tree/a.cu") != std::string::npos);
  CHECK(ptx.find(world.tree().string()) == std::string::npos);
  CHECK(object.find(world.tree().string()) == std::string::npos);
}

TEST_CASE("nothing of this machine's folders is in an object") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall + "void g(int i) { TORCH_CHECK(i > 0, \"\") }\n");
  world.compile("a.cu");
  const auto object = world.object("a.cu");
  CHECK(object.find(world.tree().parent_path().string()) == std::string::npos);
  CHECK(object.find("/sagebuild/tree/a.cu") != std::string::npos);  // TORCH_CHECK's __FILE__
}

TEST_CASE("two sources of one name in one module do not collide") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string text =
      "namespace { __global__ void k(int* p) { *p = NUMBER; } }\nvoid FUNCTION(int* p) { k<<<1, "
      "1>>>(p); }\n";
  for (const std::string folder : {"one", "two"}) {
    world.put(world.tree() / folder / "k.cu",
              "#define FUNCTION " + folder + "\n#define NUMBER 1\n" + text);
    world.compile(folder + "/k.cu");
  }
  run_checked({{"ld", "-r", world.source("one/k.cu").recorded.object,
                world.source("two/k.cu").recorded.object, "-o", "/dev/null"}},
              "cannot link both");
  CHECK(module_id("one/k.cu", "p", "m") != module_id("two/k.cu", "p", "m"));
  CHECK(module_id("k.cu", "p", "m1") != module_id("k.cu", "p", "m2"));
  CHECK(module_id("csrc/fused.cu", "p", "m").substr(9).starts_with("_8_fused_cu_"));
}

TEST_CASE("headers full and headers check") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  SECTION("full") {
    world.choice = HeaderChoice::full;
    world.compile("a.cu");
    CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::full, HeaderMode::full, false});
  }
  SECTION("check: the proof runs once, and its verdict is kept") {
    world.choice = HeaderChoice::check;
    CHECK(world.compile("a.cu").count("header proof") == 1);
    CHECK(world.outcomes.back().mode.device == HeaderMode::facade);
    world.flags.push_back("-DUNUSED");
    CHECK(world.compile("a.cu").count("header proof") == 0);
  }
  SECTION("check: code for one architecture made from another's PTX is held against its own") {
    world.choice = HeaderChoice::check;
    world.targets[0] = {Arch{8, 9}, Arch{9, 0}, true, false, ""};
    // A preprocessor, cicc and ptxas.
    CHECK(world.compile("a.cu").count("pair proof") == 3);
    world.put(world.tree() / "b.cu", kSmall +
                                         "#ifndef __CUDA_ARCH__\n#define __CUDA_ARCH__ 0\n#endif\n"
                                         "__global__ void own(int* p) { *p = __CUDA_ARCH__; }\n");
    CHECK_THROWS_MATCHES(world.compile("b.cu"), Error,
                         says("machine code for sm_90 made from PTX for compute_89 is not what"));
  }
  SECTION("check: other PTX that comes to the same instructions is no difference") {
    world.choice = HeaderChoice::check;
    world.targets[0] = {Arch{8, 0}, Arch{9, 0}, true, false, ""};
    world.put(world.tree() / "c.cu",
              "#include <torch/extension.h>\n#include <cuda_bf16.h>\n"
              "__global__ void add(__nv_bfloat162* p) { p[0] = __hadd2(p[1], p[2]); }\n"
              "void f(__nv_bfloat162* p) { add<<<1, 1>>>(p); }\n");
    CHECK(world.compile("c.cu").count("pair proof") == 3);
  }
  SECTION("check: other device code without any macro is found by the proof alone") {
    const auto header = world.site() / "torch/include/torch/extension.h";
    world.put(header,
              read_file(header) + "__host__ __device__ constexpr int step(long) { return 2; }\n");
    world.put(
        world.tree() / "b.cu",
        kSmall.substr(0, kSmall.find('\n') + 1) +
            "template <class... T> __host__ __device__ constexpr int step(T...) { return 1; }\n"
            "__global__ void k(int* p) { constexpr int n = step(1L); *p = n; }\n"
            "void f(int* p) { k<<<1, 1>>>(p); }\n");
    world.choice = HeaderChoice::check;
    world.compile("b.cu");
    CHECK(world.outcomes.back().mode.device == HeaderMode::full);
    CHECK(world.outcomes.back().reason.find("PTX differs") != std::string::npos);
  }
}

TEST_CASE("libcu++'s pipeline is left out where nothing of it is used") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string source = "#include <cuda/pipeline>\n" + kSmall;
  world.put(world.tree() / "a.cu", source);
  world.compile("a.cu");
  CHECK(world.outcomes.back().mode.device == HeaderMode::facade);
  const auto [name, used] = GENERATE(table<std::string, std::string>({
      {"b.cu", "__global__ void p() { auto pipe = cuda::make_pipeline(); pipe.quit(); }\n"},
      {"c.cu", "#ifdef CCCL_VERSION\n__global__ void p() {}\n#endif\n"},
  }));
  world.put(world.tree() / name, source + used);
  world.compile(name);
  CHECK(world.outcomes.back().mode.device == HeaderMode::full);
  CHECK(world.outcomes.back().mode.host == HeaderMode::full);
}

TEST_CASE(
    "a binding is compiled without debug information, with the binding header, and from the "
    "cache") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "bind.cpp",
            "#include <torch/extension.h>\nint f(torch::Tensor& t) { return t.size(0) > 1; }\n");
  world.flags = {"-g", "-O1", "-fPIC"};
  world.compile("bind.cpp");
  CHECK(world.outcomes.back().mode.host == HeaderMode::binding);
  CHECK(world.object("bind.cpp").find(".debug_info") == std::string::npos);
  world.put(world.tree() / "bind.cpp",
            "#include <torch/extension.h>\n// said twice\nint f(torch::Tensor& t) { return "
            "t.size(0) > 1; }\n");
  const auto runs = world.compile("bind.cpp");
  CHECK(runs.count("preprocess") == 1);
  CHECK(runs.count("g++") == 0);

  world.put(world.tree() / "full.cpp",
            "#include <torch/extension.h>\nint f() { return ONLY_FULL; }\n");
  world.compile("full.cpp");
  CHECK(world.outcomes.back().mode.host == HeaderMode::full);
}

}  // namespace
}  // namespace sagebuild
