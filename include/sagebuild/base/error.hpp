#pragma once
// What ends a command: one Error, thrown where the reason is known, caught once in main. Expected
// outcomes (a cache miss, an exit status, an HTTP status, a finding) are values, never this.

#include <exception>
#include <string>
#include <vector>

namespace sagebuild {

// The value is the exit code (README.md, "Exit codes").
enum class ErrorKind : int {
  failed = 1,        // the work itself failed: a compile error, a refused patch
  usage = 2,         // the command line, the settings file or an input that the user wrote
  environment = 3,   // something this machine lacks
  network = 4,       // after the retries
  findings = 5,      // verify found errors
  patch_needed = 6,  // patch --check
  bug = 70,          // ours
};

// Text is lower case, without a full stop, and names the object: "cannot patch 'setup.py'".
// `causes` go from the nearest reason to the deepest. `hint` says what to do next. `log` is a path
// to read, or empty.
struct Error : std::exception {
  ErrorKind kind;
  std::string message;
  std::vector<std::string> causes;
  std::string hint;
  std::string log;

  Error(ErrorKind kind, std::string message, std::vector<std::string> causes = {},
        std::string hint = {}, std::string log = {});

  // "error: ...", "  caused by: ..." lines, a blank line and "hint: ...", then "log: ...". Ends
  // with a newline.
  std::string rendered() const;
  const char* what() const noexcept override { return message.c_str(); }
};

// INT, TERM, HUP or QUIT arrived. main cleans up and raises the signal again, so that the exit
// status is the signal's.
struct Interrupted : std::exception {
  int signal;
  explicit Interrupted(int number) : signal(number) {}
  const char* what() const noexcept override { return "interrupted"; }
};

// "No such file or directory" for an errno value.
std::string errno_text(int number);

}  // namespace sagebuild
