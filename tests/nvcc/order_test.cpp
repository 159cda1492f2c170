// Whatever the order in which the scheduler runs a source's steps, and however long each takes, the
// object is the same.
#include <elf.h>

#include <random>
#include <set>

#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/sys/machine.hpp"
#include "support/catch.hpp"
#include "support/elf_sections.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Random priorities, and each process some time before and after its work: what ends first is
// chance.
class Shuffler {
 public:
  Shuffler(unsigned seed, unsigned most_milliseconds) : random_(seed), most_(most_milliseconds) {}

  StepGraph shuffled(StepGraph graph) {
    for (Step& step : graph) {
      step.expected_seconds = static_cast<double>(below(1000));
      if (step.command) step.command = delayed(std::move(step.command));
      if (!step.expand) continue;
      step.expand = [this, expand = std::move(step.expand)](
                        const StepFailure* failure) -> std::optional<StepGraph> {
        auto steps = expand(failure);
        if (!steps) return std::nullopt;
        return shuffled(*std::move(steps));
      };
    }
    return graph;
  }

 private:
  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_);
  }

  std::function<std::optional<Command>()> delayed(std::function<std::optional<Command>()> command) {
    const std::string script = fmt::format(
        "sleep 0.{:03}; \"$@\"; code=$?; sleep 0.{:03}; exit $code", below(most_), below(most_));
    return [script, command = std::move(command)]() -> std::optional<Command> {
      auto result = command();
      if (result) {
        const Words shell = {"sh", "-c", script, "sh"};
        result->argv.insert(result->argv.begin(), shell.begin(), shell.end());
      }
      return result;
    };
  }

  std::mt19937 random_;
  unsigned most_;
};

unsigned rounds_asked_for() {
  return static_cast<unsigned>(
      to_integer(environment_value("SAGEBUILD_TEST_ROUNDS").value_or("2")).value());
}

std::size_t images_in(const fs::path& object) {
  std::size_t count = 0;
  for (const auto& [name, content] : elf_sections(object)) {
    if (!name.starts_with(".nv_fatbin")) continue;
    for (auto at = content.find(ELFMAG); at != std::string::npos; at = content.find(ELFMAG, at + 1))
      ++count;
  }
  return count;
}

TEST_CASE(
    "in any order, and with any delays, a source becomes the same object, and holds each image "
    "once") {
  NEEDS_NVCC();
  NvccWorld world;
  world.flags = {"-O1", "-no-compress"};
  world.targets = {{Arch{8, 9}, Arch{8, 9}, true, false, ""},
                   {Arch{8, 9}, Arch{9, 0}, true, true, ""}};
  const auto mode = GENERATE(HeaderMode::facade, HeaderMode::full);
  world.choice = mode == HeaderMode::full ? HeaderChoice::full : HeaderChoice::facade;
  world.put(world.tree() / "a.cu",
            "#include <torch/extension.h>\n__global__ void k(int* p) { *p = 1; }\n"
            "void f(torch::Tensor t) { k<<<1, 1>>>(static_cast<int*>(t.data_ptr())); }\n");
  const TempDir logs("order-logs");
  std::set<std::string> objects;
  const unsigned rounds = rounds_asked_for();
  for (unsigned round = 0; round < rounds; ++round) {
    MemoryCache cache;
    auto settings = world.settings();
    settings->cache = &cache;
    Shuffler shuffler(round, 200);
    const ExecSettings execution{{1 + round % 4, 0}, logs.path(), &cache};
    execute(shuffler.shuffled({compile_step(world.source("a.cu"), "mini._ops", settings)}),
            execution, world.reporter);
    objects.insert(world.object("a.cu"));
    CHECK(images_in(world.source("a.cu").recorded.object) == 2);
  }
  CHECK(world.outcomes.size() == rounds);
  CHECK(world.outcomes.front().mode.device == mode);
  CHECK(objects.size() == 1);
}

// Every process is replaced by one that joins all files of its folder into each file that the step
// declares.
StepGraph with_fake_tools(StepGraph graph) {
  for (Step& step : graph) {
    if (!step.expand && (step.command || !step.inputs.empty() || !step.reads.empty())) {
      std::vector<std::string> written;
      for (const auto& path : step.writes) written.push_back(path);
      for (const auto& [name, path] : step.outputs) written.push_back(path);
      std::vector<std::string> read;
      for (const auto& input : step.inputs) read.push_back(step.folder / input.name);
      for (const auto& path : step.reads) read.push_back(path);
      if (written.empty()) {
        step.command = nullptr;
      } else {
        step.command = [read, written, label = step.label]() -> std::optional<Command> {
          std::string script =
              "for to in \"$@\"; do mkdir -p \"$(dirname \"$to\")\"; (echo '" + label + "'";
          for (const auto& file : read) script += "; cat '" + file + "'";
          script += ") > \"$to\"; done";
          Command command{.argv = {"sh", "-c", script, "sh"}};
          command.argv.insert(command.argv.end(), written.begin(), written.end());
          return command;
        };
      }
    }
    step.key = nullptr;
    step.check = nullptr;
    step.finish = nullptr;
    if (!step.expand) continue;
    step.expand =
        [expand = std::move(step.expand)](const StepFailure* failure) -> std::optional<StepGraph> {
      auto steps = expand(failure);
      if (!steps) return std::nullopt;
      return with_fake_tools(*std::move(steps));
    };
  }
  return graph;
}

TEST_CASE("with tools that only join what they read, any order gives one text") {
  NEEDS_NVCC();  // the graph is that of its dry run
  NvccWorld world;
  world.targets = {{Arch{8, 9}, Arch{8, 9}, true, false, ""},
                   {Arch{12, 0}, Arch{12, 0}, true, true, ""}};
  world.put(world.tree() / "a.cu", "__global__ void k(int* p) { *p = 1; }\n");
  const TempDir logs("order-logs");
  std::set<std::string> objects;
  const unsigned rounds = 20 * rounds_asked_for();
  for (unsigned round = 0; round < rounds; ++round) {
    auto settings = world.settings();
    settings->choice = HeaderChoice::check;
    Shuffler shuffler(round, 10);
    const ExecSettings execution{{1 + round % 5, 0}, logs.path()};
    execute(shuffler.shuffled(
                with_fake_tools({compile_step(world.source("a.cu"), "mini._ops", settings)})),
            execution, world.reporter);
    objects.insert(world.object("a.cu"));
  }
  CHECK(objects.size() == 1);
  CHECK(objects.begin()->find("cicc compute_120") != std::string::npos);
}

}  // namespace
}  // namespace sagebuild
