// What a publisher can choose for an upload, and what it says at its end.

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/environment.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using Result = PublishOutcome::Result;

json files_of(TestHub& hub, const std::string& kind, const std::string& name) {
  return hub.call({{"do", "state"}})["repos"][kind + "/" + name]["refs"]["main"]["files"];
}

}  // namespace

TEST_CASE("a folder stands for the wheels in it and below, which keep their place") {
  UploadWorld world;
  const auto folder = world.folder.path() / "dist";
  make_folders(folder / "cu128");
  std::filesystem::rename(world.settings.files[0], folder / UploadWorld::kSmall);
  std::filesystem::rename(world.settings.files[1], folder / "cu128" / UploadWorld::kLarge);
  write_file(folder / "notes.txt", "no wheel");
  world.settings.files = {folder};
  world.settings.folder = "whl";
  world.run();
  const json files = world.hub.ref()["files"];
  CHECK(files.contains(std::string("whl/") + UploadWorld::kSmall));
  CHECK(files.contains(std::string("whl/cu128/") + UploadWorld::kLarge));
  CHECK_FALSE(files.contains("whl/notes.txt"));
  make_folders(world.folder.path() / "empty");
  world.settings.files = {world.folder.path() / "empty"};
  CHECK_THROWS_MATCHES(world.run(), Error, says("there is no wheel in"));
}

TEST_CASE("--include and --exclude are globs on the name and on the place below the folder") {
  UploadWorld world;
  const auto sent = [&](std::vector<std::string> include, std::vector<std::string> exclude) {
    world.settings.dry_run = true;
    world.settings.include = std::move(include);
    world.settings.exclude = std::move(exclude);
    std::vector<std::string> paths;
    for (const PublishedWheel& wheel : world.run().wheels) paths.push_back(wheel.file.repo_path);
    return paths;
  };
  using Paths = std::vector<std::string>;
  CHECK(sent({"*cu130*"}, {}) == Paths{UploadWorld::kSmall});
  CHECK(sent({}, {"*cu130*"}) == Paths{UploadWorld::kLarge});
  CHECK(sent({"*cu13?torch*", "*cu128*"}, {"*[!8]torch2.1*"}) == Paths{UploadWorld::kLarge});
  CHECK_THROWS_MATCHES(sent({"*.txt"}, {}), Error, says("leave no file"));
  make_folders(world.folder.path() / "all" / "old");
  std::filesystem::rename(world.settings.files[0],
                          world.folder.path() / "all" / "old" / UploadWorld::kSmall);
  std::filesystem::rename(world.settings.files[1],
                          world.folder.path() / "all" / UploadWorld::kLarge);
  world.settings.files = {world.folder.path() / "all"};
  CHECK(sent({}, {"old/*"}) == Paths{UploadWorld::kLarge});
}

TEST_CASE("datasets and Spaces are made and filled as models are; a Space with its sdk") {
  UploadWorld world;
  world.settings.create = true;
  for (const auto& [kind, sdk] : {std::pair{"dataset", "static"}, {"space", "gradio"}}) {
    world.settings.repo = {kind, "user/shelf"};
    world.settings.sdk = sdk;
    const UploadOutcome outcome = world.run();
    CHECK(files_of(world.hub, kind, "user/shelf").contains(UploadWorld::kLarge));
    CHECK(outcome.repo_url == world.hub["hub"] + fmt::format("/{}s/user/shelf", kind));
    CHECK(outcome.wheels[0].url.find(fmt::format("/{}s/user/shelf/resolve/", kind)) !=
          std::string::npos);
  }
}

TEST_CASE("a commit message is the summary, and its other lines come before the list") {
  UploadWorld world;
  world.settings.commit_message = "Wheels for H100\n\nAsked for in #7.\n";
  world.run();
  const json commit = world.hub.ref()["commits"][0];
  CHECK(commit["summary"] == "Wheels for H100");
  CHECK(commit["description"].get<std::string>().starts_with("Asked for in #7.\n\n- sage-1.0"));
}

TEST_CASE("--no-readme leaves the README as it is, and the other index files are made") {
  UploadWorld world;
  world.settings.index.with_readme = false;
  const UploadOutcome outcome = world.run();
  CHECK(world.hub.read("README.md") == "# My wheels\n\nMy own words.\n");
  CHECK(outcome.published.index_files == std::vector<std::string>{"SHA256SUMS", "wheels.json"});
}

TEST_CASE("the line for LFS is added to .gitattributes once") {
  UploadWorld world;
  world.hub.call({{"do", "commit"},
                  {"name", kTestRepo},
                  {"files", {{".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"}}}});
  world.commits_before = 3;
  world.run();
  CHECK(world.hub.read(".gitattributes") ==
        "*.bin filter=lfs diff=lfs merge=lfs -text\n*.whl filter=lfs diff=lfs merge=lfs -text\n");
  world.check_published();
  CHECK(world.run().published.result == Result::unchanged);
}

TEST_CASE("the end of a run tells what was sent and what was there") {
  UploadWorld world;
  const auto both = world.settings.files;
  world.settings.files = {both[0]};
  const UploadOutcome first = world.run();
  CHECK(first.published.bytes_sent == std::filesystem::file_size(both[0]));
  CHECK(first.commit_url ==
        world.hub["hub"] + "/user/wheels/commit/" + world.hub.ref()["head"].get<std::string>());
  world.settings.files = both;
  const UploadOutcome second = world.run();
  CHECK(second.published.bytes_sent == std::filesystem::file_size(both[1]));
  CHECK(RecordingReporter::any_has(world.report.notes, "1 of 2 files there already"));
  CHECK(world.run().published.bytes_sent == 0);
}

TEST_CASE("content that the storage has is not sent again, and that is said") {
  UploadWorld world;
  world.hub.faults(json{{"endpoint", "commit"}, {"action", "status"}, {"status", 403}});
  CHECK_THROWS_AS(world.run(), Error);
  const std::size_t puts = world.hub.requests({"part"});
  CHECK(world.run().published.bytes_sent == 0);
  CHECK(world.hub.requests({"part"}) == puts);
  CHECK(
      RecordingReporter::any_has(world.report.notes, "2 of 2 files already in the Hub's storage"));
}

TEST_CASE("the lines for a private repository work with the token, and with nothing else") {
  UploadWorld world;
  world.settings.repo = parse_repo_id("user/secret");
  world.settings.create = world.settings.is_private = true;
  world.settings.files.pop_back();
  const UploadOutcome outcome = world.run();
  CHECK(outcome.published.is_private);
  for (const std::string& line :
       {outcome.wheels[0].pip, outcome.wheels[0].uv, outcome.wheels[0].dockerfile})
    CHECK(line.find(kTestToken) == std::string::npos);
  const auto fetch = [&](const std::string& token) {
    const auto folder = world.folder.path() / ("fetched-" + token);
    make_folders(folder);
    Command command;
    command.argv = {"/bin/sh", "-c",
                    replaced(outcome.wheels[0].pip, "&& pip install", "&& sha256sum")};
    command.cwd = folder;
    command.env["HF_TOKEN"] = token;
    return run(command);
  };
  const ProcessResult good = fetch(kTestToken);
  INFO(outcome.wheels[0].pip << good.diagnostics);
  CHECK(good.exit_code == 0);
  CHECK(good.output.starts_with(outcome.wheels[0].file.sha256.hex()));
  CHECK(fetch("hf_wrong").exit_code != 0);
  world.check_token_kept();
}

TEST_CASE("what the Hub warns of is shown, once") {
  UploadWorld world(json{{"warning", "storage; you have used 99 % of your storage"}});
  world.run();
  CHECK(std::ranges::count(world.report.warnings,
                           "the Hub says: you have used 99 % of your storage") == 1);
}

TEST_CASE("a CI job's identity is exchanged for a token of one repository") {
  UploadWorld world(json{{"tokens", json::object()}});
  world.settings.token_file.reset();
  const WithEnvironment resource({{"HF_OIDC_RESOURCE", kTestRepo}});
  const WithEnvironment other({{"HF_TOKEN", "hf_somebodyelses"}});
  SECTION("that the CI gives in a variable") {
    const WithEnvironment token({{"HF_OIDC_ID_TOKEN", "identity for " + world.hub["hub"]}});
    world.run();
    world.check_published();
  }
  SECTION("that GitHub gives for an audience") {
    const WithEnvironment address(
        {{"ACTIONS_ID_TOKEN_REQUEST_URL", world.hub["hub"] + "/ci/identity?api-version=2"}});
    const WithEnvironment password({{"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token"}});
    world.run();
    world.check_published();
  }
  SECTION("none is an error, no other token takes its place") {
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("this job has no identity to show").hints("id-token: write"));
  }
  SECTION("a refused one is an error") {
    const WithEnvironment token({{"HF_OIDC_ID_TOKEN", "identity for another"}});
    CHECK_THROWS_MATCHES(world.run(), Error, says("no trusted publisher has this identity"));
    CHECK(world.hub.ref()["commits"].size() == world.commits_before);
  }
  for (const json& entry : world.hub.log()) CHECK(entry["endpoint"] != "whoami");
}

TEST_CASE("a multipart upload goes on where an earlier run stopped, or says that it starts again") {
  UploadWorld world;
  world.settings.files.erase(world.settings.files.begin());
  world.settings.http.retry.attempts = 1;
  world.hub.faults(json{
      {"endpoint", "part"}, {"action", "status"}, {"status", 500}, {"skip", 3}, {"count", -1}});
  CHECK_THROWS_AS(world.run(), Error);
  world.hub.faults(json::array());
  const std::size_t before = world.hub.requests({"part"});
  const auto sent = [&] { return world.hub.requests({"part"}) - before; };
  const auto kept = world.settings.kept_uploads;
  SECTION("the parts are there: only the others are sent") {
    std::filesystem::perms mode = std::filesystem::status(kept).permissions();
    CHECK((mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
          std::filesystem::perms::none);
    world.run();
    CHECK(sent() == 2);
    CHECK(RecordingReporter::any_has(world.report.notes, "3 of 5 parts of"));
    CHECK(std::filesystem::is_empty(kept));
  }
  SECTION("the addresses have expired: all of it is sent, and that is said") {
    world.hub.faults(
        json{{"endpoint", "part"}, {"action", "status"}, {"status", 403}, {"count", 2}});
    world.run();
    CHECK(sent() == 2 + 5);
    CHECK(RecordingReporter::any_has(world.report.notes, "starts again from its first part"));
  }
  SECTION("the storage has dropped the parts: the completion is refused, and all of it is sent") {
    world.hub.faults(json{{"endpoint", "complete"}, {"action", "status"}, {"status", 400}});
    world.run();
    CHECK(sent() == 2 + 5);
    CHECK(RecordingReporter::any_has(world.report.notes, "starts again from its first part"));
  }
  SECTION("what is remembered is damaged: all of it is sent") {
    for (const auto& file : std::filesystem::directory_iterator(kept))
      write_file(file.path(), "{\"schema\":\"sagebuild.multipart/1\",\"href\":7}");
    world.run();
    CHECK(sent() == 5);
  }
  SECTION("the storage is elsewhere by now: all of it is sent to the new place") {
    for (const auto& file : std::filesystem::directory_iterator(kept)) {
      json saved = json::parse(read_file(file.path()));
      const char* wrong = GENERATE("http://127.0.0.1:9/x", "file:///dev/null", "");
      const char* key = GENERATE("href", "verify", "parts");
      saved[key] =
          saved[key].is_array() ? json(json::array_t(saved[key].size(), wrong)) : json(wrong);
      write_file(file.path(), saved.dump());
    }
    world.run();
    CHECK(sent() == 5);
  }
  SECTION("files of others in its folder stay, however old") {
    const auto theirs = kept / "notes.json";
    write_file(theirs, "mine");
    std::filesystem::last_write_time(
        theirs, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24));
    world.run();
    CHECK(read_file(theirs) == "mine");
  }
  SECTION("it is a day old: all of it is sent") {
    for (const auto& file : std::filesystem::directory_iterator(kept))
      std::filesystem::last_write_time(
          file.path(), std::filesystem::file_time_type::clock::now() - std::chrono::hours(24));
    world.run();
    CHECK(sent() == 5);
  }
  world.check_published();
}

}  // namespace sagebuild
