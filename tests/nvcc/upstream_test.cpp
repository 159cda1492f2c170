// The real torch's headers, and optionally a real project's sources, through the engine. Hidden:
// minutes.

#include <algorithm>

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::string python_include() {
  const auto result = run({{shared_python().value(), "-c",
                            "import sysconfig; print(sysconfig.get_paths()['include'])"}});
  return std::string(trimmed(result.output));
}

struct RealWorld {
  NvccWorld world;
  fs::path torch = shared_package("torch").value();
  std::shared_ptr<CompileSettings> settings = world.settings();

  explicit RealWorld(const fs::path& tree) {
    world.flags.clear();
    settings->roots["tree"] = tree;
    settings->roots["site"] = torch.parent_path();
    settings->roots["python"] = python_include();
  }

  PlannedSource source(const fs::path& file, const std::vector<Target>& targets) {
    PlannedSource result = world.source(file.filename());
    result.recorded.source = file;
    result.recorded.cwd = file.parent_path();
    result.recorded.argv.pop_back();
    const Words flags = {"-I" + (torch / "include").string(),
                         "-I" + (torch / "include/torch/csrc/api/include").string(),
                         "-I" + python_include(), "-D_GLIBCXX_USE_CXX11_ABI=1",
                         "-DTORCH_EXTENSION_NAME=_ops"};
    result.recorded.argv.insert(result.recorded.argv.end(), flags.begin(), flags.end());
    result.targets = targets;
    result.cxx_standard = "c++20";
    return result;
  }
};

void report(const StepRunner& runner, const std::string& name) {
  double total = 0;
  std::uint64_t peak = 0;
  for (const auto& run : runner.runs) {
    if (environment_value("SAGEBUILD_TEST_VERBOSE"))
      WARN(run.label << ": " << run.cpu_seconds << " s");
    total += run.cpu_seconds;
    peak = std::max(peak, run.peak_memory);
  }
  WARN(name << ": " << total << " CPU s, largest process " << (peak >> 20U) << " MiB");
}

TEST_CASE(
    "a source with the real torch's headers is compiled with facade headers, and linked with the "
    "bridge",
    "[.torch]") {
  const TempDir tree("nvcc-real");
  write_file(tree.path() / "ops.cu", R"(#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>
__global__ void fill(float* p) { p[threadIdx.x] = 1.0f; }
torch::Tensor ones(torch::Tensor like) {
  TORCH_CHECK(like.is_cuda() && like.dim() == 1, "wrong tensor");
  at::cuda::CUDAGuard guard(like.device());
  auto result = torch::empty({like.size(0)}, like.options().dtype(torch::kFloat32));
  fill<<<1, 32, 0, at::cuda::getCurrentCUDAStream()>>>(result.data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}
)");
  write_file(tree.path() / "bind.cpp", R"(#include <torch/extension.h>
torch::Tensor ones(torch::Tensor like);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("ones", &ones, "ones like", pybind11::arg("like")); }
)");
  RealWorld real(tree.path());
  StepRunner runner(*real.world.cache);
  const auto ops = real.source(tree.path() / "ops.cu", {{Arch{8, 9}, Arch{8, 9}, true, false, ""}});
  real.settings->bridge->object = tree.path() / "bridge.o";
  runner.run(bridge_step(ops, *real.settings));
  REQUIRE(real.settings->bridge->fits);
  runner.run(compile_step(ops, "m._ops", real.settings));
  REQUIRE(real.world.outcomes.size() == 1);
  CAPTURE(real.world.outcomes[0].reason);
  CHECK(real.world.outcomes[0].mode == CompileMode{HeaderMode::facade, HeaderMode::facade, false});
  auto binding = real.source(tree.path() / "bind.cpp", {});
  binding.recorded.argv.insert(binding.recorded.argv.end(), {"-O1", "-fPIC"});
  runner.run(compile_step(binding, "m._ops", real.settings));
  CAPTURE(real.world.outcomes.back().reason);
  CHECK(real.world.outcomes.back().mode.host == HeaderMode::binding);
  // Its symbols are hidden: the linker finds each, or says so.
  run_checked({{"g++", "-shared", ops.recorded.object, binding.recorded.object,
                real.settings->bridge->object, "-o", tree.path() / "ops.so"}},
              "cannot link with the bridge");
  CHECK_THROWS(run_checked({{"g++", "-shared", ops.recorded.object, "-o", tree.path() / "no.so"}},
                           "no bridge"));
  report(runner, "small source and its binding");
}

// By hand: SAGEBUILD_TEST_PROJECT (a source tree), _FILES (relative to it, by colons), _ARCHS
// ("8.9 12.0") and _WORK (private folders and objects are left there, to be held against those of
// plain nvcc).
TEST_CASE("a real project's sources", "[.project]") {
  const auto tree = environment_value("SAGEBUILD_TEST_PROJECT");
  const auto files = environment_value("SAGEBUILD_TEST_FILES");
  const auto work = environment_value("SAGEBUILD_TEST_WORK");
  REQUIRE((tree && files && work));
  std::vector<Target> targets;
  for (const auto& request :
       parse_arch_list(environment_value("SAGEBUILD_TEST_ARCHS").value_or("8.9")))
    targets.push_back({request.arch, request.arch, request.sass, request.ptx, ""});
  RealWorld real(*tree);
  real.settings->work = fs::path(*work) / "private";
  if (environment_value("SAGEBUILD_TEST_CHECK")) real.settings->choice = HeaderChoice::check;
  for (const auto file : split(*files, ":")) {
    auto source = real.source(fs::path(*tree) / file, targets);
    source.recorded.object = fs::path(*work) / (fs::path(file).filename().string() + ".o");
    const Words flags = source.recorded.language == Language::cuda
                            ? Words{"-O3",
                                    "--use_fast_math",
                                    "-U__CUDA_NO_HALF_OPERATORS__",
                                    "-U__CUDA_NO_HALF_CONVERSIONS__",
                                    "--threads=8",
                                    "-Xptxas=-v",
                                    "-diag-suppress=174",
                                    "-DENABLE_BF16",
                                    "-Xcompiler",
                                    "-fPIC"}
                            : Words{"-g", "-O3", "-fopenmp", "-lgomp", "-DENABLE_BF16", "-fPIC"};
    source.recorded.argv.insert(source.recorded.argv.end(), flags.begin(), flags.end());
    StepRunner runner(*real.world.cache);
    runner.run(compile_step(source, "sageattention._ops", real.settings));
    WARN(file << ": " << describe(real.world.outcomes.back().mode) << " "
              << real.world.outcomes.back().reason);
    report(runner, std::string(file));
  }
}

}  // namespace
}  // namespace sagebuild
