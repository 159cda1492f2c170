// `sagebuild upload` as a program: what it prints, how it ends, and what a signal at any moment
// leaves behind.

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

struct CommandWorld : UploadWorld {
  std::vector<std::string> wheels() const {
    return {settings.files[0].string(), settings.files[1].string()};
  }
};

// A child that the test may kill: sys/process would tidy up after it.
class Child {
 public:
  explicit Child(const Command& command) {
    std::vector<std::string> words = command.argv, variables;
    for (const auto& [name, value] : command.env) variables.push_back(name + "=" + value);
    std::vector<char*> argv, env;
    for (std::string& word : words) argv.push_back(word.data());
    for (std::string& variable : variables) env.push_back(variable.data());
    argv.push_back(nullptr);
    env.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    REQUIRE(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), env.data()) == 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  int wait() const {
    int status = 0;
    // Another child's end interrupts it
    while (waitpid(pid, &status, 0) < 0) REQUIRE(errno == EINTR);
    return status;
  }
  pid_t pid = -1;
};

// Until a request of this kind is on its way.
void wait_for(TestHub& hub, const std::string& endpoint) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (hub.requests({endpoint}) == 0) REQUIRE(std::chrono::steady_clock::now() < end);
}

}  // namespace

TEST_CASE("upload prints what to copy, or one JSON document") {
  CommandWorld world;
  const ProcessResult text = run(world.command(world.wheels()));
  INFO(text.diagnostics);
  REQUIRE(text.exit_code == 0);
  CHECK(text.output.find("pip install \"" + world.hub["hub"] + "/user/wheels/resolve/") !=
        std::string::npos);
  CHECK(text.output.find("sage-1.0%2Bcu130torch2.11") != std::string::npos);
  CHECK(text.output.find("repository: " + world.hub["hub"] + "/user/wheels\n") !=
        std::string::npos);
  CHECK(text.output.find("/user/wheels/commit/" + world.hub.ref()["head"].get<std::string>()) !=
        std::string::npos);
  CHECK(text.output.find("sent 152 kB in ") != std::string::npos);
  const ProcessResult one = run(world.command({world.wheels()[0]}));
  CHECK(one.output.find("RUN pip install --no-cache-dir ") != std::string::npos);
  CHECK(one.output.find("1 of 1 file there already") != std::string::npos);
  auto words = world.wheels();
  words.insert(words.begin(), {"--json", "--verbose"});
  const ProcessResult again = run(world.command(words));
  const json document = json::parse(again.output);
  CHECK(document["schema"] == "sagebuild.upload/1");
  CHECK(document["result"] == "unchanged");
  CHECK(document["files"].size() == 2);
  CHECK(again.diagnostics.find("/revision/main -> 200") != std::string::npos);
  CHECK((text.output + text.diagnostics + again.output + again.diagnostics).find(kTestToken) ==
        std::string::npos);
  world.check_published();
}

TEST_CASE("a dozen wheels are a line each, and what holds for all of them is said once") {
  CommandWorld world;
  std::vector<std::string> wheels;
  for (int i = 0; i < 12; ++i)
    wheels.push_back(make_wheel(world.folder.path(), fmt::format("sage-1.{}-py3-none-any.whl", i),
                                100, static_cast<unsigned>(i)));
  const ProcessResult result = run(world.command(wheels));
  INFO(result.output << result.diagnostics);
  CHECK(result.exit_code == 0);
  CHECK(lines_of(result.output).size() == 12 + 4);
  CHECK(lines_of(result.diagnostics).size() <= 12 + 6);
}

TEST_CASE("--type, --revision and their older spellings are one setting each") {
  CommandWorld world;
  const auto code = [&](std::vector<std::string> words) {
    words.push_back(world.wheels()[0]);
    words.push_back("--dry-run");
    return run(world.command(words)).exit_code;
  };
  CHECK(code({"--revision", "next"}) == 0);
  CHECK(code({"--revision", "next", "--branch", "next"}) == 0);
  CHECK(code({"--revision", "next", "--branch", "main"}) == 2);
  CHECK(code({"--revision", "refs/pr/1"}) == 2);
  CHECK(code({"--type", "model"}) == 0);
  CHECK(code({"--type", "kernel"}) == 2);
  CHECK(code({"--type", "dataset"}) == 1);  // there is none of this name
  CHECK(code({"--repo", "datasets/user/wheels", "--type", "space"}) == 2);
  CHECK(code({"--sdk", "flask"}) == 2);
  for (const char* message : {"\nno summary", "  ", "a\x1b[31m", "\x7f"})
    CHECK(code({"--commit-message", message}) == 2);
  world.check_untouched();
}

TEST_CASE("without a file it is the last build's wheels, and a clear word when there are none") {
  CommandWorld world;
  const ProcessResult none = run(world.command({}));
  CHECK(none.exit_code == 2);
  CHECK(none.diagnostics.find("there is no wheel in 'dist'") != std::string::npos);
  const auto dist = world.folder.path() / "dist";
  make_folders(dist);
  for (const auto& path : world.settings.files) std::filesystem::copy(path, dist / path.filename());
  remember_last_build(dist, {dist / UploadWorld::kSmall});
  Command elsewhere =
      world.command({"--dry-run"});  // where build left them, as build itself reads it
  elsewhere.env["SAGEBUILD_OUTPUT"] = "none";
  CHECK(run(elsewhere).diagnostics.find("there is no wheel in 'none'") != std::string::npos);
  CHECK(run(world.command({"--dry-run"})).output.find(UploadWorld::kLarge) == std::string::npos);
  std::filesystem::remove(dist / ".sagebuild-last.json");
  const ProcessResult all = run(world.command({}));
  CHECK(all.diagnostics.find(UploadWorld::kLarge) != std::string::npos);  // listed before they go
  CHECK(all.exit_code == 0);
  world.check_published();
}

TEST_CASE("usage errors, refusals and network failures have their exit codes, in JSON too") {
  CommandWorld world;
  Command no_repo = world.command({"--json"});
  no_repo.argv.erase(no_repo.argv.begin() + 2, no_repo.argv.begin() + 4);
  const ProcessResult usage = run(no_repo);
  CHECK(usage.exit_code == 2);
  CHECK(json::parse(usage.output)["schema"] == "sagebuild.error/1");
  CHECK(run(world.command({"--pr", "--branch", "x"})).exit_code == 2);
  CHECK(run(world.command({"--private", world.wheels()[0]})).exit_code == 2);
  // Bytes of the content, which RECORD holds against its digest.
  const auto damaged = make_wheel(world.folder.path(), "bad-1.0-cp311-cp311-linux_x86_64.whl", 100);
  std::string bytes = read_file(damaged);
  for (std::size_t i = 0; i < 16; ++i) bytes[60 + i] = static_cast<char>(~bytes[60 + i]);
  write_file(damaged, bytes);
  CHECK(run(world.command({damaged.string()})).exit_code == 5);
  CHECK(run(world.command({damaged.string(), "--unverified"})).exit_code == 5);
  Command offline = world.command(world.wheels());
  offline.env["HF_HUB_OFFLINE"] = "1";
  CHECK(run(offline).exit_code == 3);
  Command no_token = world.command(world.wheels());
  no_token.env.erase("HF_TOKEN");
  CHECK(run(no_token).exit_code == 3);
  Command unreachable = world.command(world.wheels());
  unreachable.env["HF_ENDPOINT"] = "http://127.0.0.1:1";
  CHECK(run(unreachable).exit_code == 4);
  world.check_untouched();
}

TEST_CASE(
    "an interrupt ends an upload at once, by the signal, and leaves the repository unchanged") {
  CommandWorld world;
  world.hub.faults(
      json{{"endpoint", "part"}, {"phase", "during"}, {"action", "stall"}, {"count", -1}});
  const Child child(world.command(world.wheels()));
  wait_for(world.hub, "part");
  const std::string limits = read_file(fmt::format("/proc/{}/limits", child.pid));
  const auto core = limits.find("Max core file size");
  CHECK(limits.substr(core, limits.find('\n', core) - core).find(" 0 ") != std::string::npos);
  CHECK(read_file(fmt::format("/proc/{}/cmdline", child.pid)).find(kTestToken) ==
        std::string::npos);
  const auto begin = std::chrono::steady_clock::now();
  kill(child.pid, SIGINT);
  const int status = child.wait();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
  world.check_untouched();
}

TEST_CASE("killed at twenty random moments, a second run publishes everything in one commit") {
  std::mt19937 random(6);
  long whole =
      // Microseconds of a run that nobody kills, the second of two: the first also reads the
      // program from disk
      0;
  for (int warm = 0; warm < 2; ++warm) {
    CommandWorld world;
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(run(world.command(world.wheels())).exit_code == 0);
    whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                  begin)
                .count();
  }
  int killed = 0, after_the_commit = 0;
  for (int tries = 0; killed < 20 && tries < 100; ++tries) {
    CommandWorld world;
    const Child child(world.command(world.wheels()));
    const std::chrono::microseconds moment(std::uniform_int_distribution<long>(0, whole)(random));
    std::this_thread::sleep_for(moment);  // the moment is what is tested
    kill(child.pid, SIGKILL);
    if (!WIFSIGNALED(child.wait())) continue;
    ++killed;
    // One look for both: a commit that was sent before the kill may still be on its way to being
    // made.
    const auto ref = world.hub.ref();
    const bool was_made = ref["files"].contains("wheels.json");
    after_the_commit += was_made ? 1 : 0;
    if (!was_made) world.check_untouched(ref, 0);
    const ProcessResult second = run(world.command(world.wheels()));
    INFO(second.diagnostics);
    CHECK(second.exit_code == 0);
    world.check_published();
  }
  CHECK(killed == 20);
  WARN("of 20 runs that were killed, " << after_the_commit << " had made their commit");
}

TEST_CASE("two programs at once to one repository both publish") {
  CommandWorld world;
  const Child first(world.command({world.wheels()[0]}));
  const Child second(world.command({world.wheels()[1]}));
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  world.check_published(2);
}

}  // namespace sagebuild
