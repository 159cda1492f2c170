#include "sagebuild/sys/driver.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sagebuild/base/error.hpp"

namespace sagebuild {
namespace {

constexpr unsigned kLongestSeconds = 60;

// The driver's interface (cuda.h) as far as it is needed: all give 0 if all is well.
using Init = int (*)(unsigned);
using GetCount = int (*)(int*);
using GetErrorString = int (*)(int, const char**);

template <class Function>
Function function_of(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

std::string words_of(void* library, int code) {
  const auto error_string = function_of<GetErrorString>(library, "cuGetErrorString");
  const char* words = nullptr;
  if (error_string == nullptr || error_string(code, &words) != 0 || words == nullptr)
    words = "an error";
  return fmt::format("the driver says: {} ({})", words, code);
}

std::optional<std::string> asked_here() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return fmt::format("the driver cannot be loaded: {}", dlerror());
  const auto init = function_of<Init>(library, "cuInit");
  const auto get_count = function_of<GetCount>(library, "cuDeviceGetCount");
  if (init == nullptr || get_count == nullptr) return "libcuda.so.1 is not the driver's";
  int count = 0;
  if (const int code = init(0); code != 0) return words_of(library, code);
  if (const int code = get_count(&count); code != 0) return words_of(library, code);
  if (count == 0) return "the driver finds no GPU";
  return std::nullopt;
}

[[noreturn]] void answer_and_end(int fd) {
  alarm(kLongestSeconds);
  const std::string reason = asked_here().value_or("");
  const bool is_told =
      write(fd, reason.data(), reason.size()) == static_cast<ssize_t>(reason.size());
  _exit(is_told ? 0 : 1);
}

std::string all_of(int fd) {
  std::string text;
  std::array<char, 4096> piece{};
  while (true) {
    const ssize_t count = read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

std::optional<std::string> why_no_gpu() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe: " + errno_text(errno);
  const pid_t child = fork();
  if (child == 0) answer_and_end(ends[1]);
  close(ends[1]);
  const std::string reason = all_of(ends[0]);
  close(ends[0]);
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (child < 0) return "no process to ask the driver in";
  if (WIFSIGNALED(status))
    return fmt::format("the driver ends the process that asks it, by signal {} ({})",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) return "the driver ends the process that asks it";
  return reason.empty() ? std::nullopt : std::optional(reason);
}

}  // namespace sagebuild
