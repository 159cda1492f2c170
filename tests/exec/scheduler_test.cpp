#include "sagebuild/exec/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A world of its own: a folder for logs and marks, and a reporter that keeps what it hears.
struct World {
  TempDir folder;
  RecordingReporter report;
  ExecSettings settings{{2, 0}, folder.path() / "logs"};

  Step shell(std::string label, std::string script, std::vector<StepId> after = {}) const {
    Step step{
        .stage = Stage::plain_nvcc, .subject = label, .label = label, .after = std::move(after)};
    step.command = [script = std::move(script), cwd = folder.path()] {
      return Command{.argv = {"sh", "-c", script}, .cwd = cwd};
    };
    return step;
  }
  ExecOutcome run(StepGraph graph) { return execute(std::move(graph), settings, report); }
  std::string text(const char* file) const {
    return read_file_if_exists(folder.path() / file).value_or("");
  }
};

// A cache in memory: keys to results, contents by digest.
class MemoryCache : public ActionCache {
 public:
  std::map<Digest, ActionResult> results;
  std::map<Digest, std::string> contents;
  int by_files = 0;

  std::optional<ActionResult> lookup(const ActionKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = results.find(key.digest());
    if (found == results.end()) return std::nullopt;
    return found->second;
  }
  bool materialize(const ActionResult& result, const Paths& destinations) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, path] : destinations)
      write_file(path, contents.at(result.files.at(name).digest));
    return true;
  }
  ActionResult store(const ActionKey& key, const Paths& outputs, ActionResult result) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, path] : outputs) {
      const std::string text = read_file(path);
      contents[sha256(text)] = text;
      result.files[name] = {sha256(text), text.size(), false};
    }
    return results[key.digest()] = result;
  }
  std::optional<ActionResult> lookup_by_files(const ActionKey& key, const SearchScope&) override {
    return lookup(key);
  }
  ActionResult store_by_files(const ActionKey& key, const SearchScope&,
                              const std::vector<fs::path>& files, Clock::time_point,
                              const Paths& outputs, ActionResult result) override {
    by_files += static_cast<int>(files.size());  // by one step at a time
    return store(key, outputs, std::move(result));
  }
  Digest file_digest(const fs::path& path) override { return sha256_file(path); }
  void flush() override {}
  CacheCounters counters() const override { return {}; }

 private:
  std::mutex mutex_;
};

}  // namespace

TEST_CASE("steps run after what they wait for, the longest chain first") {
  World world;
  world.settings.limits.jobs = 1;
  StepGraph graph;
  graph.push_back(world.shell("short", "echo short >> order"));
  graph.push_back(world.shell("long", "echo long >> order"));
  graph.push_back(world.shell("end", "echo end >> order", {1}));
  graph[2].expected_seconds = 100;
  const ExecOutcome outcome = world.run(std::move(graph));
  CHECK(world.text("order") == "long\nend\nshort\n");
  CHECK(outcome.steps.size() == 3);
  CHECK(world.report.finished.size() == 3);
}

TEST_CASE("sources and modules are counted, not what they are made of, and their total stays") {
  World world;
  world.settings.limits.jobs = 1;
  StepGraph graph;
  graph.push_back({.stage = Stage::compile, .subject = "a", .label = "compile a"});
  graph[0].expand = [&world](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure != nullptr) return std::nullopt;
    StepGraph inner;
    inner.push_back(world.shell("cicc", "true"));
    inner.push_back(world.shell("ptxas", "true", {0}));
    return inner;
  };
  graph.push_back(world.shell("module m", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", {0}));
  world.run(std::move(graph));
  CHECK(world.report.finished.size() == 3);
  REQUIRE(world.report.parts.size() == 2);
  CHECK(world.report.parts[0].starts_with("1/2 compile a"));
  CHECK(world.report.parts[1] == "2/2 module m");
}

TEST_CASE("the critical path is the longest chain to the end, and a circle is refused") {
  StepGraph graph(3);
  graph[0].expected_seconds = 5;
  graph[1].expected_seconds = 2;
  graph[1].after = {0};
  graph[2].expected_seconds = 7;
  graph[2].after = {0};
  CHECK(critical_path(graph) == std::vector<double>{12, 2, 7});
  graph[0].after = {2};
  CHECK_THROWS_MATCHES(critical_path(graph), Error, says("circle"));
}

TEST_CASE("no more runs at once than cores and memory allow") {
  World world;
  // Each notes itself, waits for a moment in which others could come, and says how many it saw.
  const std::string script = "touch r.$$; sleep 0.1; ls r.* | wc -l >> seen; rm r.$$";
  const auto most_seen = [&](Limits limits, std::uint64_t memory) {
    fs::remove(world.folder.path() / "seen");
    world.settings.limits = limits;
    StepGraph graph;
    for (int i = 0; i < 6; ++i) {
      graph.push_back(world.shell("step", script));
      graph.back().expected_memory = memory;
    }
    world.run(std::move(graph));
    int most = 0;
    const std::string seen = world.text("seen");
    for (const auto line : lines_of(seen))
      most = std::max(most, std::stoi(std::string(trimmed(line))));
    return most;
  };
  CHECK(most_seen({3, 0}, 1) <= 3);
  CHECK(most_seen({4, 1000}, 600) == 1);
  CHECK(most_seen({4, 100}, 600) == 1);  // one always runs
}

TEST_CASE(
    "a failure starts nothing new, what runs ends, and all failures are told with their output") {
  World world;
  StepGraph graph;
  graph.push_back(world.shell("bad", "echo reason of bad; exit 3"));
  graph.push_back(world.shell("other", "sleep 0.3; echo done > other; echo too; exit 4"));
  graph.push_back(world.shell("never", "echo x > never", {0}));
  CHECK_THROWS_MATCHES(world.run(std::move(graph)), Error, says("2 steps of the build failed"));
  CHECK(world.text("other") == "done\n");
  CHECK(world.text("never").empty());
  REQUIRE(world.report.failures.size() == 2);
  CHECK(world.report.failures[0].find("reason of bad\nexit status 3") != std::string::npos);
}

TEST_CASE("a step killed for memory is run once more, alone, and then fails") {
  World world;
  StepGraph graph;
  graph.push_back(world.shell(
      "hungry", "if test -e tried; then echo fed > result; else touch tried; kill -9 $$; fi"));
  graph.push_back(world.shell("always hungry", "kill -9 $$"));
  CHECK_THROWS_MATCHES(world.run(std::move(graph)), Error, says("'always hungry' failed"));
  CHECK(world.text("result") == "fed\n");
  CHECK(std::ranges::count_if(world.report.warnings, [](const auto& text) {
          return text.find("run again, alone") != std::string::npos;
        }) == 2);
}

TEST_CASE("a cached step is restored without its process; direct mode hands over the files read") {
  World world;
  MemoryCache cache;
  world.settings.cache = &cache;
  const auto graph = [&](bool direct) {
    Step step = world.shell("compile", "echo ran >> runs; echo content > own/out");
    step.folder = world.folder.path() / "own";
    step.key = [direct] {
      return ActionKey("sh", "compile").add("mode", direct ? "direct" : "plain");
    };
    step.outputs = {{"out", world.folder.path() / "own/out"}};
    if (direct) step.scope = SearchScope{};
    step.files_read = [&] { return std::vector<fs::path>{world.folder.path() / "runs"}; };
    StepGraph steps;
    steps.push_back(std::move(step));
    return steps;
  };
  for (const bool direct : {false, true}) {
    fs::remove(world.folder.path() / "runs");
    CHECK_FALSE(world.run(graph(direct)).steps[0].cached);
    CHECK(world.run(graph(direct)).steps[0].cached);
    CHECK(world.text("runs") == "ran\n");
    CHECK(world.text("own/out") == "content\n");
  }
  CHECK(cache.by_files == 1);
}

TEST_CASE("of two steps with one key that are ready at once, one runs and the other is its hit") {
  World world;
  MemoryCache cache;
  world.settings.cache = &cache;
  const bool fails = GENERATE(false, true);
  const auto twin = [&](const std::string& name) {
    Step step = world.shell(name, "echo ran >> runs; sleep 0.2; echo content > " + name + "/out");
    step.folder = world.folder.path() / name;
    step.key = [] { return ActionKey("sh", "twin"); };
    step.outputs = {{"out", step.folder / "out"}};
    if (fails) step.check = [] { throw Error(ErrorKind::failed, "no"); };
    return step;
  };
  StepGraph graph = {twin("one"), twin("two")};
  if (fails) {
    CHECK_THROWS_MATCHES(world.run(std::move(graph)), Error, says("a step of the build failed"));
    return;
  }
  const ExecOutcome outcome = world.run(std::move(graph));
  CHECK(world.text("runs") == "ran\n");
  CHECK(world.text("one/out") == "content\n");
  CHECK(world.text("two/out") == "content\n");
  CHECK(std::ranges::count(outcome.steps, true, &StepRecord::cached) == 1);
}

TEST_CASE("outputs that a check refuses are not stored") {
  World world;
  MemoryCache cache;
  world.settings.cache = &cache;
  StepGraph graph;
  graph.push_back(world.shell("ptxas", "true"));
  graph[0].key = [] { return ActionKey("ptxas", "x"); };
  graph[0].check = [] { throw Error(ErrorKind::failed, "the cubin is empty"); };
  CHECK_THROWS_AS(world.run(std::move(graph)), Error);
  CHECK(cache.results.empty());
  CHECK(world.report.failures.at(0).find("the cubin is empty") != std::string::npos);
}

TEST_CASE("a step expands, and asks for another way when a sub-step fails") {
  World world;
  std::vector<std::string> reasons;
  StepGraph graph;
  Step whole{.stage = Stage::compile, .subject = "x", .label = "compile x"};
  whole.expand = [&](const StepFailure* failure) -> std::optional<StepGraph> {
    StepGraph steps;
    if (failure == nullptr) {
      steps.push_back(world.shell("facade", "echo no; exit 1"));
      steps.push_back(world.shell("beside", "sleep 60; echo x > beside"));
      return steps;
    }
    reasons.push_back(std::string(name_of(failure->stage)) + ": " + failure->reason);
    steps.push_back(world.shell("one", "echo one >> way"));
    steps.push_back(world.shell("two", "echo two >> way", {0}));
    return steps;
  };
  whole.finish = [&] { write_file(world.folder.path() / "finished", world.text("way")); };
  graph.push_back(std::move(whole));
  graph.push_back(world.shell("after", "echo after >> way", {0}));
  const ExecOutcome outcome = world.run(std::move(graph));
  CHECK(world.text("way") == "one\ntwo\nafter\n");
  CHECK(world.text("finished") == "one\ntwo\n");
  CHECK(reasons == std::vector<std::string>{"nvcc: exit status 1\nno\n"});
  CHECK(world.report.failures.empty());
  CHECK(outcome.wall_seconds < 30);  // "beside" was stopped
}

TEST_CASE("a step that expands to nothing is done, and what waits for it runs") {
  World world;
  MemoryCache cache;
  world.settings.cache = &cache;
  const bool refused_once = GENERATE(false, true);
  int asked = 0;
  int checked = 0;
  Step whole{.stage = Stage::compile, .subject = "x", .label = "compile x"};
  whole.key = [] { return ActionKey("compile", "x"); };
  whole.expand = [&](const StepFailure*) {
    ++asked;
    return StepGraph{};
  };
  whole.check = [&] {
    if (++checked == 1 && refused_once) throw Error(ErrorKind::failed, "not so");
  };
  whole.finish = [&] { write_file(world.folder.path() / "finished", ""); };
  world.run({std::move(whole), world.shell("after", "cat finished > after", {0})});
  CHECK(asked == (refused_once ? 2 : 1));
  CHECK(fs::exists(world.folder.path() / "after"));
  CHECK(cache.results.contains(ActionKey("compile", "x").digest()));
  CHECK(world.report.parts.size() == 2);
}

TEST_CASE("an outer step is told of what the innermost failed of") {
  World world;
  std::string told;
  Step inner{.stage = Stage::parts, .subject = "x", .label = "parts x"};
  inner.expand = [&](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure != nullptr) return std::nullopt;
    Step failing = world.shell("cicc", "echo no; exit 1");
    failing.stage = Stage::cicc;
    return StepGraph{std::move(failing)};
  };
  Step outer{.stage = Stage::compile, .subject = "x", .label = "compile x"};
  outer.expand = [&](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure == nullptr) return StepGraph{inner};
    told = fmt::format("{}: {}", name_of(failure->stage), failure->reason);
    return StepGraph{world.shell("other", "true")};
  };
  world.run({std::move(outer)});
  CHECK(told == "cicc: exit status 1\nno\n");
}

TEST_CASE("without another way the sub-step's failure is the one that is told") {
  World world;
  StepGraph graph;
  Step whole{.stage = Stage::compile, .subject = "x", .label = "compile x"};
  whole.expand = [&](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure != nullptr) return std::nullopt;
    StepGraph steps;
    steps.push_back(world.shell("cicc x.cu", "echo 'x.cu(3): error: no'; exit 2"));
    return steps;
  };
  graph.push_back(std::move(whole));
  CHECK_THROWS_MATCHES(world.run(std::move(graph)), Error, says("'cicc x.cu' failed"));
  CHECK(world.report.failures.at(0).find("x.cu(3): error: no") != std::string::npos);
}

namespace {

// Lets a step go on as soon as somebody was told that it is waited for.
struct OpensOnWarning : RecordingReporter {
  fs::path gate;
  void warning(std::string_view text) override {
    RecordingReporter::warning(text);
    write_file(gate, "");
  }
};

// Where it is said which log to read.
struct KeepsLogs : RecordingReporter {
  std::string log;
  void step_failed(std::string_view, std::string_view, std::string_view,
                   std::string_view path) override {
    log = path;
  }
};

}  // namespace

TEST_CASE("after a failure it is said at once what is waited for, and that is kept") {
  World world;
  OpensOnWarning report;
  report.gate = world.folder.path() / "gate";
  MemoryCache cache;
  world.settings.cache = &cache;
  StepGraph graph;
  graph.push_back(
      world.shell("slow",
                  "touch runs; for i in $(seq 400); do [ -e gate ] && break; sleep 0.05; done; "
                  "[ -e gate ] && echo made > own/output"));
  graph.push_back(world.shell("bad", "until [ -e runs ]; do sleep 0.01; done; exit 1"));
  graph.push_back(world.shell("never", "echo x > never", {0}));
  graph[0].key = [] { return ActionKey("sh", "slow"); };
  graph[0].folder = world.folder.path() / "own";
  graph[0].outputs = {{"file", graph[0].folder / "output"}};
  CHECK_THROWS_MATCHES(execute(std::move(graph), world.settings, report), Error,
                       says("'bad' failed"));
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings.front().find("'slow'") != std::string::npos);
  CHECK(cache.results.contains(ActionKey("sh", "slow").digest()));
  CHECK(world.text("never").empty());
}

TEST_CASE("a failure that nothing else waits beside is not followed by a word about waiting") {
  World world;
  CHECK_THROWS_AS(world.run({world.shell("bad", "exit 1")}), Error);
  CHECK(world.report.warnings.empty());
}

TEST_CASE(
    "a failed step's log is among the run's, wherever the step wrote it; else none is named") {
  World world;
  const bool kept = GENERATE(true, false);
  world.settings.keeps_logs = kept;
  KeepsLogs report;
  Step step = world.shell("bad", "");
  step.folder = world.folder.path() / "own";
  step.command = [folder = step.folder] {
    return Command{.argv = {"sh", "-c", "echo why; exit 1"}, .log = folder / "asked.log"};
  };
  try {
    execute({step}, world.settings, report);
    FAIL("it succeeded");
  } catch (const Error& error) {
    CHECK(error.log == report.log);
    CHECK(error.log.empty() == !kept);
  }
  fs::remove_all(step.folder);
  if (kept) CHECK(read_file(report.log) == "why\n");
}

namespace {

// A step without a process, whose work is `work`.
Step in_process(std::string label, std::function<void()> work, std::vector<StepId> after = {}) {
  Step step{
      .stage = Stage::plain_nvcc, .subject = label, .label = label, .after = std::move(after)};
  step.finish = std::move(work);
  return step;
}

// Waits until so many have come; false: they did not in a time that is long for a machine.
class Meeting {
 public:
  explicit Meeting(int size) : missing_(size) {}
  bool come() {
    std::unique_lock lock(mutex_);
    if (--missing_ == 0) changed_.notify_all();
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

}  // namespace

TEST_CASE("work inside the process takes as many cores as there are, and no more") {
  World world;
  world.settings.limits.jobs = 3;
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  Meeting meeting(3);
  std::atomic<bool> met = true;
  StepGraph graph;
  for (int i = 0; i < 9; ++i)
    graph.push_back(in_process(std::to_string(i), [&] {
      most = std::max(most.load(), ++running);
      if (!meeting.come()) met = false;  // the first three are there at once
      --running;
    }));
  const ExecOutcome outcome = world.run(std::move(graph));
  CHECK(met);
  CHECK(most == 3);
  std::set<unsigned> lanes;
  for (const StepRecord& record : outcome.steps) lanes.insert(record.lane);
  CHECK(lanes == std::set<unsigned>{0, 1, 2});
}

TEST_CASE("the ends of processes are heard while work inside the process goes on") {
  World world;
  std::promise<void> end_of_follower;
  bool heard = false;
  StepGraph graph;
  graph.push_back(in_process("work", [&] {
    heard = end_of_follower.get_future().wait_for(std::chrono::seconds(20)) ==
            std::future_status::ready;
  }));
  graph.push_back(world.shell("first", "true"));
  graph.push_back(world.shell("follower", "true", {1}));
  graph.back().finish = [&] { end_of_follower.set_value(); };
  world.settings.limits.jobs = 3;
  world.run(std::move(graph));
  CHECK(heard);
}

TEST_CASE("a step is asked for another way when nothing of the old one goes on") {
  World world;
  world.settings.limits.jobs = 3;
  std::atomic<bool> goes_on = false;
  bool seen_going_on = false;
  Meeting meeting(2);
  Step whole{.stage = Stage::compile, .subject = "x", .label = "compile x"};
  whole.expand = [&](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure != nullptr) {
      seen_going_on = goes_on;
      return StepGraph{};
    }
    StepGraph steps;
    steps.push_back(in_process("slow", [&] {
      goes_on = true;
      meeting.come();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      goes_on = false;
    }));
    steps.push_back(in_process("refuses", [&] {
      meeting.come();
      throw Error(ErrorKind::failed, "no");
    }));
    return steps;
  };
  const ExecOutcome outcome = world.run({std::move(whole)});
  CHECK_FALSE(seen_going_on);
  CHECK(outcome.steps.empty());  // what was given up is no record
}

TEST_CASE("an error of work inside the process is that of its step; a bug ends the build") {
  World world;
  const bool is_bug = GENERATE(false, true);
  const ErrorKind kind = is_bug ? ErrorKind::bug : ErrorKind::failed;
  StepGraph graph;
  graph.push_back(in_process("bad", [&] { throw Error(kind, "the text is empty"); }));
  graph.push_back(world.shell("beside", "true"));
  CHECK_THROWS_MATCHES(world.run(std::move(graph)), Error,
                       says(is_bug ? "the text is empty" : "'bad' failed"));
  CHECK(world.report.failures.size() == (is_bug ? 0 : 1));
}

}  // namespace sagebuild
