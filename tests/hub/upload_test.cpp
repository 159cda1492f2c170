// What an upload does when nothing goes wrong on the wire, and what it refuses.

#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "sagebuild/hub/index.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/net/url.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using Result = PublishOutcome::Result;

// Does something when a stage begins.
class StageHook : public RecordingReporter {
 public:
  std::string at;
  std::function<void()> action;
  void stage(std::string_view text) override {
    RecordingReporter::stage(text);
    if (!at.empty() && text.starts_with(at)) std::exchange(at, "").clear(), action();
  }
};

void rewrite_keeping_time(const std::filesystem::path& path) {
  struct stat before {};
  REQUIRE(stat(path.c_str(), &before) == 0);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(1000);
    file << "changed";
  }
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("wheels, wheels.json, SHA256SUMS and the README's table are one commit") {
  UploadWorld world;
  const UploadOutcome outcome = world.run();
  CHECK(outcome.published.result == Result::committed);
  world.check_published();
  const json ref = world.hub.ref();
  CHECK(outcome.published.commit == ref["head"].get<std::string>());
  CHECK(ref["commits"][0]["summary"] == "Add 2 wheels");
  CHECK(ref["commits"][0]["description"].get<std::string>().find("torch 2.11, CUDA 13.0") !=
        std::string::npos);

  const json rows = json::parse(world.hub.read("wheels.json"));
  REQUIRE(rows["wheels"].size() == 2);
  CHECK(rows["wheels"][1]["file"] == UploadWorld::kSmall);
  CHECK(rows["wheels"][1]["torch"] == "2.11");
  CHECK(rows["wheels"][1]["sha256"] == sha256_file(world.settings.files[0]).hex());
  CHECK(world.hub.read("SHA256SUMS")
            .find(sha256_file(world.settings.files[1]).hex() + "  " + UploadWorld::kLarge) !=
        std::string::npos);
  const std::string readme = world.hub.read("README.md");
  CHECK(readme.starts_with("# My wheels\n\nMy own words.\n\n"));
  CHECK(readme.find("| 2.11 | 13.0 | cp311 |  | linux_x86_64 |") != std::string::npos);
}

TEST_CASE("the printed address is pinned to the commit and downloads the right bytes") {
  UploadWorld world;
  world.settings.folder = "whl/cu 130/\xc3\xa9t\xc3\xa9/" + std::string(250, 'n');
  const UploadOutcome outcome = world.run();
  world.check_published();
  for (std::size_t i = 0; i < 2; ++i) {
    const PublishedWheel& wheel = outcome.wheels[i];
    CHECK(wheel.url.find("/resolve/" + outcome.published.commit +
                         "/whl/cu%20130/%C3%A9t%C3%A9/nnn") != std::string::npos);
    CHECK(wheel.url.find('+') == std::string::npos);
    CHECK(wheel.url.find("%2B") != std::string::npos);
    CHECK(wheel.pip == "pip install \"" + wheel.url + "#sha256=" + wheel.file.sha256.hex() + "\"");
    CHECK(wheel.uv == "uv " + wheel.pip);
    HttpClient http(HttpSettings{});
    const Response response = http.send({.url = wheel.url, .redirects = Redirects::anywhere});
    CHECK(sha256(response.body) == wheel.file.sha256);
  }
}

TEST_CASE("a second run finds nothing to do and makes no commit") {
  UploadWorld world;
  world.run();
  const std::size_t puts = world.hub.requests({"part"});
  const UploadOutcome again = world.run();
  CHECK(again.published.result == Result::unchanged);
  CHECK(again.published.files[0].was_present);
  CHECK(again.wheels[0].url.find(again.published.commit) != std::string::npos);
  world.check_published();
  CHECK(world.hub.requests({"part"}) == puts);
}

TEST_CASE("a run after an interrupted one sends only what is missing") {
  UploadWorld world;
  world.settings.http.retry.attempts = 1;
  world.hub.faults(json{{"endpoint", "part"}, {"action", "reset"}, {"skip", 3}, {"count", -1}});
  CHECK_THROWS_AS(world.run(), Error);
  world.check_untouched();
  world.hub.faults(json::array());
  const auto taken = [&] {
    std::size_t count = 0;
    for (const json& entry : world.hub.log())
      count += entry["endpoint"] == "part" && entry["status"] == 200 ? 1 : 0;
    return count;
  };
  CHECK(taken() == 3);
  world.run();
  world.check_published();
  CHECK(taken() == 1 + 5);  // the small wheel, and the parts of the large one
  CHECK(RecordingReporter::any_has(
      world.report.notes,
      fmt::format("of 5 parts of '{}' are there already", UploadWorld::kLarge)));
}

TEST_CASE("a name is an identity: other bytes under it are refused, or replaced with --force") {
  UploadWorld world;
  world.run();
  world.settings.files = {make_wheel(world.folder.path(), UploadWorld::kSmall, 20'000, 99)};
  CHECK_THROWS_MATCHES(world.run(), Error, says("with other content").hints("--force"));
  CHECK(world.hub.ref()["commits"].size() == world.commits_before + 1);
  world.settings.force = true;
  CHECK(world.run().published.result == Result::committed);
  world.check_published(2);
  CHECK(json::parse(world.hub.read("wheels.json"))["wheels"].size() == 2);
}

TEST_CASE("a dry run reads and sends nothing") {
  UploadWorld world;
  world.settings.dry_run = true;
  const UploadOutcome outcome = world.run();
  CHECK(outcome.published.result == Result::dry_run);
  CHECK(outcome.wheels[0].url.empty());
  CHECK(outcome.published.index_files ==
        std::vector<std::string>{"README.md", "SHA256SUMS", "wheels.json"});
  for (const json& entry : world.hub.log()) CHECK(entry["method"] == "GET");
  world.check_untouched();
}

TEST_CASE("a missing repository is made only when asked, private when asked") {
  UploadWorld world;
  world.settings.repo = parse_repo_id("user/new");
  CHECK_THROWS_MATCHES(world.run(), Error,
                       says("there is no repository 'user/new'").hints("--create"));
  world.settings.create = true;
  world.settings.is_private = true;
  SECTION("plainly") {}
  SECTION("its answer gets lost") {
    world.hub.faults(json{{"endpoint", "create"}, {"phase", "after"}, {"action", "reset"}});
  }
  SECTION("somebody else makes it first") {
    world.hub.faults(
        json{{"endpoint", "create"}, {"phase", "before"}, {"action", "status"}, {"status", 409}});
    world.hub.call({{"do", "create"}, {"name", "user/new"}, {"private", true}});
    world.hub.faults(json{{"endpoint", "auth-check"},
                          {"action", "status"},
                          {"status", 404},
                          {"headers", {{"X-Error-Code", "RepoNotFound"}}}});
  }
  world.run();
  world.commits_before = 1;
  world.check_published();
  CHECK(world.hub.call({{"do", "state"}})["repos"]["model/user/new"]["private"] == true);
}

TEST_CASE("build --upload learns before the build whether it may publish") {
  UploadWorld world;
  CHECK_NOTHROW(require_upload_access(world.settings, world.report));
  world.settings.repo = parse_repo_id("user/new");
  CHECK_THROWS_MATCHES(require_upload_access(world.settings, world.report), Error,
                       says("there is no repository"));
  world.settings.create = true;
  CHECK_NOTHROW(require_upload_access(world.settings, world.report));
  world.hub.call({{"do", "reset"}, {"tokens", json::object()}});
  CHECK_THROWS_MATCHES(require_upload_access(world.settings, world.report), Error,
                       says("not valid"));
  world.settings.endpoint = "http://127.0.0.1:1";
  CHECK_THROWS_MATCHES(require_upload_access(world.settings, world.report), Error,
                       says("after 6 attempts"));
}

TEST_CASE("creation that is not allowed says so") {
  UploadWorld world(
      json{{"tokens",
            {{kTestToken, {{"name", "user"}, {"role", "fineGrained"}, {"repos", {kTestRepo}}}}}}});
  world.settings.repo = parse_repo_id("user/new");
  world.settings.create = true;
  CHECK_THROWS_MATCHES(world.run(), Error, says("You don't have the rights to create"));
}

TEST_CASE("a branch is made from main, a pull request leaves main alone") {
  UploadWorld world;
  world.settings.branch = "next/cu130";
  world.run();
  world.check_published(1, "next/cu130");
  CHECK(world.hub.ref()["commits"].size() == world.commits_before);
  world.settings.branch = "main";
  world.settings.open_pull = true;
  const UploadOutcome pull = world.run();
  CHECK(pull.published.result == Result::pull_request);
  CHECK(pull.published.pull_url.ends_with("/discussions/1"));
  world.check_published(1, "refs/pr/1");
  CHECK(world.hub.ref()["commits"].size() == world.commits_before);
}

TEST_CASE("who may not write learns why") {
  const auto with_role = [](json user) {
    return json{{"tokens", {{kTestToken, std::move(user)}}}};
  };
  SECTION("a read token") {
    UploadWorld world(with_role({{"name", "user"}, {"role", "read"}}));
    CHECK_THROWS_MATCHES(world.run(), Error, says("with the role 'read'").hints("may only read"));
    world.check_untouched();
  }
  SECTION("a fine-grained token of another repository") {
    UploadWorld world(
        with_role({{"name", "user"}, {"role", "fineGrained"}, {"repos", {"user/other"}}}));
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("fineGrained").hints("write access to 'user/wheels'"));
  }
  SECTION("an expired token") {
    UploadWorld world(with_role({{"name", "user"}, {"role", "write"}, {"expired", true}}));
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("not valid, or it has expired").hints("hf auth login"));
  }
  SECTION("no token") {
    UploadWorld world;
    world.settings.token_file.reset();
    ::setenv("HF_TOKEN_PATH", (world.folder.path() / "none").c_str(), 1);
    ::unsetenv("HF_TOKEN");
    CHECK_THROWS_MATCHES(world.run(), Error, says("without a token").hints("HF_TOKEN"));
    ::unsetenv("HF_TOKEN_PATH");
  }
  SECTION("a disabled repository") {
    UploadWorld world;
    world.hub.call({{"do", "create"}, {"name", "user/off"}, {"disabled", true}});
    world.settings.repo = parse_repo_id("user/off");
    CHECK_THROWS_MATCHES(world.run(), Error, says("Access to this resource is disabled"));
  }
  SECTION("a gated repository that this token may not read") {
    UploadWorld world;
    world.hub.call({{"do", "create"}, {"name", "user/gated"}, {"gated", true}});
    world.hub.call({{"do", "commit"}, {"name", "user/gated"}, {"files", {{"README.md", "# x\n"}}}});
    world.settings.repo = parse_repo_id("user/gated");
    CHECK_THROWS_MATCHES(world.run(), Error, says("Access to this model is restricted"));
  }
}

TEST_CASE("a renamed repository is followed, also when the name changes in the middle") {
  UploadWorld world;
  SECTION("before") {
    world.hub.call({{"do", "rename"}, {"name", kTestRepo}, {"to", "user/renamed"}});
  }
  SECTION("at the batch call") {
    world.hub.faults(json{{"endpoint", "batch"},
                          {"action", "rename"},
                          {"repo", "model/user/wheels"},
                          {"to", "user/renamed"}});
  }
  SECTION("at the commit") {
    world.hub.faults(json{{"endpoint", "commit"},
                          {"action", "rename"},
                          {"repo", "model/user/wheels"},
                          {"to", "user/renamed"}});
  }
  world.run();
  world.settings.repo = parse_repo_id("user/renamed");
  world.check_published();
}

TEST_CASE("a file that changes or vanishes while it is uploaded is not published") {
  UploadWorld world;
  StageHook report;
  const auto large = world.settings.files[1];
  std::string expected = "changed while it was uploaded";
  SECTION("longer, before the upload") {
    report.at = "uploading", report.action = [&] { std::ofstream(large, std::ios::app) << "more"; };
  }
  SECTION("shorter, before the upload") {
    report.at = "uploading", report.action = [&] { std::filesystem::resize_file(large, 1000); };
    expected = "'";  // either the shorter file or the changed one is seen first
  }
  SECTION("replaced, before the commit") {
    report.at = "committing", report.action = [&] { write_file(large, "x"); };
  }
  SECTION("gone, before the upload") {
    report.at = "uploading", report.action = [&] { std::filesystem::remove(large); },
    expected = large.filename().string();
  }
  SECTION("same size, same time, other bytes: the storage's check finds it") {
    report.at = "uploading", report.action = [&] { rewrite_keeping_time(world.settings.files[0]); };
    expected = "BadDigest";
  }
  try {
    upload(world.settings, report);
    FAIL_CHECK("published");
  } catch (const Error& error) {
    INFO(error.rendered());
    CHECK(error.rendered().find(expected) != std::string::npos);
    world.check_untouched();
  }
}

TEST_CASE("names that the Hub refuses are refused before anything is sent") {
  for (const char* name : {"wheels", "a/b/c", "a/b--c", "a/-b", "a/b.", "a/b.git", "a/b c", "../b",
                           "a/", "/b", "a/\xc3\xa9"}) {
    CHECK_THROWS_MATCHES(parse_repo_id(name), Error, says("is not a repository name"));
  }
  CHECK_THROWS_AS(parse_repo_id("a/" + std::string(96, 'x')), Error);
  CHECK(api_path(parse_repo_id("datasets/a/b")) == "/api/datasets/a/b");
  CHECK(web_path(parse_repo_id("a/b")) == "/a/b");
  for (const char* path : {"", "/a", "a/", "a//b", "../a", "a/./b", ".git/x", "a/.cache/b", "a\nb",
                           "a/\xff", " ", "a/ /b"}) {
    CHECK_THROWS_MATCHES(require_repo_path(path), Error, says("cannot be a path"));
  }
  UploadWorld world;
  for (const char* folder : {"../up", "a//b"}) {
    world.settings.folder = folder;
    CHECK_THROWS_MATCHES(world.run(), Error, says("cannot be a path"));
  }
  world.settings.folder.clear();
  world.settings.files.push_back(world.settings.files[0]);
  CHECK_THROWS_MATCHES(world.run(), Error, says("two files would both become"));
  world.check_untouched();
}

TEST_CASE("only sound wheels go up") {
  UploadWorld world;
  write_file(world.folder.path() / "notes.txt", "x");
  world.settings.files = {world.folder.path() / "notes.txt"};
  CHECK_THROWS_MATCHES(world.run(), Error, says("notes.txt' is not a wheel"));
  world.settings.files = {world.folder.path() / "missing.whl"};
  CHECK_THROWS_MATCHES(world.run(), Error, says("there is no file"));
  CHECK(world.hub.log().empty());
}

namespace {

// Below the command: a request of a single file.
void publish_one(UploadWorld& world, FileStamp checked, std::function<void()> tick) {
  PublishRequest request;
  request.summary = "Add one";
  request.files = {{world.settings.files[0], UploadWorld::kSmall, {}, checked}};
  const HubToken token = find_hub_token(world.settings.token_file);
  world.settings.http.tick = std::move(tick);
  HttpClient http(world.settings.http);
  HubApi api(http, world.settings.endpoint, token, world.settings.repo);
  publish(api, request, world.report);
}

}  // namespace

TEST_CASE("a wheel that is replaced after it was checked is not published") {
  UploadWorld world;
  const FileStamp checked = stamp_of(world.settings.files[0]);
  make_wheel(world.folder.path(), UploadWorld::kSmall, 30'000, 3);
  CHECK_THROWS_MATCHES(publish_one(world, checked, nullptr), Error,
                       says("changed while it was uploaded"));
  world.check_untouched();
}

TEST_CASE("an interrupt says so if a commit is on its way, and nothing of one before") {
  for (const bool is_late : {true, false}) {
    UploadWorld world;
    const auto interrupt = [&] {
      if (RecordingReporter::any_has(world.report.stages, is_late ? "committing" : "uploading"))
        throw Interrupted(SIGINT);
    };
    CHECK_THROWS_AS(publish_one(world, stamp_of(world.settings.files[0]), interrupt), Interrupted);
    CHECK(RecordingReporter::any_has(world.report.warnings, "not known whether it was made") ==
          is_late);
  }
}

TEST_CASE(
    "a file that this run itself put there was not there before, also if the answer is lost") {
  UploadWorld world;
  world.hub.faults(json{{"endpoint", "commit"}, {"phase", "after"}, {"action", "reset"}});
  for (const auto& wheel : world.run().wheels) CHECK_FALSE(wheel.file.was_present);
  for (const auto& wheel : world.run().wheels) CHECK(wheel.file.was_present);
  world.check_published();
}

TEST_CASE("a list of files in many pages is read whole") {
  UploadWorld world(json{{"page_size", 2}});
  world.run();
  world.check_published();
  CHECK(world.run().published.result == Result::unchanged);
}

TEST_CASE(
    "the Hub decides what goes to LFS: plain wheels and index files in LFS are published as well") {
  const bool all = GENERATE(true, false);
  UploadWorld world(all ? json{{"lfs_from", 0}} : json{{"never_lfs", true}});
  world.run();
  world.check_published();
  for (const char* name : {"wheels.json", UploadWorld::kSmall})
    CHECK(world.hub.ref()["files"][name]["lfs"] == all);
  CHECK(world.run().published.result == Result::unchanged);
  CHECK(json::parse(world.hub.read("wheels.json"))["wheels"][0].contains("sha256"));
}

TEST_CASE("two uploads at once to one repository both arrive, and the index names both") {
  UploadWorld world;
  UploadSettings first = world.settings;
  UploadSettings second = world.settings;
  first.files = {world.settings.files[0]};
  second.files = {world.settings.files[1]};
  RecordingReporter other_report;
  std::thread other([&] { upload(second, other_report); });
  upload(first, world.report);
  other.join();
  world.check_published(2);
  CHECK(json::parse(world.hub.read("wheels.json"))["wheels"].size() == 2);
}

TEST_CASE("two hundred small wheels need few requests") {
  UploadWorld world;
  world.settings.files.clear();
  for (int i = 0; i < 200; ++i) {
    world.settings.files.push_back(make_wheel(world.folder.path(),
                                              fmt::format("sage-1.{}-py3-none-any.whl", i), 50,
                                              static_cast<unsigned>(i)));
  }
  world.run();
  world.check_published();
  const std::size_t calls = world.hub.requests(
      {"auth-check", "revision", "tree", "resolve", "preupload", "batch", "commit"});
  INFO(calls);
  CHECK(calls < 10);
}

TEST_CASE("facts for wheels.json come from the build's own provenance") {
  UploadWorld world;
  const json made = {{"sagebuild", "0.1.0"},
                     {"archs", "8.0 9.0 12.0+PTX"},
                     {"cuda", {{"version", "13.0"}}},
                     {"torch", "2.11.0+cu130"},
                     {"source", {{"url", "https://example.org/sage.git"}, {"commit", "abc"}}}};
  world.settings.files = {
      make_wheel(world.folder.path(), "sage-3.0-cp311-cp311-linux_x86_64.whl", 10, 1, made.dump())};
  world.run();
  const json row = json::parse(world.hub.read("wheels.json"))["wheels"][0];
  CHECK(row["architectures"] == json({"8.0", "9.0", "12.0+PTX"}));
  CHECK(row["torch"] == "2.11.0+cu130");
  CHECK(row["commit"] == "abc");
  CHECK(world.hub.read("README.md").find("| 8.0 9.0 12.0+PTX |") != std::string::npos);
  // The same of a SLSA predicate
  const json predicate = {
      {"buildDefinition",
       {{"externalParameters",
         {{"source", {{"uri", "git+https://example.org/sage.git"}}}, {"archs", "8.9"}}},
        {"resolvedDependencies",
         json::array({{{"name", "source"}, {"digest", {{"gitCommit", "def"}}}},
                      {{"name", "torch"}, {"annotations", {{"version", "2.11.0+cu130"}}}}})}}},
      {"runDetails", {{"builder", {{"version", {{"sagebuild", "0.2.0"}}}}}}}};
  world.settings.files = {make_wheel(world.folder.path(), "sage-3.1-cp311-cp311-linux_x86_64.whl",
                                     10, 1, predicate.dump())};
  world.run();
  const json newer = json::parse(world.hub.read("wheels.json"))["wheels"][1];
  CHECK(newer["version"] == "3.1");
  CHECK(newer["architectures"] == json({"8.9"}));
  CHECK(newer["source"] == "https://example.org/sage.git");
  CHECK(newer["commit"] == "def");
  CHECK(newer["torch"] == "2.11.0+cu130");
  CHECK(newer["sagebuild"] == "0.2.0");
}

}  // namespace sagebuild
