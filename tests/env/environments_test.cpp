#include "sagebuild/env/environments.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "env/planted.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

PythonEnv python_of(const std::string& name) {
  PythonEnv python;
  python.executable = environment_python(environments_folder() / name);
  return python;
}

// Ends the build that it is said to wait for, as kill -9 does, but looks first what is there still.
struct EndsTheBuild : RecordingReporter {
  pid_t build = -1;
  fs::path folder;
  bool was_there = false;
  void note(std::string_view text) override {
    RecordingReporter::note(text);
    was_there = fs::exists(folder / "lib" / "torch");
    kill(build, SIGKILL);
    waitpid(build, nullptr, 0);
  }
};

}  // namespace

TEST_CASE(
    "an environment that a build uses is removed when that build has ended, however it ends") {
  const TempDir cache;
  const WithEnvironment there{{"SAGEBUILD_CACHE_DIR", cache.path().string()}};
  const fs::path folder = environments_folder() / "used";
  write_file(folder / "lib" / "torch", "x");
  std::array<int, 2> said{};
  REQUIRE(pipe(said.data()) == 0);
  EndsTheBuild report;
  report.folder = folder;
  report.build = fork();
  if (report.build == 0) {
    const auto held = hold_environment(python_of("used"));
    if (write(said[1], held ? "y" : "n", 1) == 1) pause();
    _exit(1);
  }
  char holds = 0;
  REQUIRE(read(said[0], &holds, 1) == 1);
  CHECK(holds == 'y');
  CHECK(hold_environment(python_of("used")) != nullptr);  // two builds may use one
  remove_environment("used", report);
  CHECK(report.notes ==
        std::vector<std::string>{"environment 'used' is used by a build: waiting for its end"});
  CHECK(report.was_there);
  CHECK_FALSE(fs::exists(folder));
  for (const int end : said) close(end);
}

TEST_CASE("a Python that is in no environment of ours is nobody's to hold") {
  const TempDir cache;
  const WithEnvironment there{{"SAGEBUILD_CACHE_DIR", cache.path().string()}};
  PythonEnv python;
  python.executable = "/usr/bin/python3";
  CHECK(hold_environment(python) == nullptr);
  CHECK(hold_environment({}) == nullptr);
}

}  // namespace sagebuild
