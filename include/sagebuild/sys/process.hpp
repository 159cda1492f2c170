#pragma once
// Child processes: argv vectors, never a shell; each child leads its own process group and has an
// end. Everything here is called from one thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
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
// signal came (the group is ended first).
ProcessResult run(const Command& command);

// The same, and throws Error{kind} "MESSAGE" with the command's last lines as causes if it does not
// exit 0.
ProcessResult run_checked(const Command& command, std::string_view message);

// The full path of a program on a PATH-like list (ours by default), or nothing.
std::optional<std::filesystem::path> find_program(std::string_view name);
std::optional<std::filesystem::path> find_program(std::string_view name,
                                                  std::string_view path_list);

// Many children at once, for the scheduler.
class Processes {
 public:
  using Id = std::uint64_t;

  Processes();
  ~Processes();  // stops what still runs
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  Id start(const Command& command);

  struct Finished {
    Id id;
    ProcessResult result;
  };
  // Waits until a child ends, a signal arrives or `limit` passes. Gives nothing in the last two
  // cases: see interrupted().
  std::optional<Finished> wait(std::chrono::milliseconds limit);
  // Ends one child and its group at once; nothing is reported of it. For work whose result nobody
  // wants any more.
  void kill_now(Id id);
  // TERM to every group, KILL to those still there after `grace`.
  void stop_all(std::chrono::seconds grace = std::chrono::seconds(5));

 private:
  struct Child;
  std::map<Id, Child> children_;
  Id next_ = 1;
};

}  // namespace sagebuild
