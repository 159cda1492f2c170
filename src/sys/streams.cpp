#include "sagebuild/sys/streams.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "sagebuild/base/error.hpp"

namespace sagebuild {

void open_missing_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The wrong way round, as in gnulib's stdopen: an empty input or a result that nobody gets
    // would pass unseen. The lowest free descriptor is this one, for those below are open.
    (void)open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
  }
}

std::string read_input() {
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count == 0) return text;
    if (count > 0)
      text.append(buffer, static_cast<std::size_t>(count));
    else if (errno != EINTR)
      throw Error(ErrorKind::failed, "cannot read standard input", {errno_text(errno)},
                  "give it a file or a pipe, or name the file instead of -");
  }
}

void flush_output(const std::string& hint) {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failed_before) return;
  std::vector<std::string> causes;
  if (errno != 0) causes.push_back(errno_text(errno));
  throw Error(ErrorKind::failed, "cannot write to standard output", causes, hint);
}

}  // namespace sagebuild
