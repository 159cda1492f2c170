#include "sagebuild/sys/process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"
#include "support/catch.hpp"
#include "support/processes.hpp"

namespace sagebuild {
namespace {

Command shell(std::string script) { return {.argv = {"sh", "-c", std::move(script)}}; }

}  // namespace

TEST_CASE("output, diagnostics and exit status of a child are told apart") {
  const ProcessResult result = run(shell("echo out; echo err >&2; exit 3"));
  CHECK(result.output == "out\n");
  CHECK(result.diagnostics == "err\n");
  CHECK(result.exit_code == 3);
  CHECK(result.status_text() == "exit status 3");
  CHECK_FALSE(result.killed_for_memory);
}

TEST_CASE("input, working folder and environment reach the child, tokens do not") {
  setenv("HF_TOKEN", "hf_not_for_children", 1);
  setenv("NVCC_APPEND_FLAGS", "-lineinfo", 1);
  Command command = shell("cat; pwd; echo \"[$HF_TOKEN$NVCC_APPEND_FLAGS]\"; echo $LC_ALL");
  command.input = "hello\n";
  command.cwd = "/usr";
  CHECK(run(command).output == "hello\n/usr\n[]\nC\n");
  command.env = current_environment();
  CHECK(run(command).output.find("hf_") == std::string::npos);
  unsetenv("HF_TOKEN");
  unsetenv("NVCC_APPEND_FLAGS");
}

TEST_CASE("a program that does not exist is an error of the environment") {
  CHECK_THROWS_MATCHES(run({.argv = {"no-such-program"}}), Error,
                       says("cannot find the program 'no-such-program'"));
}

TEST_CASE("a deadline ends the whole group, also one that ignores TERM") {
  const TempDir folder;
  Command command = shell("trap '' TERM; (trap '' TERM; sleep 60) & echo $$ > pid; wait; sleep 60");
  command.cwd = folder.path();
  command.deadline = std::chrono::seconds(1);
  const ProcessResult result = run(command);
  CHECK(result.timed_out);
  CHECK(result.signal == SIGKILL);
  CHECK_FALSE(result.killed_for_memory);
  const auto group = static_cast<pid_t>(std::stol(read_file(folder.path() / "pid")));

  CHECK(group_ends(group));
}

TEST_CASE("a signal ends a running child and comes out as Interrupted") {
  const TempDir folder;
  // In a process of its own, since the note of a signal stays.
  const pid_t child = fork();
  if (child == 0) {
    install_signal_handlers();
    int status = 1;
    try {
      Command command = shell("echo $$ > pid; kill -INT $PPID; sleep 60");
      command.cwd = folder.path();
      run(command);
    } catch (const Interrupted& error) {
      status = error.signal == SIGINT ? 42 : 2;
    } catch (...) {
    }
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 42);
  CHECK(group_ends(static_cast<pid_t>(std::stol(read_file(folder.path() / "pid")))));
}

TEST_CASE("signal 9 from outside counts as killed for memory, and so does a driver's text") {
  CHECK(run(shell("kill -9 $$")).killed_for_memory);
  CHECK(run(shell("exit 137")).killed_for_memory);
  CHECK(run(shell("echo \"nvcc error   : 'cicc' died due to signal 9 (Kill signal)\" >&2; exit 9"))
            .killed_for_memory);
  CHECK(run(shell("kill -9 $$")).status_text() == "killed: out of memory");
}

TEST_CASE("a killed child's temporary files go, save those in a folder that the caller named") {
  Command command = shell("echo $TMPDIR; touch $TMPDIR/left; kill -9 $$");
  const std::filesystem::path seen = trimmed(run(command).output);
  CHECK(seen.filename().string().starts_with("sagebuild-run."));
  CHECK_FALSE(std::filesystem::exists(seen));

  const TempDir named("sagebuild-named");
  const auto before = environment_value("TMPDIR");
  setenv("TMPDIR", "/proc/none", 1);
  CHECK(trimmed(run(shell("echo $TMPDIR")).output) == "/proc/none");
  before ? setenv("TMPDIR", before->c_str(), 1) : unsetenv("TMPDIR");

  command.env["TMPDIR"] = named.path();
  CHECK(trimmed(run(command).output) == named.path().string());
  CHECK(std::filesystem::exists(named.path() / "left"));
}

TEST_CASE("with a log both streams go there whole, and the last lines come back") {
  const TempDir folder;
  Command command = shell("for i in $(seq 1 500); do echo line $i; done; exit 1");
  command.log = folder.path() / "x.log";
  const ProcessResult result = run(command);
  CHECK(read_file(command.log).starts_with("line 1\n"));
  CHECK(result.diagnostics.starts_with("line 401\n"));
  CHECK(result.diagnostics.ends_with("line 500\n"));
}

TEST_CASE("many children are waited for in the order they end; peak memory and CPU are counted") {
  Processes processes;
  const auto slow = processes.start(shell("sleep 0.4"));
  const auto busy = processes.start(
      {.argv = {"python3", "-c", "x = bytearray(80_000_000)\nfor i in range(10**6): pass"}});
  const auto quick = processes.start(shell("true"));
  std::vector<Processes::Id> order;
  while (order.size() < 3) {
    const auto finished = processes.wait(std::chrono::seconds(30));
    REQUIRE(finished);
    order.push_back(finished->id);
    if (finished->id == busy) {
      CHECK(finished->result.peak_memory > 80'000'000);
      CHECK(finished->result.cpu_seconds > 0.01);
    }
  }
  CHECK(order.front() == quick);
  CHECK(std::ranges::count(order, slow) == 1);
}

TEST_CASE("what is done meanwhile may run others, and what it throws ends the child") {
  TempDir folder("sagebuild-meanwhile");
  const auto begun = folder.path() / "begun";
  Command child = shell("echo out; sleep 0.2; exit 3");
  std::string other;
  const ProcessResult result = run(child, [&] { other = run(shell("echo other")).output; });
  CHECK(other == "other\n");
  CHECK(result.output == "out\n");
  CHECK(result.exit_code == 3);

  // One that has ended long before is no other.
  CHECK(run(shell("exit 4"), [] { run(shell("sleep 0.2")); }).exit_code == 4);

  child = shell("echo $$ > " + begun.string() + ".new; mv " + begun.string() + ".new " +
                begun.string() + "; sleep 60");
  std::string group;
  const auto fail = [&] {
    while (!read_file_if_exists(begun)) usleep(10'000);
    group = read_file(begun);
    throw std::runtime_error("meanwhile");
  };
  CHECK_THROWS_AS(run(child, fail), std::runtime_error);
  CHECK(group_ends(std::stoi(group)));
}

TEST_CASE("cores and memory are those of this machine or less") {
  CHECK(available_cores() >= 1);
  CHECK(available_cores() <= static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)));
  CHECK(available_memory() > 100'000'000);
}

TEST_CASE("a wait ends when another thread says so, also if it said so before") {
  Processes processes;
  processes.start(shell("sleep 60"));
  const auto begin = std::chrono::steady_clock::now();
  processes.wake();
  CHECK_FALSE(processes.wait(std::chrono::seconds(30)));
  std::thread other([&] { processes.wake(); });
  CHECK_FALSE(processes.wait(std::chrono::seconds(30)));
  other.join();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
  processes.stop_all();
}

}  // namespace sagebuild
