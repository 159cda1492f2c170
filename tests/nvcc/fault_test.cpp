// What may happen to tools and files around a compile, with the real cache on disk.
#include <chrono>
#include <thread>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/cache/cache.hpp"
#include "sagebuild/nvcc/compile.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct FaultWorld : NvccWorld {
  TempDir disk{"sagebuild-nvcc-fault"};
  std::unique_ptr<ActionCache> store = open_cache({disk.path() / "cache"}, reporter);

  FaultWorld() {
    put(tree() / "step.cuh", "constexpr int kStep = 1;\n");
    put(tree() / "a.cu",
        "#include \"step.cuh\"\n__global__ void k(int* p) { *p = kStep; }\nvoid f(int* p) { k<<<1, "
        "1>>>(p); }\n");
  }
  StepRunner run(Step step) {
    StepRunner runner(*store);
    runner.run(step);
    return runner;
  }
  StepRunner compile_on_disk(const std::shared_ptr<CompileSettings>& all) {
    return run(compile_step(source("a.cu"), "mini._ops", all));
  }
  std::shared_ptr<CompileSettings> disk_settings() {
    auto all = settings();
    all->cache = store.get();
    return all;
  }
  // Files as young as the clock's steps are never trusted: the control of each test needs them
  // older.
  static void let_files_age() { std::this_thread::sleep_for(100ms); }
};

TEST_CASE(
    "a tool that was replaced between two runs is another input of what it made, and of nothing "
    "else") {
  NEEDS_NVCC();
  FaultWorld world;
  const auto all = world.disk_settings();
  auto toolkit = std::make_shared<Toolkit>(*NvccWorld::toolkit());
  const std::string tool = GENERATE(as<std::string>{}, "cicc", "ptxas", "host");
  CAPTURE(tool);
  // As inspect_toolkit does it: by the cache's memory of file digests, which must not be taken in.
  const fs::path program = world.disk.path() / tool;
  const auto inspected = [&] {
    toolkit->tools[tool] = world.store->file_digest(program);
    return std::make_shared<Toolkit>(*toolkit);
  };
  world.put(program, "one");
  const auto time = fs::last_write_time(program);
  FaultWorld::let_files_age();
  all->toolkit = inspected();
  CHECK(world.compile_on_disk(all).count("cicc") == 1);
  FaultWorld::let_files_age();
  all->toolkit = inspected();
  CHECK(world.compile_on_disk(all).runs.front().hit);

  world.put(program, "two");  // as long and, by its time, as old
  fs::last_write_time(program, time);
  all->toolkit = inspected();
  const auto runs = world.compile_on_disk(all);
  CHECK_FALSE(runs.runs.front().hit);
  CHECK(runs.count("cicc") == (tool == "cicc" ? 1U : 0U));
  CHECK(runs.count("ptxas") == (tool == "ptxas" ? 1U : 0U));
  CHECK(runs.count("cudafe++") == 0);
  CHECK(runs.count("host compile") == (tool == "host" ? 1U : 0U));
}

TEST_CASE(
    "a header that changes while it is compiled is not kept as the answer for either of its "
    "states") {
  NEEDS_NVCC();
  FaultWorld world;
  const auto all = world.disk_settings();
  FaultWorld::let_files_age();
  const bool changes = GENERATE(true, false);
  Step step = compile_step(world.source("a.cu"), "mini._ops", all);
  const auto expand = step.expand;
  step.expand = [&](const StepFailure* failure) {
    auto graph = expand(failure);
    // The device pass has read the header, the host pass has not.
    const auto device = std::ranges::find(*graph, Stage::device_preprocess, &Step::stage);
    const auto host = std::ranges::find(*graph, Stage::host_preprocess, &Step::stage);
    host->after.push_back(static_cast<StepId>(device - graph->begin()));
    const auto finish = device->finish;
    device->finish = [&world, finish, changes] {
      finish();
      if (changes) world.put(world.tree() / "step.cuh", "constexpr int kStep = 2;\n");
    };
    return graph;
  };
  world.run(step);
  const bool told = RecordingReporter::any_has(world.reporter.details, "changed while it was read");
  CHECK(told == changes);
  const auto again = world.compile_on_disk(all);
  CHECK(again.runs.front().hit != changes);
  if (!changes) return;
  CHECK(again.count("cicc") == 1);
  CHECK(read_file(world.find_private("a.ptx")).find(", 2;") != std::string::npos);
}

}  // namespace
}  // namespace sagebuild
