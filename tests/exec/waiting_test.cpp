// What the user hears of a child that was stopped.

#include <fmt/format.h>
#include <signal.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

Step shell(const TempDir& folder, const std::string& label, const std::string& script,
           std::vector<StepId> after = {}) {
  Step step{
      .stage = Stage::plain_nvcc, .subject = label, .label = label, .after = std::move(after)};
  step.command = [script, cwd = folder.path()] {
    return Command{.argv = {"sh", "-c", script}, .cwd = cwd};
  };
  return step;
}

char state_of(pid_t process) {
  const std::string stat =
      read_file_if_exists(fmt::format("/proc/{}/stat", process)).value_or(") ?");
  return stat.at(stat.rfind(')') + 2);
}

// Wakes the stopped child when it was told of it twice: so the build waited, and said so.
struct Waker : RecordingReporter {
  std::filesystem::path pid_file;
  int times = 0;
  std::string label;
  bool was_stopped = false;

  void waiting(const StepProgress& progress) override {
    const auto text = read_file_if_exists(pid_file);
    if (!text) return;
    const auto process = static_cast<pid_t>(to_integer(trimmed(*text)).value());
    label = progress.label;
    was_stopped = state_of(process) == 'T';
    if (was_stopped && ++times == 2) kill(process, SIGCONT);
  }
};

TEST_CASE("a child that is stopped is waited for and told of, and the build goes on when it does") {
  const TempDir folder;
  Waker report;
  report.pid_file = folder.path() / "pid";
  StepGraph graph;
  graph.push_back(shell(folder, "stopped",
                        "echo $$ > pid.new; mv pid.new pid; kill -STOP $$; echo awake > out"));
  graph.push_back(shell(folder, "beside", "echo beside > beside"));
  graph.push_back(shell(folder, "after", "cat out > after", {0}));
  const auto outcome = execute(std::move(graph), {{2, 0}, folder.path() / "logs"}, report);
  CHECK(report.times == 2);
  CHECK(report.label == "stopped");
  CHECK(report.was_stopped);
  CHECK(read_file(folder.path() / "beside") == "beside\n");
  CHECK(read_file(folder.path() / "after") == "awake\n");
  CHECK(report.finished == std::vector<std::string>{"beside", "stopped", "after"});
  CHECK(outcome.steps.size() == 3);
  CHECK(report.failures.empty());
}

}  // namespace
}  // namespace sagebuild
