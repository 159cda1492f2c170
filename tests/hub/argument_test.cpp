// What is refused before anything is sent, and how the program ends for it.

#include <sys/stat.h>

#include <cstdlib>

#include "sagebuild/app/wheel_argument.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

struct ProgramWorld : UploadWorld {
  ProcessResult program(const std::vector<std::string>& words) const {
    return sagebuild::run(command(words));
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a name that a download has changed is known for what it was") {
  const std::string truth = "a-1.0+cu130-cp311-cp311-linux_x86_64.whl";
  for (const char* name :
       {"a-1.0+cu130-cp311-cp311-linux_x86_64.whl", "a-1.0%2Bcu130-cp311-cp311-linux_x86_64.whl",
        "a-1.0%2bcu130-cp311-cp311-linux_x86_64 (1).whl",
        "a-1.0+cu130-cp311-cp311-linux_x86_64(12).whl",
        "a-1.0+cu130-cp311-cp311-linux_x86_64.whl.1"})
    CHECK(true_wheel_name(name) == truth);
  for (const char* name : {"x (a).whl", "x ().whl", "x.whl.bak", ").whl", "x"})
    CHECK(true_wheel_name(name) == name);
}

TEST_CASE("what is no wheel is said to be what it is, with exit code 2, before any request") {
  ProgramWorld world;
  const auto place = [&](const std::string& name) { return (world.folder.path() / name).string(); };
  std::filesystem::create_directory(place("empty"));
  REQUIRE(mkfifo(place("pipe.whl").c_str(), 0600) == 0);
  write_file(place("notes.txt"), "x");
  write_file(place("sage-1.0.tar.gz"), "x");
  const std::string name = UploadWorld::kSmall;
  write_file(place("a-1-py3-none-any.whl"), "only text");
  write_file(place("b-1-py3-none-any.whl"), "");
  write_file(place("c-1-py3-none-any.whl"), "\n<!DOCTYPE html><html>");
  write_file(place("d-1-py3-none-any.whl"), "version https://git-lfs.github.com/spec/v1\n");
  const std::string changed = replaced(name, "+", "%2B"),
                    twice = replaced(name, ".whl", " (1).whl");
  std::filesystem::copy(place(name), place(changed));
  std::filesystem::copy(place(name), place(twice));
  for (const auto& [file, words] : std::vector<std::pair<std::string, std::string>>{
           {"empty", "there is no wheel in '"},
           {"missing.whl", "there is no file '"},
           {"pipe.whl", "it is a named pipe"},
           {"/dev/null", "it is a device"},
           {"notes.txt", "a file whose name does not end in '.whl'"},
           {"sage-1.0.tar.gz", "it is a source distribution"},
           {"a-1-py3-none-any.whl", "it is no zip archive, as every wheel is"},
           {"b-1-py3-none-any.whl", "it is an empty file"},
           {"c-1-py3-none-any.whl", "it is a web page"},
           {"d-1-py3-none-any.whl", "it is a git-lfs pointer"},
           {changed, "rename it to '" + name + "', or pass --fix-names"},
           {twice, "rename it to '" + name + "', or pass --fix-names"}}) {
    const ProcessResult result = world.program({file.starts_with('/') ? file : place(file)});
    INFO(result.diagnostics);
    CHECK(result.exit_code == 2);
    CHECK(has(result.diagnostics, words));
  }
  CHECK(world.hub.log().empty());
  const ProcessResult fixed = world.program({"--fix-names", place(changed)});
  INFO(fixed.diagnostics);
  CHECK(fixed.exit_code == 0);
  CHECK(world.hub.ref()["files"].contains(name));
}

TEST_CASE("branches that cannot be and a folder for the token are refused before any request") {
  ProgramWorld world;
  const std::string wheel = world.settings.files[0].string();
  for (const char* branch :
       {"refs/pr/1", "refs/heads/main", "refs", "a..b", "a b", "a~1", "-x", "x.lock", "HEAD", "@",
        "a//b", "/a", "a/", "x.", "\033[2J", "0123456789012345678901234567890123456789"}) {
    const ProcessResult result = world.program({"--branch=" + std::string(branch), wheel});
    INFO(result.diagnostics);
    CHECK(result.exit_code == 2);
    CHECK(has(result.diagnostics, "cannot be the name of a branch"));
    CHECK_FALSE(has(result.diagnostics, "\033[2J"));
    CHECK_THROWS_AS(require_branch_name(branch), Error);
  }
  CHECK(world.program({"--branch", "", wheel}).exit_code == 2);
  CHECK_THROWS_AS(require_branch_name(""), Error);
  for (const char* branch : {"main", "next/cu130", "v1.0", "a-b_c", "\xc3\xa9"})
    CHECK_NOTHROW(require_branch_name(branch));
  const ProcessResult token = world.program({"--token-file", world.folder.path().string(), wheel});
  CHECK(token.exit_code == 2);
  CHECK(has(token.diagnostics, "is a folder, not a token file"));
  CHECK(world.hub.log().empty());
}

TEST_CASE("a wheel whose METADATA is not UTF-8 is not sound, and no bug of ours") {
  ProgramWorld world;
  WheelContent content = wheel_content(UploadWorld::kSmall, "x");
  for (auto& [name, entry] : content) {
    if (name.ends_with("METADATA")) entry.content += "Requires-Python: >=3\xff\033[2J\n";
  }
  const auto wheel = write_wheel(world.folder.path(), UploadWorld::kSmall, content);
  const ProcessResult result = world.program({wheel.string()});
  CHECK(result.exit_code == 5);
  CHECK(has(result.diagnostics, "METADATA is not UTF-8"));
  world.check_untouched();
}

TEST_CASE("no word of a server moves the cursor, forges a line or names a log that is not there") {
  ProgramWorld world;
  world.hub.faults(status(
      "commit", 403,
      {{"count", -1},
       {"body", json{{"error", "no\033[2J\033]0;x\a\r\nerror: forged\nhint: run this\xe2\x80\xae"}}
                    .dump()}}));
  const ProcessResult result = world.program({world.settings.files[0].string()});
  INFO(result.diagnostics);
  CHECK(result.exit_code == 1);
  CHECK_FALSE(has(result.diagnostics, "\033"));
  CHECK_FALSE(has(result.diagnostics, "\r"));
  CHECK_FALSE(has(result.diagnostics, "\a"));
  CHECK_FALSE(has(result.diagnostics, "\xe2\x80\xae"));
  CHECK_FALSE(has(result.diagnostics, "\nhint: run this"));
  CHECK_FALSE(has(result.diagnostics, "log:"));
}

}  // namespace sagebuild
