#include "sagebuild/sys/log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <set>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A run of its own: makes its log folder, says which, and then ends or lives on until it is killed.
struct OtherRun {
  pid_t process = -1;
  fs::path folder;

  OtherRun(const fs::path& all, std::size_t kept, bool lives) {
    std::array<int, 2> said{};
    REQUIRE(pipe(said.data()) == 0);
    process = fork();
    if (process == 0) {
      const std::string name = open_run_log(all, kept).string();
      log_line("begun");
      if (write(said[1], name.data(), name.size()) > 0 && lives) pause();
      _exit(0);
    }
    std::array<char, 4096> name{};
    REQUIRE(read(said[0], name.data(), name.size() - 1) > 0);
    folder = name.data();
    for (const int end : said) close(end);
    if (!lives) end();
  }
  void end() const {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }
};

}  // namespace

TEST_CASE("the log holds no secret") {
  const TempDir all;
  const Secret token("very-secret-token");
  const fs::path folder = open_run_log(all.path() / "logs");
  CHECK(log_path() == folder / "run.log");
  log_line("Authorization: Bearer very-secret-token to https://me:pass@host/");
  const std::string text = read_file(log_path());
  CHECK(text.find("Bearer ***") != std::string::npos);
  CHECK(text.find("secret-token") == std::string::npos);
  CHECK(text.find("me:pass") == std::string::npos);
}

TEST_CASE(
    "the logs of a living run stay, however many runs come after it; those of ended ones go, the "
    "oldest first") {
  const TempDir all;
  const OtherRun living(all.path(), 3, true);
  std::set<fs::path> later;
  for (int i = 0; i < 6; ++i) later.insert(OtherRun(all.path(), 3, false).folder);
  CHECK(later.size() == 6);  // no two have one folder, though they may begin in one second
  CHECK(read_file(living.folder / "run.log").find("begun") != std::string::npos);
  CHECK(entries_of(all.path()).size() == 3);
  living.end();  // as kill -9 does: nothing is tidied up
  for (int i = 0; i < 3; ++i) OtherRun(all.path(), 3, false);
  CHECK_FALSE(fs::exists(living.folder));
  CHECK(entries_of(all.path()).size() == 3);
}

TEST_CASE(
    "a log folder without a mark may be one that is just being made: it goes when it is a week "
    "old") {
  const TempDir all;
  for (const char* name : {"20200101-000000-1", "20200101-000001-2", "20200101-000002-3"})
    write_file(all.path() / name / "run.log", "x");
  fs::last_write_time(all.path() / "20200101-000001-2",
                      fs::file_time_type::clock::now() - std::chrono::hours(24 * 8));
  const OtherRun next(all.path(), 1, false);
  CHECK(entries_of(all.path()) == std::vector<fs::path>{all.path() / "20200101-000000-1",
                                                        all.path() / "20200101-000002-3",
                                                        next.folder});
}

}  // namespace sagebuild
