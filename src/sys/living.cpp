#include "sys/living.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = ".sagebuild-temporary";

}  // namespace

// The mark appears locked: nobody may find it free before.
int mark_as_living(const fs::path& folder) {
  const fs::path fresh = folder / (std::string(kMark) + ".new");
  const int fd = open(fresh.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
      rename(fresh.c_str(), (folder / kMark).c_str()) == 0)
    return fd;
  unlink(fresh.c_str());
  if (fd >= 0) close(fd);
  return -1;
}

bool is_marked(const fs::path& folder) {
  struct stat status {};
  return lstat((folder / kMark).c_str(), &status) == 0;
}

void unmark(const fs::path& folder) { unlink((folder / kMark).c_str()); }

void remove_marked(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().filename() != kMark) fs::remove_all(entry->path(), ignored);
  }
  fs::remove_all(folder, error);
}

bool remove_if_ended(const fs::path& folder) {
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid())
    return false;
  const int mark = open((folder / kMark).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (mark < 0) return false;
  const bool ended = flock(mark, LOCK_EX | LOCK_NB) == 0;
  if (ended) remove_marked(folder);
  close(mark);
  return ended;
}

}  // namespace sagebuild
