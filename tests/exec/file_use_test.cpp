// A file has one writer, and whoever reads it comes after.
#include "sagebuild/cache/cache.hpp"
#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

struct World {
  TempDir folder;
  RecordingReporter report;
  ExecSettings settings{{2, 0}, folder.path() / "logs"};

  fs::path place(const std::string& name) const { return folder.path() / name; }
  // Writes the file `name` in a folder of its own.
  Step writer(const std::string& name, std::vector<StepId> after = {}) const {
    Step step{
        .stage = Stage::plain_nvcc, .subject = name, .label = name, .after = std::move(after)};
    step.folder = place(name + ".folder");
    step.outputs = {{"file", step.folder / name}};
    step.command = [name, cwd = step.folder] {
      return Command{.argv = {"sh", "-c", "cat ./* > all; mv all " + name}, .cwd = cwd};
    };
    return step;
  }
  ExecOutcome run(StepGraph graph) { return execute(std::move(graph), settings, report); }
  void refuses(StepGraph graph, const char* reason) {
    CHECK_THROWS_MATCHES(run(std::move(graph)), Error, says(reason));
  }
};

}  // namespace

TEST_CASE("a step runs on copies of its inputs, in a folder that was emptied for it") {
  World world;
  StepGraph graph = {world.writer("first"), world.writer("second", {0})};
  graph[0].command = [&] {
    return Command{.argv = {"sh", "-c", "echo one > first"}, .cwd = world.place("first.folder")};
  };
  graph[1].inputs = {{world.place("first.folder") / "first", "deep/input"}};
  graph[1].command = [&] {
    return Command{.argv = {"sh", "-c", "cat deep/input > second; echo two > deep/input"},
                   .cwd = world.place("second.folder")};
  };
  make_folders(world.place("second.folder"));
  write_file(world.place("second.folder") / "rest", "of an earlier run");
  world.run(std::move(graph));
  CHECK(read_file(world.place("second.folder") / "second") == "one\n");
  CHECK(read_file(world.place("first.folder") / "first") == "one\n");
  CHECK_FALSE(fs::exists(world.place("second.folder") / "rest"));
}

TEST_CASE("the key is asked when the inputs lie in the step's folder") {
  World world;
  StepGraph graph = {world.writer("first"), world.writer("second", {0})};
  graph[1].inputs = {{world.place("first.folder") / "first", "input"}};
  bool is_there = false;
  graph[1].key = [&]() -> std::optional<ActionKey> {
    is_there = fs::exists(world.place("second.folder") / "input");
    return std::nullopt;
  };
  const auto cache = no_cache();
  world.settings.cache = cache.get();
  world.run(std::move(graph));
  CHECK(is_there);
}

TEST_CASE("a graph in which a file is shared is a bug, told before anything runs") {
  World world;
  StepGraph graph = {world.writer("first"), world.writer("second")};
  const fs::path shared = world.place("first.folder") / "first";
  SECTION("two writers of one file") {
    graph[1].writes = {shared};
    world.refuses(std::move(graph), "is written by 'first' and by 'second'");
  }
  SECTION("a file outside of the step's folder") {
    graph[1].writes = {world.place("elsewhere")};
    world.refuses(std::move(graph), "outside of its folder");
  }
  SECTION("a reader that does not wait") {
    graph[1].inputs = {{shared, "input"}};
    world.refuses(std::move(graph), "does not wait for 'first'");
  }
  SECTION("the same where it lies") {
    graph[1].reads = {shared};
    world.refuses(std::move(graph), "does not wait for 'first'");
  }
  SECTION("a reader that waits for another step only") {
    graph.push_back(world.writer("third", {1}));
    graph[2].reads = {shared};
    world.refuses(std::move(graph), "does not wait for 'first'");
  }
  SECTION("a file that its writer does not tell of") {
    graph[1].after = {0};
    graph[1].reads = {world.place("first.folder") / "more"};
    world.refuses(std::move(graph), "does not say that it writes");
  }
  SECTION("one folder for two") {
    graph[1].folder = graph[0].folder / "below";
    graph[1].outputs = {};
    world.refuses(std::move(graph), "share the folder");
  }
  SECTION("a process that writes and has no folder") {
    graph[1].folder.clear();
    world.refuses(std::move(graph), "has no folder of its own");
  }
  CHECK_FALSE(fs::exists(shared));
}

TEST_CASE("a reader may wait through other steps, or for the step around the writer") {
  World world;
  const fs::path file = world.place("inner.folder") / "inner";
  Step outer{.stage = Stage::compile, .subject = "outer", .label = "outer"};
  outer.outputs = {{"file", world.place("published")}};
  outer.expand = [&](const StepFailure*) {
    StepGraph inner = {world.writer("inner")};
    inner[0].writes = {world.place("published")};
    inner[0].finish = [&] { copy_content(file, world.place("published")); };
    return std::optional(inner);
  };
  Step between{.stage = Stage::plain_nvcc, .subject = "between", .label = "between", .after = {0}};
  StepGraph graph = {outer, between, world.writer("reader", {1})};
  graph[2].inputs = {{world.place("published"), "input"}};
  SECTION("as it should be") {
    world.run(std::move(graph));
    CHECK(fs::exists(world.place("reader.folder") / "reader"));
  }
  SECTION("what the outer step does not have among its outputs") {
    graph[0].outputs.clear();
    world.refuses(std::move(graph), "outside of its folder");
  }
  SECTION("a reader beside the outer step") {
    graph[2].after.clear();
    world.refuses(std::move(graph), "does not wait for 'outer'");
  }
}

TEST_CASE("another way may write the files of one that was given up") {
  World world;
  Step whole{.stage = Stage::compile, .subject = "whole", .label = "whole"};
  whole.expand = [&](const StepFailure* failure) {
    StepGraph steps = {world.writer("part")};
    if (failure == nullptr) steps[0].check = [] { throw Error(ErrorKind::failed, "no"); };
    return std::optional(steps);
  };
  world.run({whole});
  CHECK(fs::exists(world.place("part.folder") / "part"));
}

TEST_CASE("whatever a step's functions throw is the failure of that step") {
  World world;
  Step step = world.writer("part");
  const auto thrower = [] { throw std::out_of_range("map::at"); };
  SECTION("its command") {
    step.command = [&]() -> std::optional<Command> {
      thrower();
      return std::nullopt;
    };
  }
  SECTION("its check") { step.check = thrower; }
  SECTION("its end") { step.finish = thrower; }
  SECTION("an outer step asks for another way") {
    step.finish = thrower;
    Step whole{.stage = Stage::compile, .subject = "whole", .label = "whole"};
    whole.expand = [&](const StepFailure* failure) {
      return std::optional(StepGraph{failure == nullptr ? step : world.writer("part")});
    };
    world.run({whole});
    return;
  }
  CHECK_THROWS_MATCHES(world.run({step}), Error, says("a step of the build failed"));
  CHECK(world.report.failures.at(0).find("map::at") != std::string::npos);
}

}  // namespace sagebuild
