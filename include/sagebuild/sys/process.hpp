#pragma once
// Child processes: argv vectors, never a shell; each child leads its own process group and has an
// end. Everything here is called from one thread, save Processes::wake.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

using Environment = std::map<std::string, std::string>;

// What a child may see: PATH, HOME, TMPDIR, LD_LIBRARY_PATH and proxies from ours, plus LC_ALL=C,
// NO_COLOR=1, PYTHONHASHSEED=0. No token, no CPATH or LIBRARY_PATH, no NVCC_*_FLAGS. Callers add to
// it.
Environment clean_environment();
// Our own environment without the Hub's tokens.
Environment current_environment();

struct Command {
  // Argv[0] is looked up in the command's own PATH unless it holds a slash
  std::vector<std::string> argv;
  std::filesystem::path cwd{};  // empty: ours
  Environment env = clean_environment();
  // Both streams are appended here, so that a log is complete whatever ends the child. Empty: kept
  // in memory.
  std::filesystem::path log{};
  std::string input{};                             // standard input; empty: /dev/null
  std::optional<std::chrono::seconds> deadline{};  // then TERM, 5 s, KILL to the group
};

struct ProcessResult {
  int exit_code = 0;  // 128 + n if a signal ended it
  int signal = 0;     // 0: it exited by itself
  bool timed_out = false;
  // Signal 9 that was not ours, exit 137, a compiler driver's "Killed" text, or a rise of the
  // cgroup's oom_kill counter.
  bool killed_for_memory = false;
  std::string output;  // without a log: standard output, whole
  // Without a log: standard error, whole. With one: the last 100 lines of both
  std::string diagnostics;
  double wall_seconds = 0;
  double cpu_seconds = 0;  // user + system of the child and all it waited for
  // Bytes, of the largest single process (wait4); holds our own size at the fork
  std::uint64_t peak_memory = 0;

  bool ok() const { return exit_code == 0; }
  std::string status_text()
      const;  // "exit status 2", "killed by signal 9 (out of memory)", "no end after 30 s"
};

// Runs to the end. Throws Error{environment} if the program cannot be started, Interrupted if a
// signal came (the group is ended first). Where the command's TMPDIR is ours, it gets a folder of
// its own there, which is removed after it.
ProcessResult run(const Command& command);

// The same. `meanwhile` is called as soon as the child runs, and may run others; what it throws
// ends the child first. Wall seconds count until both are done.
ProcessResult run(const Command& command, const std::function<void()>& meanwhile);

// The same, and throws Error{kind} "MESSAGE" with the command's last lines as causes if it does not
// exit 0.
ProcessResult run_checked(const Command& command, std::string_view message);

// The full path of a program on a PATH-like list (ours by default), or nothing.
std::optional<std::filesystem::path> find_program(std::string_view name);
std::optional<std::filesystem::path> find_program(std::string_view name,
                                                  std::string_view path_list);

// Many children at once, as the scheduler sees them. Tests have others than real ones.
class ProcessRunner {
 public:
  using Id = std::uint64_t;

  virtual ~ProcessRunner() = default;

  // Throws Error{environment} if the program cannot be started.
  virtual Id start(const Command& command) = 0;

  struct Finished {
    Id id;
    ProcessResult result;
  };
  // Waits until a child ends, a signal arrives, somebody calls wake() or `limit` passes. Gives
  // nothing in the last three cases: see interrupted().
  virtual std::optional<Finished> wait(std::chrono::milliseconds limit) = 0;
  // Ends the wait that runs, or else the next one. From any thread.
  virtual void wake() = 0;
  // Ends one child and its group at once; nothing is reported of it. For work whose result nobody
  // wants any more.
  virtual void kill_now(Id id) = 0;
  // TERM to every group, KILL to those still there after `grace`.
  virtual void stop_all(std::chrono::seconds grace = std::chrono::seconds(5)) = 0;
};

class Processes : public ProcessRunner {
 public:
  Processes();
  ~Processes() override;  // stops what still runs
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  Id start(const Command& command) override;
  std::optional<Finished> wait(std::chrono::milliseconds limit) override;
  void wake() override;
  void kill_now(Id id) override;
  void stop_all(std::chrono::seconds grace = std::chrono::seconds(5)) override;

 private:
  struct Child;
  std::map<Id, Child> children_;
  Id next_ = 1;
  int waker_ = -1;  // an eventfd
};

}  // namespace sagebuild
