#pragma once
// Real repositories and git's real servers, in a temporary folder, for tests of vcs and source.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// Git without the user's settings, and with fixed people and times, so that commits have the same
// names everywhere.
inline std::string git(const std::filesystem::path& folder, std::vector<std::string> arguments,
                       std::string input = "") {
  Command command;
  command.argv = {"git"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.cwd = folder;
  command.input = std::move(input);
  for (const char* who : {"AUTHOR", "COMMITTER"}) {
    command.env[std::string("GIT_") + who + "_NAME"] = "Tester";
    command.env[std::string("GIT_") + who + "_EMAIL"] = "tester@example.com";
    command.env[std::string("GIT_") + who + "_DATE"] = "1700000000 +0000";
  }
  command.env["GIT_CONFIG_GLOBAL"] = "/dev/null";
  command.env["GIT_CONFIG_NOSYSTEM"] = "1";
  return std::string(trimmed(run_checked(command, "git failed").output));
}

// A repository with a work tree: main with two commits, a branch "feature/x", an annotated tag
// "v1".
class SampleRepository {
 public:
  explicit SampleRepository(std::filesystem::path folder) : folder_(std::move(folder)) {
    make_folders(folder_);
    git(folder_, {"init", "-q", "-b", "main"});
    write("setup.py", "print('one')\n");
    write("csrc/kernel.cu", "// kernel\n");
    first_ = commit("first");
    git(folder_, {"tag", "-a", "v1", "-m", "one"});
    git(folder_, {"branch", "feature/x"});
    write("setup.py", "print('two')\n");
    second_ = commit("second");
  }

  void write(const std::string& path, std::string_view content) const {
    make_folders((folder_ / path).parent_path());
    write_file(folder_ / path, content);
  }
  // Everything as it lies there. Gives the commit.
  std::string commit(const std::string& message) const {
    git(folder_, {"add", "-A"});
    git(folder_, {"commit", "-q", "-m", message});
    return git(folder_, {"rev-parse", "HEAD"});
  }
  // A bare copy beside it, as a server has it.
  std::filesystem::path bare(const std::string& name) const {
    git(folder_.parent_path(), {"clone", "-q", "--bare", folder_.string(), name});
    return folder_.parent_path() / name;
  }

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& first() const { return first_; }
  const std::string& second() const { return second_; }

 private:
  std::filesystem::path folder_;
  std::string first_;
  std::string second_;
};

// tests/support/git_server.py, until the object goes.
class GitServer {
 public:
  GitServer(const std::filesystem::path& folder, const std::string& mode,
            std::vector<std::string> arguments = {})
      : mode_(mode), log_(folder / (mode + "-requests.log")) {
    write_file(log_, "");
    const std::filesystem::path ready = folder / (mode + ".ready");
    ::mkfifo(ready.c_str(), 0600);
    const int descriptor = ::open(ready.c_str(), O_RDWR | O_CLOEXEC);
    const ScopeExit close_ready([&] {
      ::close(descriptor);
      ::unlink(ready.c_str());
    });
    Command command;
    command.argv = {python(mode).value(),
                    test_source() + "/tests/support/git_server.py",
                    mode,
                    "--ready",
                    ready.string(),
                    "--root",
                    folder.string(),
                    "--log",
                    log_.string()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.log = folder / (mode + "-server.log");
    server_.start(command);

    pollfd event{descriptor, POLLIN, 0};
    constexpr int kPatience = 30'000;  // ms; it says so in far less, or is broken
    if (::poll(&event, 1, kPatience) != 1)
      throw Error(ErrorKind::failed, "the test server did not start", {read_file(command.log)});
    std::string line(16, '\0');
    const ssize_t count = ::read(descriptor, line.data(), line.size());
    port_ = std::string(trimmed(std::string_view(line).substr(0, static_cast<std::size_t>(count))));
  }

  std::string url(const std::string& path) const {
    return mode_ + "://" + host() + ":" + port_ + "/" + path;
  }
  // mbedTLS 2 knows no addresses in certificates, only names.
  std::string host() const { return mode_ == "https" ? "localhost" : "127.0.0.1"; }
  const std::string& port() const { return port_; }
  // One line per request.
  std::string requests() const { return read_file(log_); }
  void stop() { server_.stop_all(); }

  // One that can serve this mode: ssh needs paramiko, which Debian installs for its own Python
  // only.
  static std::optional<std::string> python(const std::string& mode) {
    if (mode != "ssh") return "python3";
    for (const char* candidate : {"python3", "/usr/bin/python3"}) {
      Command command;
      command.argv = {candidate, "-c", "import paramiko"};
      if (find_program(candidate) && run(command).ok()) return candidate;
    }
    return std::nullopt;
  }

  static std::string test_source() {
    const char* folder = std::getenv("SAGEBUILD_TEST_SOURCE");
    return folder == nullptr ? "." : folder;
  }

 private:
  std::string mode_;
  std::filesystem::path log_;
  std::string port_;
  Processes server_;
};

// Sets an environment variable (empty text: removes it) until the scope ends.
class WithVariable {
 public:
  WithVariable(std::string name, const std::string& value) : name_(std::move(name)) {
    const char* before = std::getenv(name_.c_str());
    if (before != nullptr) before_ = before;
    had_ = before != nullptr;
    if (value.empty())
      ::unsetenv(name_.c_str());
    else
      ::setenv(name_.c_str(), value.c_str(), 1);
  }
  ~WithVariable() {
    if (had_)
      ::setenv(name_.c_str(), before_.c_str(), 1);
    else
      ::unsetenv(name_.c_str());
  }
  WithVariable(const WithVariable&) = delete;
  WithVariable& operator=(const WithVariable&) = delete;

 private:
  std::string name_;
  std::string before_;
  bool had_ = false;
};

}  // namespace sagebuild
