// Pull requests: one for the same files, whatever happens to answers; nothing on main.

#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using Result = PublishOutcome::Result;

struct PullWorld : UploadWorld {
  explicit PullWorld(json options = json::object()) : UploadWorld(std::move(options)) {
    settings.open_pull = true;
    settings.http.retry.attempts = 3;
  }
  void check_main_untouched() {
    const json ref = hub.ref("main", settings.repo.name);
    CHECK(ref["commits"].size() == commits_before);
    CHECK_FALSE(ref["files"].contains("wheels.json"));
  }
  // One pull request of ours, with the files, said to be there.
  void check_one(const UploadOutcome& outcome) {
    REQUIRE(own_pulls().size() == 1);
    const std::string number = own_pulls().front();
    CHECK(outcome.published.result == Result::pull_request);
    CHECK(outcome.published.pull_url.ends_with("/discussions/" + number));
    check_published(1, "refs/pr/" + number);
    check_main_untouched();
  }
};

}  // namespace

TEST_CASE("whatever becomes of the answer to a pull request, there is one, and it is found") {
  const std::vector<json> answers = {fault("commit", "after", "reset"),
                                     fault("commit", "after", "close"),
                                     fault("commit", "after", "truncate"),
                                     fault("commit", "after", "html"),
                                     fault("commit", "after", "broken_json"),
                                     fault("commit", "after", "portal"),
                                     fault("commit", "before", "odd", {{"kind", "no_pull_url"}}),
                                     fault("commit", "before", "odd", {{"kind", "wrong_commit"}}),
                                     status("commit", 403, {{"phase", "after"}}),
                                     status("commit", 412, {{"phase", "after"}}),
                                     status("commit", 504, {{"phase", "after"}}),
                                     status("commit", 524, {{"phase", "after"}})};
  for (const int count : {1, -1}) {
    for (json answer : answers) {
      PullWorld world;
      answer["count"] = count;
      world.hub.faults(answer);
      INFO(answer.dump());
      world.check_one(world.run());
    }
  }
}

TEST_CASE("a request for a pull request that got lost on its way is sent again") {
  for (const char* action : {"reset", "close", "portal"}) {
    PullWorld world;
    world.hub.faults(fault("commit", "before", action));
    INFO(action);
    world.check_one(world.run());
  }
}

TEST_CASE("a second run finds its pull request: among many, after main moved, by its files alone") {
  PullWorld world(json{{"pulls_page", 3}});
  world.run();
  SECTION("at once") {}
  SECTION("with another summary") { world.settings.commit_message = "Other words"; }
  SECTION("behind 60 newer ones") {
    world.hub.call({{"do", "pulls"}, {"name", kTestRepo}, {"count", 60}});
  }
  SECTION("behind 25 newer ones") {
    world.hub.call({{"do", "pulls"}, {"name", kTestRepo}, {"count", 25}});
  }
  SECTION("behind newer ones of the same title") {
    world.hub.call({{"do", "pulls"}, {"name", kTestRepo}, {"count", 2}, {"title", "Add 2 wheels"}});
  }
  SECTION("after main moved") {
    world.hub.call({{"do", "commit"}, {"name", kTestRepo}, {"files", {{"other.txt", "theirs"}}}});
    world.commits_before = 2;
  }
  SECTION("although the Hub tells no descriptions") {
    world.hub.faults(status("discussion", 404, {{"count", -1}}));
  }
  CHECK(world.run().published.result == Result::unchanged);
  CHECK(world.own_pulls() == std::vector<std::string>{"1"});
  CHECK(world.hub.ref("refs/pr/1")["commits"].size() == 3);
}

TEST_CASE("a pull request that somebody else marked like ours is not gone on with") {
  PullWorld world;
  world.run();
  const json pulls = world.hub.call({{"do", "state"}})["repos"]["model/user/wheels"]["pulls"];
  const std::string description = pulls["1"]["description"];
  CHECK(description.find("<!-- sagebuild upload ") != std::string::npos);
  PullWorld fresh;
  fresh.hub.call({{"do", "pulls"},
                  {"name", kTestRepo},
                  {"count", 1},
                  {"title", "Add 2 wheels"},
                  {"description", description}});
  // Theirs has our name with other bytes
  fresh.hub.call({{"do", "commit"},
                  {"name", kTestRepo},
                  {"revision", "refs/pr/1"},
                  {"files", {{UploadWorld::kSmall, "other bytes"}}}});
  fresh.run();
  CHECK(fresh.own_pulls() == std::vector<std::string>{"2"});
  fresh.check_published(1, "refs/pr/2");
}

TEST_CASE("a pull request of this user that lacks a file is completed, not doubled") {
  PullWorld world;
  world.run();
  const json pulls = world.hub.call({{"do", "state"}})["repos"]["model/user/wheels"]["pulls"];
  PullWorld fresh;
  fresh.hub.call({{"do", "pulls"},
                  {"name", kTestRepo},
                  {"count", 1},
                  {"author", "user"},
                  {"title", "Add 2 wheels"},
                  {"description", pulls["1"]["description"]}});
  fresh.run();
  CHECK(fresh.own_pulls() == std::vector<std::string>{"1"});
  fresh.check_published(2, "refs/pr/1");
}

TEST_CASE("what should be a pull request never becomes a commit on main unsaid") {
  SECTION("a redirect that drops create_pr") {
    PullWorld world;
    world.hub.faults(status(
        "commit", 307,
        {{"count", -1}, {"headers", {{"Location", "/api/models/user/wheels/commit/main"}}}}));
    world.check_refused("would change what is asked for");
    CHECK(world.own_pulls().empty());
  }
  SECTION("a Hub that takes no notice of create_pr") {
    PullWorld world;
    world.hub.faults(fault("commit", "before", "odd", {{"kind", "ignore_create_pr"}}));
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("on main of 'user/wheels', although a pull request was asked for"));
    CHECK(world.hub.ref()["commits"].size() == world.commits_before + 1);
  }
  SECTION("an answer of success without a pull request anywhere") {
    PullWorld world;
    world.hub.faults(status(
        "commit", 200,
        {{"body", fmt::format(R"({{"success":true,"commitOid":"{:040}","commitUrl":"x"}})", 0)}}));
    world.check_refused("the Hub names it, and at the head");
    CHECK(world.hub.requests({"commit"}) == 1);
  }
}

TEST_CASE("who may only read a repository may propose to it") {
  PullWorld world;
  world.hub.call({{"do", "create"}, {"name", "somebody/wheels"}});
  world.settings.repo = parse_repo_id("somebody/wheels");
  world.commits_before = 1;
  SECTION("and does") {
    world.check_one(world.run());
    CHECK(world.hub.requests({"auth-check"}) == 0);
  }
  SECTION("but not commit") {
    world.settings.open_pull = false;
    CHECK_THROWS_MATCHES(world.run(), Error, says("don't have the rights to write"));
  }
  SECTION("but where the Hub takes no large files for it, that is said") {
    world.hub.call({{"do", "reset"}, {"lfs_for_pulls", false}});
    world.hub.call({{"do", "create"}, {"name", "somebody/wheels"}});
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("where to send the files").hints("also for a pull request"));
  }
  SECTION("but not to one that is not there") {
    world.settings.repo = parse_repo_id("somebody/else");
    CHECK_THROWS_MATCHES(world.run(), Error, says("there is no repository 'somebody/else'"));
  }
}

}  // namespace sagebuild
