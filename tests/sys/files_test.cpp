#include "sagebuild/sys/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "sagebuild/base/scope.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/shared_lock.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

namespace {
std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}
}  // namespace

TEST_CASE("a file is replaced whole, keeps its mode, and a link stays a link") {
  const TempDir folder;
  const fs::path file = folder.path() / "a.txt";
  write_file(file, "one");
  chmod(file.c_str(), 0640);
  fs::create_symlink("a.txt", folder.path() / "link");
  write_file(folder.path() / "link", "two");
  CHECK(read_file(file) == "two");
  CHECK(fs::is_symlink(folder.path() / "link"));
  struct stat status {};
  stat(file.c_str(), &status);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE(
    "a new file has the mode that the umask leaves, and nobody meets another umask meanwhile") {
  const TempDir folder;
  const mode_t before = ::umask(0027);
  const ScopeExit restore([before] { ::umask(before); });
  std::atomic<bool> ends = false;
  std::thread writer([&] {
    while (!ends) write_file(folder.path() / "written", "x");
  });
  mode_t seen = 0;
  for (int i = 0; i < 300; ++i) {
    const fs::path other = folder.path() / std::to_string(i);
    ::close(::open(other.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    struct stat status {};
    ::stat(other.c_str(), &status);
    seen |= status.st_mode & 0777;
  }
  ends = true;
  writer.join();
  CHECK(seen == 0640);
  struct stat status {};
  ::stat((folder.path() / "written").c_str(), &status);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a file that is not committed leaves nothing") {
  const TempDir folder;
  {
    AtomicFile file(folder.path() / "half");
    file.write("half of it");
    CHECK(entries(folder.path()) == 1);
  }
  CHECK(entries(folder.path()) == 0);
}

TEST_CASE("a missing file is told from an unreadable one") {
  CHECK_FALSE(read_file_if_exists("/no/such/file"));
  CHECK_THROWS_MATCHES(read_file("/no/such/file"), Error, says("cannot read '/no/such/file'"));
  CHECK_THROWS_AS(write_file("/proc/no/such", "x"), Error);
}

TEST_CASE("a temporary folder goes away unless it is kept") {
  fs::path gone;
  {
    const TempDir folder("sagebuild-test");
    gone = folder.path();
    write_file(gone / "deep" / "file", "x");
  }
  CHECK_FALSE(fs::exists(gone));
}

TEST_CASE("trees are copied with links and modes, and what is not wanted stays behind") {
  const TempDir from;
  const TempDir to;
  write_file(from.path() / "a/run.sh", "#!/bin/sh\n");
  chmod((from.path() / "a/run.sh").c_str(), 0755);
  fs::create_symlink("run.sh", from.path() / "a/link");
  write_file(from.path() / "build/junk", "x");
  copy_tree(from.path(), to.path() / "copy", [](const fs::path& path) { return path != "build"; });
  CHECK(fs::is_symlink(to.path() / "copy/a/link"));
  CHECK(access((to.path() / "copy/a/run.sh").c_str(), X_OK) == 0);
  CHECK_FALSE(fs::exists(to.path() / "copy/build"));
}

TEST_CASE("a lock held by another process is waited for, and that is said") {
  const TempDir folder;
  const fs::path file = folder.path() / "lock";
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t holder = fork();
  if (holder == 0) {
    const FileLock lock(file);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    usleep(200'000);
    _exit(0);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  int waited = 0;
  const FileLock lock(file, [&] { ++waited; });
  CHECK(waited == 1);
  waitpid(holder, nullptr, 0);
}

TEST_CASE("a lock can be shared, and whoever wants it alone waits for all who share it") {
  const TempDir folder;
  const fs::path file = folder.path() / "lock";
  const SharedLock first(file);
  const SharedLock second(file);
  CHECK((first.held() && second.held()));
  std::array<int, 2> said{};
  REQUIRE(pipe(said.data()) == 0);
  const pid_t other = fork();
  if (other == 0) {
    const FileLock alone(file, [&] { _exit(write(said[1], "w", 1) == 1 ? 0 : 1); });
    _exit(write(said[1], "a", 1) == 1 ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(read(said[0], &byte, 1) == 1);
  CHECK(byte == 'w');
  waitpid(other, nullptr, 0);
  for (const int end : said) close(end);
  CHECK_FALSE(SharedLock("/proc/no/such").held());
}

TEST_CASE(
    "what a killed process left in $TMPDIR is swept, what a living one has or anybody kept is "
    "not") {
  const TempDir temporary;
  const auto before = environment_value("TMPDIR");
  setenv("TMPDIR", temporary.path().c_str(), 1);
  TempDir living("sagebuild");
  living.sweep_if_killed();
  write_file(living.path() / "a", "a");
  TempDir kept("sagebuild");
  kept.sweep_if_killed();
  kept.keep();
  make_folders(temporary.path() / "sagebuild.backup");  // the user's own
  fs::create_directory_symlink(living.path(), temporary.path() / "link");

  std::array<int, 2> ready{};
  REQUIRE(pipe(ready.data()) == 0);
  const pid_t child = fork();
  if (child == 0) {
    TempDir left("sagebuild");
    left.sweep_if_killed();
    make_folders(left.path() / "deep/er");
    write_file(left.path() / "deep/er/file", "x");
    const std::string name = left.path();
    if (write(ready[1], name.data(), name.size()) > 0) pause();
    _exit(1);
  }
  char text[4096] = {};
  REQUIRE(read(ready[0], text, sizeof text - 1) > 0);
  const fs::path left = text;
  sweep_temp_dirs();
  CHECK(fs::exists(left / "deep/er/file"));  // its process lives
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  sweep_temp_dirs();
  CHECK_FALSE(fs::exists(left));
  CHECK(fs::exists(living.path() / "a"));
  CHECK(fs::exists(kept.path()));
  CHECK(fs::exists(temporary.path() / "sagebuild.backup"));
  for (const int end : ready) close(end);
  before ? setenv("TMPDIR", before->c_str(), 1) : unsetenv("TMPDIR");
}

}  // namespace sagebuild
