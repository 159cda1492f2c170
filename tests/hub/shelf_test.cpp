// `sagebuild hub`: what is on the shelf, and what is changed there in one commit.

#include "sagebuild/app/shelf.hpp"

#include <fmt/format.h>

#include "sagebuild/hub/index.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using Result = PublishOutcome::Result;
using Paths = std::vector<std::string>;

// Two wheels are published; a third was put there by hand, as a regular file without a row.
struct ShelfWorld : UploadWorld {
  static constexpr const char* kByHand = "hand/other-2.10-py3-none-any.whl";

  explicit ShelfWorld(json options = json::object()) : UploadWorld(std::move(options)) {
    run();
    hub.call({{"do", "commit"}, {"name", kTestRepo}, {"files", {{kByHand, "a wheel by hand"}}}});
    commits_before += 2;
  }

  std::size_t commits() { return hub.ref()["commits"].size() - commits_before; }
  json rows() { return json::parse(hub.read("wheels.json"))["wheels"]; }
  json files() { return hub.ref()["files"]; }
  bool index_names(const std::string& name) {
    return hub.read("wheels.json").find(name) != std::string::npos ||
           hub.read("SHA256SUMS").find(name) != std::string::npos ||
           hub.read("README.md").find(name) != std::string::npos;
  }
  // What the index says is true of every wheel.
  void check_index() {
    const json there = files();
    std::size_t wheels = 0;
    for (const auto& [path, file] : there.items()) {
      if (!is_wheel_path(path)) continue;
      ++wheels;
      CHECK(hub.read("SHA256SUMS").find(file["sha256"].get<std::string>() + "  " + path + "\n") !=
            std::string::npos);
    }
    REQUIRE(rows().size() == wheels);
    for (const json& row : rows()) {
      const std::string path = row["file"];
      REQUIRE(there.contains(path));
      CHECK(row["sha256"] == there[path]["sha256"]);
      CHECK(row["size"] == there[path]["size"]);
    }
  }
};

const auto kYes = [](const Paths&) {};

}  // namespace

TEST_CASE("ls shows every wheel with its facts, newest first, also those without a row") {
  ShelfWorld world;
  world.hub.call({{"do", "log"}, {"clear", true}});
  const Shelf shelf = list_shelf(world.settings, world.report);
  CHECK(shelf.repo == kTestRepo);
  CHECK(shelf.commit == world.hub.ref()["head"].get<std::string>());
  REQUIRE(shelf.wheels.size() == 3);
  CHECK(shelf.wheels[0]["file"] == ShelfWorld::kByHand);
  CHECK(shelf.wheels[0]["sha256"] == sha256("a wheel by hand").hex());
  CHECK(shelf.wheels[1]["torch"] == "2.11");
  CHECK(shelf.wheels[2]["torch"] == "2.8");
  CHECK(shelf.wheels[0]["date"] == "2026-01-01T00:00:00.000Z");
  for (const json& entry : world.hub.log()) {
    if (entry["method"] != "GET") CHECK(entry["endpoint"] != "commit");
  }
  CHECK(world.commits() == 0);
}

TEST_CASE("ls of a public repository needs no token, and only asks") {
  ShelfWorld world;
  world.hub.call({{"do", "log"}, {"clear", true}});
  write_file(world.folder.path() / "none", "");
  ::setenv("HF_TOKEN_PATH", (world.folder.path() / "none").c_str(), 1);
  ::unsetenv("HF_TOKEN");
  world.settings.token_file.reset();
  CHECK(list_shelf(world.settings, world.report).wheels.size() == 3);
  ::unsetenv("HF_TOKEN_PATH");
  for (const json& entry : world.hub.log()) CHECK(entry["auth"] == false);
}

TEST_CASE("rm takes files and their rows away in one commit, after asking") {
  ShelfWorld world;
  Paths asked;
  const auto remember = [&](const Paths& paths) { asked = paths; };
  const auto outcome =
      remove_from_shelf(world.settings, {UploadWorld::kLarge}, remember, world.report);
  CHECK(asked == Paths{UploadWorld::kLarge});
  CHECK(outcome.result == Result::committed);
  CHECK(outcome.removed == Paths{UploadWorld::kLarge});
  CHECK(world.commits() == 1);
  CHECK_FALSE(world.files().contains(UploadWorld::kLarge));
  CHECK_FALSE(world.index_names(UploadWorld::kLarge));
  CHECK(world.index_names(UploadWorld::kSmall));
  CHECK(world.hub.read("README.md").starts_with("# My wheels\n\nMy own words.\n"));
  world.check_index();
  CHECK(world.hub.ref()["commits"][0]["summary"] == fmt::format("Remove {}", UploadWorld::kLarge));
}

TEST_CASE("a no leaves everything, so do a dry run, an unknown name and an index file") {
  ShelfWorld world;
  const auto no = [](const Paths&) { throw Error(ErrorKind::failed, "nothing was removed"); };
  const auto remove = [&](const std::string& name) {
    return remove_from_shelf(world.settings, {name}, no, world.report);
  };
  CHECK_THROWS_MATCHES(remove("*.whl"), Error, says("nothing was removed"));
  CHECK_THROWS_MATCHES(remove("sage-1.0+cu130torch2.11-cp311-cp311-linux_x86_65.whl"), Error,
                       says("there is no").hints(UploadWorld::kSmall));
  CHECK_THROWS_MATCHES(remove("wheels.json"), Error, says("made from the wheels"));
  world.settings.dry_run = true;
  const auto dry = remove("sage-*");
  CHECK(dry.result == Result::dry_run);
  CHECK(dry.removed == Paths{UploadWorld::kLarge, UploadWorld::kSmall});
  CHECK(world.commits() == 0);
}

TEST_CASE("rm whose answer gets lost is one commit, and says so") {
  ShelfWorld world;
  world.hub.faults(json{{"endpoint", "commit"}, {"phase", "after"}, {"action", "reset"}});
  const auto outcome = remove_from_shelf(world.settings, {"sage-*"}, kYes, world.report);
  CHECK(outcome.result == Result::committed);
  CHECK(world.commits() == 1);
  world.check_index();
}

TEST_CASE("rm beside an upload of somebody else keeps what that one brought") {
  ShelfWorld world;
  world.hub.faults(json{{"endpoint", "commit"},
                        {"action", "commit"},
                        {"repo", "model/user/wheels"},
                        {"files", {{"new-1.0-py3-none-any.whl", "brought"}}}});
  remove_from_shelf(world.settings, {UploadWorld::kSmall}, kYes, world.report);
  CHECK(world.commits() == 2);
  CHECK(world.files().contains("new-1.0-py3-none-any.whl"));
  CHECK_FALSE(world.files().contains(UploadWorld::kSmall));
  world.check_index();
}

TEST_CASE("mv keeps bytes and facts, and sends nothing") {
  ShelfWorld world;
  json document = json::parse(world.hub.read("wheels.json"));
  for (json& row : document["wheels"]) row["architectures"] = {"9.0"};  // what no name tells
  world.hub.call(
      {{"do", "commit"}, {"name", kTestRepo}, {"files", {{"wheels.json", document.dump()}}}});
  ++world.commits_before;
  const json before = world.files()[UploadWorld::kLarge];
  world.hub.call({{"do", "log"}, {"clear", true}});
  const auto outcome = move_on_shelf(world.settings, UploadWorld::kLarge, "cu128/", world.report);
  CHECK(outcome.result == Result::committed);
  CHECK(world.commits() == 1);
  const std::string place = std::string("cu128/") + UploadWorld::kLarge;
  CHECK_FALSE(world.files().contains(UploadWorld::kLarge));
  CHECK(world.files()[place] == before);
  CHECK(world.hub.requests({"part", "batch"}) == 0);
  world.check_index();
  for (const json& row : world.rows()) {
    if (row["file"] == place) CHECK(row["architectures"] == json({"9.0"}));
  }
}

TEST_CASE("mv of a wheel that lies in git itself, and one whose answer gets lost") {
  ShelfWorld world;
  world.hub.faults(json{{"endpoint", "commit"}, {"phase", "after"}, {"action", "reset"}});
  move_on_shelf(world.settings, "other-2.10-py3-none-any.whl", "other-2.10-py3-none-any.whl",
                world.report);
  CHECK(world.commits() == 1);
  CHECK(world.hub.read("other-2.10-py3-none-any.whl") == "a wheel by hand");
  CHECK_FALSE(world.files().contains(ShelfWorld::kByHand));
  world.check_index();
}

TEST_CASE("mv gives a wheel its true name, but no other one") {
  ShelfWorld world;
  const std::string browser = "sage-3.0%2Bcu130-cp311-cp311-linux_x86_64 (1).whl";
  const std::string true_name = "sage-3.0+cu130-cp311-cp311-linux_x86_64.whl";
  world.hub.call({{"do", "commit"}, {"name", kTestRepo}, {"files", {{browser, "x"}}}});
  ++world.commits_before;
  const auto move = [&](const std::string& from, const std::string& to) {
    return move_on_shelf(world.settings, from, to, world.report);
  };
  CHECK(move(browser, true_name).result == Result::committed);
  world.check_index();
  CHECK_THROWS_MATCHES(move(true_name, "sage-3.1+cu130-cp311-cp311-linux_x86_64.whl"), Error,
                       says("its identity and stays").hints("--force"));
  CHECK_THROWS_MATCHES(move(true_name, "sage.whl"), Error, says("is no name of a wheel"));
  CHECK_THROWS_MATCHES(move(UploadWorld::kSmall, UploadWorld::kLarge), Error, says("identity"));
  CHECK_THROWS_MATCHES(move(UploadWorld::kSmall, "../x/"), Error, says("cannot be a path"));
  world.hub.call({{"do", "commit"},
                  {"name", kTestRepo},
                  {"files", {{std::string("cu/") + UploadWorld::kSmall, "other bytes"}}}});
  CHECK_THROWS_MATCHES(move(std::string("cu/") + UploadWorld::kSmall, UploadWorld::kSmall), Error,
                       says("is in 'user/wheels' already, with other content"));
  CHECK(world.commits() == 2);
}

TEST_CASE("reindex makes the index from what is there, and a second one changes nothing") {
  ShelfWorld world;
  world.hub.call(
      {{"do", "commit"},
       {"name", kTestRepo},
       {"files",
        {{"wheels.json", R"({"schema":"sagebuild.wheels/1","wheels":[{"file":"gone.whl"}]})"},
         {"SHA256SUMS", sha256("lie").hex() + "  " + UploadWorld::kSmall + "\n"}}}});
  ++world.commits_before;
  const auto outcome = reindex_shelf(world.settings, world.report);
  CHECK(outcome.index_files == Paths{"README.md", "SHA256SUMS", "wheels.json"});
  CHECK(world.commits() == 1);
  world.check_index();
  CHECK(reindex_shelf(world.settings, world.report).result == Result::unchanged);
  CHECK(world.commits() == 1);
  world.settings.branch = "nest";
  CHECK_THROWS_MATCHES(reindex_shelf(world.settings, world.report), Error,
                       says("'user/wheels' has no branch 'nest'"));
}

TEST_CASE("what others wrote into the index files stays through an upload, rm and reindex") {
  UploadWorld world;
  const std::string theirs = R"({"schema":"theirs/7","wheels":{"a":1}})", sums = "see the wiki\n";
  world.hub.call({{"do", "commit"},
                  {"name", kTestRepo},
                  {"files", {{"wheels.json", theirs}, {"SHA256SUMS", sums}}}});
  world.run();
  remove_from_shelf(world.settings, {UploadWorld::kSmall}, kYes, world.report);
  reindex_shelf(world.settings, world.report);
  CHECK(world.hub.read("wheels.json") == theirs);
  CHECK(world.hub.read("SHA256SUMS") == sums);
  CHECK(RecordingReporter::any_has(world.report.warnings, "--force-index"));
  world.settings.index.force = true;
  reindex_shelf(world.settings, world.report);
  CHECK(json::parse(world.hub.read("wheels.json"))["wheels"].size() == 1);
  CHECK(world.hub.read("SHA256SUMS").find(UploadWorld::kLarge) != std::string::npos);
}

TEST_CASE("rm, mv and reindex can be proposed as a pull request") {
  ShelfWorld world;
  world.settings.open_pull = true;
  const auto outcome = remove_from_shelf(world.settings, {UploadWorld::kSmall}, kYes, world.report);
  CHECK(outcome.result == Result::pull_request);
  CHECK(world.commits() == 0);
  CHECK_FALSE(world.hub.ref("refs/pr/1")["files"].contains(UploadWorld::kSmall));
}

TEST_CASE("the same rm or mv as a pull request goes on with the one that is open") {
  ShelfWorld world;
  world.settings.open_pull = true;
  for (int i = 0; i < 2; ++i) {
    const auto gone = remove_from_shelf(world.settings, {UploadWorld::kSmall}, kYes, world.report);
    CHECK(gone.pull_url.ends_with("/discussions/1"));
    CHECK(gone.result == (i == 0 ? Result::pull_request : Result::unchanged));
  }
  for (int i = 0; i < 2; ++i) {
    const auto moved = move_on_shelf(world.settings, UploadWorld::kSmall, "cu130/", world.report);
    CHECK(moved.pull_url.ends_with("/discussions/2"));
  }
  CHECK(world.own_pulls().size() == 2);
}

TEST_CASE("mv never takes the place of another wheel, not with --force either") {
  ShelfWorld world;
  world.settings.force = true;
  const json before = world.files();
  CHECK_THROWS_MATCHES(
      move_on_shelf(world.settings, UploadWorld::kSmall, UploadWorld::kLarge, world.report), Error,
      says("is in 'user/wheels' already, with other content").hints("hub rm"));
  CHECK(world.files() == before);
}

TEST_CASE("a name that a download has changed becomes its true one only") {
  ShelfWorld world;
  const std::string browser = "sage-3.0%2Bcu130-cp311-cp311-linux_x86_64 (1).whl";
  world.hub.call({{"do", "commit"}, {"name", kTestRepo}, {"files", {{browser, "x"}}}});
  CHECK_THROWS_MATCHES(
      move_on_shelf(world.settings, browser, "sage-9.0-cp311-cp311-linux_x86_64.whl", world.report),
      Error, says("its identity and stays"));
}

TEST_CASE("a file does not become a folder, nor a folder a file") {
  ShelfWorld world;
  world.hub.call({{"do", "commit"}, {"name", kTestRepo}, {"files", {{"notes.txt", "x"}}}});
  const json before = world.files();
  const auto move = [&](const std::string& from, const std::string& to) {
    return move_on_shelf(world.settings, from, to, world.report);
  };
  CHECK_THROWS_MATCHES(move(UploadWorld::kSmall, "README.md/"), Error,
                       says("'README.md' would be a file and a folder"));
  CHECK_THROWS_MATCHES(move("notes.txt", "hand"), Error,
                       says("'hand' would be a file and a folder"));
  world.settings.folder = "notes.txt/cu130";
  CHECK_THROWS_MATCHES(world.run(), Error, says("'notes.txt' would be a file and a folder"));
  world.settings.folder = "SHA256SUMS";
  CHECK_THROWS_MATCHES(world.run(), Error, says("'SHA256SUMS' would be a file and a folder"));
  CHECK(world.files() == before);
}

TEST_CASE("what somebody else does between the choice and the commit is told") {
  ShelfWorld world;
  const auto meanwhile = [&](json change) {
    change.update({{"endpoint", "commit"}, {"action", "commit"}, {"repo", "model/user/wheels"}});
    world.hub.faults(change);
  };
  meanwhile({{"removed", {UploadWorld::kSmall}}});
  CHECK_THROWS_MATCHES(move_on_shelf(world.settings, UploadWorld::kSmall, "cu130/", world.report),
                       Error, says("nothing was moved"));
  CHECK_FALSE(world.files().contains(std::string("cu130/") + UploadWorld::kSmall));

  meanwhile({{"files", {{UploadWorld::kLarge, "a better build"}}}});
  CHECK_THROWS_MATCHES(remove_from_shelf(world.settings, {UploadWorld::kLarge}, kYes, world.report),
                       Error, says("has other content by now"));
  CHECK(world.hub.read(UploadWorld::kLarge) == "a better build");

  meanwhile({{"removed", {UploadWorld::kLarge}}});
  remove_from_shelf(world.settings, {UploadWorld::kLarge}, kYes, world.report);
  CHECK_FALSE(world.files().contains(UploadWorld::kLarge));
}

}  // namespace sagebuild
