#include "sagebuild/sys/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kGrace{5};
constexpr std::size_t kTailBytes = 32 << 10;
constexpr std::size_t kTailLines = 100;

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Fd memory_file(const char* name) {
  Fd fd(memfd_create(name, MFD_CLOEXEC));
  if (fd.get() < 0)
    throw Error(ErrorKind::environment, "cannot make a memory file", {errno_text(errno)});
  return fd;
}

Fd open_or_throw(const std::filesystem::path& path, int flags) {
  Fd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (fd.get() < 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot open '{}'", path.string()),
                {errno_text(errno)});
  }
  return fd;
}

// The bytes of a seekable file from `from` on.
std::string content(int fd, off_t from) {
  struct stat status {};
  fstat(fd, &status);
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, status.st_size - from)), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t count =
        pread(fd, text.data() + have, text.size() - have, from + static_cast<off_t>(have));
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  text.resize(have);
  return text;
}

std::string last_lines(std::string text) {
  if (text.size() > kTailBytes) text.erase(0, text.size() - kTailBytes);
  std::size_t lines = 0;
  for (std::size_t i = text.size(); i-- > 1;) {
    if (text[i - 1] == '\n' && ++lines == kTailLines) return text.substr(i);
  }
  return text;
}

// gcc and nvcc exit with 1 or 255 when a program under them was killed; this is what they print
// then.
bool says_killed(std::string_view text) {
  return text.find("Killed (program") != std::string_view::npos ||
         text.find("fatal error: Killed signal") != std::string_view::npos ||
         text.find("died due to signal 9") != std::string_view::npos ||
         text.find("Killed signal terminated program") != std::string_view::npos;
}

std::vector<char*> c_strings(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// While alive, the signals that ppoll must see are blocked outside of it, so that none is missed
// between check and wait.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&held, number);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

  // Until a signal comes, `waker` can be read, or the limit passes.
  void sleep(milliseconds limit, int waker) const {
    const timespec time{limit.count() / 1000, (limit.count() % 1000) * 1'000'000};
    pollfd wakes{waker, POLLIN, 0};
    ppoll(&wakes, 1, &time, &before_);
  }

 private:
  sigset_t before_{};
};

std::string resolved_program(const Command& command) {
  if (command.argv.empty()) throw Error(ErrorKind::bug, "an empty command");
  const std::string& name = command.argv.front();
  const auto path = command.env.find("PATH");
  const auto found = find_program(name, path == command.env.end() ? "" : path->second);
  if (!found)
    throw Error(ErrorKind::environment, fmt::format("cannot find the program '{}'", name));
  return *found;
}

// What a killed compiler leaves in its folder goes with it. Nothing where none can be made: a
// program that needs one says so itself.
std::optional<TempDir> temporary_folder() {
  try {
    TempDir folder("sagebuild-run");
    folder.sweep_if_killed();
    return folder;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

struct Processes::Child {
  pid_t pid = 0;
  Fd output;       // standard output, or the log
  Fd diagnostics;  // standard error; unused with a log
  off_t log_start = 0;
  bool has_log = false;
  Clock::time_point started = Clock::now();
  std::optional<Clock::time_point> deadline;
  std::uint64_t oom_kills_before = 0;
  bool stopped_by_us = false;
  bool timed_out = false;
  std::optional<Clock::time_point> kill_at;

  ProcessResult result(int status, const rusage& usage) const;
};

ProcessResult Processes::Child::result(int status, const rusage& usage) const {
  const auto seconds = [](timeval time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  ProcessResult result;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  result.exit_code = WIFSIGNALED(status) ? 128 + result.signal : WEXITSTATUS(status);
  result.timed_out = timed_out;
  result.wall_seconds = std::chrono::duration<double>(Clock::now() - started).count();
  result.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  result.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  if (has_log) {
    result.diagnostics = last_lines(content(output.get(), log_start));
  } else {
    result.output = content(output.get(), 0);
    result.diagnostics = content(diagnostics.get(), 0);
  }
  result.killed_for_memory = !result.ok() && !stopped_by_us &&
                             (result.signal == SIGKILL || result.exit_code == 128 + SIGKILL ||
                              says_killed(result.diagnostics) || oom_kills() > oom_kills_before);
  return result;
}

std::string ProcessResult::status_text() const {
  if (timed_out) return fmt::format("no end after {}", human_time(wall_seconds));
  if (killed_for_memory)
    return signal != 0 ? "killed: out of memory"
                       : fmt::format("exit status {}: out of memory", exit_code);
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, strsignal(signal));
  return fmt::format("exit status {}", exit_code);
}

Processes::Processes() : waker_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (waker_ < 0) throw Error(ErrorKind::environment, "cannot make an event", {errno_text(errno)});
  // With the default action a child's end does not wake ppoll.
  struct sigaction current {};
  sigaction(SIGCHLD, nullptr, &current);
  if (current.sa_handler != SIG_DFL) return;
  current.sa_handler = [](int) {};
  sigaction(SIGCHLD, &current, nullptr);
}

Processes::~Processes() {
  if (!children_.empty()) stop_all();
  close(waker_);
}

void Processes::wake() { eventfd_write(waker_, 1); }

Processes::Id Processes::start(const Command& command) {
  Child child;
  child.has_log = !command.log.empty();
  Fd input;
  if (command.input.empty()) {
    input = open_or_throw("/dev/null", O_RDONLY);
  } else {
    input = memory_file("input");
    std::string_view rest = command.input;
    while (!rest.empty()) {
      const ssize_t count = write(input.get(), rest.data(), rest.size());
      if (count <= 0)
        throw Error(ErrorKind::failed, "cannot hand input to a child", {errno_text(errno)});
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
    lseek(input.get(), 0, SEEK_SET);
  }
  if (child.has_log) {
    child.output = open_or_throw(command.log, O_RDWR | O_CREAT | O_APPEND);
    child.log_start = lseek(child.output.get(), 0, SEEK_END);
  } else {
    child.output = memory_file("output");
    child.diagnostics = memory_file("diagnostics");
  }

  std::vector<std::string> argv = command.argv;
  argv.front() = resolved_program(command);
  std::vector<std::string> env;
  for (const auto& [name, value] : command.env) env.push_back(name + "=" + value);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const ScopeExit free_actions([&] { posix_spawn_file_actions_destroy(&actions); });
  posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child.output.get(), 1);
  posix_spawn_file_actions_adddup2(&actions,
                                   child.has_log ? child.output.get() : child.diagnostics.get(), 2);
  if (!command.cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, command.cwd.c_str());

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const ScopeExit free_attributes([&] { posix_spawnattr_destroy(&attributes); });
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setpgroup(&attributes, 0);
  // An ignored signal (our PIPE) would survive exec
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  child.oom_kills_before = oom_kills();
  if (command.deadline) child.deadline = child.started + *command.deadline;
  const int failure = posix_spawn(&child.pid, argv.front().c_str(), &actions, &attributes,
                                  c_strings(argv).data(), c_strings(env).data());
  if (failure != 0) {
    throw Error(ErrorKind::environment, fmt::format("cannot start '{}'", command.argv.front()),
                {errno_text(failure)});
  }
  const Id id = next_++;
  children_.emplace(id, std::move(child));
  return id;
}

std::optional<Processes::Finished> Processes::wait(milliseconds limit) {
  const auto end = Clock::now() + limit;
  const SignalsHeld held;
  while (true) {
    const auto now = Clock::now();
    auto until = end;
    for (auto& [id, child] : children_) {
      if (child.deadline && now >= *child.deadline && !child.stopped_by_us) {
        kill(-child.pid, SIGTERM);
        child.stopped_by_us = child.timed_out = true;
        child.kill_at = now + kGrace;
      }
      if (child.kill_at && now >= *child.kill_at) kill(-child.pid, SIGKILL);
      int status = 0;
      rusage usage{};
      if (wait4(child.pid, &status, WNOHANG, &usage) != child.pid) {
        if (child.kill_at)
          until = std::min(until, std::max(*child.kill_at, now + milliseconds(50)));
        else if (child.deadline)
          until = std::min(until, *child.deadline);
        continue;
      }
      Finished finished{id, child.result(status, usage)};
      // What a killed or careless leader left in its group ends with it.
      kill(-child.pid, SIGKILL);
      children_.erase(id);
      return finished;
    }
    if (interrupted() != 0 || now >= end) return std::nullopt;
    held.sleep(std::max(milliseconds(1), std::chrono::ceil<milliseconds>(until - now)), waker_);
    eventfd_t calls = 0;
    if (eventfd_read(waker_, &calls) == 0) return std::nullopt;
  }
}

void Processes::kill_now(Id id) {
  const auto entry = children_.find(id);
  if (entry == children_.end()) return;
  const SignalsHeld held;  // another child's end would interrupt waitpid
  kill(-entry->second.pid, SIGKILL);
  waitpid(entry->second.pid, nullptr, 0);
  children_.erase(entry);
}

void Processes::stop_all(std::chrono::seconds grace) {
  const auto deadline = Clock::now() + grace;
  for (auto& [id, child] : children_) {
    kill(-child.pid, SIGTERM);
    child.stopped_by_us = true;
  }
  const SignalsHeld held;
  while (!children_.empty()) {
    const bool late = Clock::now() >= deadline;
    for (auto entry = children_.begin(); entry != children_.end();) {
      const pid_t pid = entry->second.pid;
      if (late) kill(-pid, SIGKILL);
      if (waitpid(pid, nullptr, late ? 0 : WNOHANG) == 0) {
        ++entry;
        continue;
      }
      kill(-pid, SIGKILL);  // what the leader left behind
      entry = children_.erase(entry);
    }
    if (!children_.empty()) held.sleep(milliseconds(50), -1);
  }
}

ProcessResult run(const Command& command) { return run(command, {}); }

ProcessResult run(const Command& command, const std::function<void()>& meanwhile) {
  throw_if_interrupted();
  const auto temporary = temporary_folder();
  Command started = command;
  const auto named = started.env.find("TMPDIR");
  if (temporary && (named == started.env.end() || named->second == environment_value("TMPDIR")))
    started.env["TMPDIR"] = temporary->path();
  Processes processes;
  processes.start(started);
  if (meanwhile) meanwhile();
  while (true) {
    if (auto finished = processes.wait(std::chrono::hours(1))) return std::move(finished->result);
    if (interrupted() != 0) {
      processes.stop_all();
      throw_if_interrupted();
    }
  }
}

ProcessResult run_checked(const Command& command, std::string_view message) {
  ProcessResult result = run(command);
  if (result.ok()) return result;
  std::vector<std::string> causes = {
      fmt::format("{}: {}", shell_line(command.argv), result.status_text())};
  const auto lines = lines_of(result.diagnostics);
  const std::size_t shown = std::min<std::size_t>(lines.size(), 10);
  for (std::size_t i = lines.size() - shown; i < lines.size(); ++i) causes.emplace_back(lines[i]);
  throw Error(ErrorKind::failed, std::string(message), std::move(causes), "", command.log);
}

}  // namespace sagebuild
