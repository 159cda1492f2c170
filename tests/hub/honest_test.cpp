// What is said at the end: "published" or "not published" as the repository has it, or that it is
// not known.

#include <thread>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/sys/paths.hpp"
#include "support/environment.hpp"
#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using Result = PublishOutcome::Result;

// A faulty commit answer; the commit itself was made (`phase` "after") or not ("before").
std::vector<json> commit_answers(const char* phase) {
  std::vector<json> answers = {fault("commit", phase, "reset"), fault("commit", phase, "close"),
                               fault("commit", phase, "portal")};
  for (const int code : {302, 400, 401, 403, 404, 409, 410, 412, 413, 416, 429,
                         500, 501, 502, 503, 504, 520, 521, 522, 523, 524})
    answers.push_back(status("commit", code, {{"phase", phase}}));
  if (phase == std::string("before")) return answers;
  for (const char* action : {"truncate", "html", "broken_json"})
    answers.push_back(fault("commit", phase, action));
  for (const json& odd :
       {json(nullptr), json(0), json("x"), json::array(), json(std::string(40, '0'))})
    answers.push_back(fault("commit", phase, "retype", {{"node", 2}, {"value", odd}}));
  return answers;
}

std::string refusal_of(UploadWorld& world) {
  try {
    world.run();
  } catch (const Error& error) {
    CHECK(error.kind != ErrorKind::bug);
    return error.rendered();
  }
  return "";
}

}  // namespace

TEST_CASE("a commit that was made is said to be published, whatever the answer to it says") {
  for (const int count : {1, -1}) {
    for (json answer : commit_answers("after")) {
      UploadWorld world;
      answer["count"] = count;
      world.hub.faults(answer);
      INFO(answer.dump());
      const UploadOutcome outcome = world.run();
      CHECK(outcome.published.result == Result::committed);
      CHECK(outcome.published.commit == world.hub.ref()["head"].get<std::string>());
      CHECK(outcome.published.index_files.size() == 3);
      world.check_published();
    }
  }
}

TEST_CASE("a commit that was not made is never said to be, and the files stay away") {
  for (json answer : commit_answers("before")) {
    UploadWorld world;
    answer["count"] = -1;
    world.hub.faults(answer);
    INFO(answer.dump());
    const std::string said = refusal_of(world);
    CHECK(said.find("it is not in 'main' of 'user/wheels', whose head is") != std::string::npos);
    CHECK(said.find("not known") == std::string::npos);
    world.check_untouched();
  }
}

TEST_CASE("where the repository cannot be looked at after a commit, it is said not to be known") {
  for (const char* phase : {"before", "after"}) {
    for (const char* look : {"revision", "tree"}) {
      for (const char* way : {"reset", "portal"}) {
        UploadWorld world;
        world.settings.http.retry.attempts = 2;
        world.hub.faults({fault("commit", phase, "reset"),
                          fault(look, "before", way, {{"skip", 1}, {"count", -1}})});
        INFO(phase << " " << look << " " << way);
        const std::string said = refusal_of(world);
        CHECK(said.starts_with(
            "error: it is not known whether the commit to 'user/wheels' was made"));
        CHECK(said.find("hint: run the same command again") != std::string::npos);
        world.hub.faults(json::array());
        world.run();
        world.check_published();
      }
    }
  }
}

TEST_CASE("a commit that the Hub names and then lists otherwise is not known to be made") {
  for (const json& change : {json{{"size", 0}}, json{{"lfs", nullptr}}}) {
    UploadWorld world;
    const json before = world.hub.ref()["files"];
    json listed = json::array();
    for (const auto& [path, file] : before.items())
      listed.push_back({{"type", "file"},
                        {"path", path},
                        {"size", file["size"]},
                        {"oid", std::string(40, 'a')}});
    for (const char* path :
         {UploadWorld::kSmall, UploadWorld::kLarge, "wheels.json", "SHA256SUMS"}) {
      json entry = {{"type", "file"}, {"path", path}, {"size", 5}, {"oid", std::string(40, 'a')}};
      entry.update(change);
      listed.push_back(entry);
    }
    world.hub.faults(status("tree", 200, {{"skip", 1}, {"count", -1}, {"body", listed.dump()}}));
    const std::string said = refusal_of(world);
    CHECK(said.starts_with("error: it is not known whether the commit to 'user/wheels' was made"));
    world.hub.faults(json::array());
    CHECK(world.run().published.result == Result::unchanged);
    world.check_published();
  }
}

TEST_CASE("a web page in place of an answer is the network's fault, at every request") {
  for (const char* endpoint : {"auth-check", "revision", "tree", "resolve", "preupload", "batch",
                               "part", "complete", "verify", "commit"}) {
    UploadWorld world;
    world.settings.http.retry.attempts = 2;
    world.hub.faults(fault(endpoint, "before", "portal", {{"count", -1}}));
    INFO(endpoint);
    try {
      world.run();
      FAIL_CHECK("went through");
    } catch (const Error& error) {
      INFO(error.rendered());
      CHECK(error.kind == ErrorKind::network);
      CHECK(error.rendered().find("it answered with a web page") != std::string::npos);
      CHECK(error.hint.find("in place of the Hub") != std::string::npos);
    }
    world.check_untouched();
  }
  SECTION("also where a repository is made") {
    UploadWorld world;
    world.settings.repo = parse_repo_id("user/new");
    world.settings.create = true;
    world.hub.faults(fault("create", "before", "portal", {{"count", -1}}));
    CHECK_THROWS_MATCHES(world.run(), Error, says("web page"));
  }
}

TEST_CASE("answers that lie about what is there stop before anything is written") {
  const auto shortened = [](json body) {
    return status("tree", 200, {{"body", std::move(body)}, {"count", -1}});
  };
  for (const char* body : {"[]", "{}", "null", "\"x\"", R"([{"type":"file"}])"}) {
    UploadWorld world;
    world.settings.http.retry.attempts = 2;
    world.hub.faults(shortened(body));
    INFO(body);
    world.check_refused("cannot list the files");
    CHECK(world.hub.read("README.md") == "# My wheels\n\nMy own words.\n");
  }
  SECTION("the list of files and the one beside the revision disagree") {
    UploadWorld world;
    world.hub.faults(shortened("[]"));
    world.check_refused("contradicts itself about the commit");
  }
  SECTION("both lie: what the Hub says of a name when asked to take it does not fit") {
    UploadWorld world;
    const std::string head = world.hub.ref()["head"];
    world.hub.faults({shortened("[]"), status("revision", 200,
                                              {{"count", -1},
                                               {"body", json{{"id", kTestRepo},
                                                             {"sha", head},
                                                             {"private", false},
                                                             {"siblings", json::array()}}
                                                            .dump()}})});
    world.check_refused("says that it has one");
  }
  SECTION("about another repository") {
    UploadWorld world;
    world.settings.http.retry.attempts = 2;
    const json other = {{"id", "somebody/else"},
                        {"sha", world.hub.ref()["head"]},
                        {"private", false},
                        {"siblings", json::array()}};
    world.hub.faults(status("revision", 200, {{"count", -1}, {"body", other.dump()}}));
    world.check_refused("about another repository, 'somebody/else'");
  }
  SECTION("an answer of a hundred thousand brackets") {
    UploadWorld world;
    world.settings.http.retry.attempts = 2;
    world.hub.faults(shortened(std::string(100'000, '[') + std::string(100'000, ']')));
    world.check_refused("nested deeper than 64 levels");
  }
}

TEST_CASE(
    "a refusal is explained as far as the Hub tells whose token it is, and never by a crash") {
  const json read_only = {{"tokens", {{kTestToken, {{"name", "user"}, {"role", "read"}}}}}};
  for (std::size_t node = 0; node < 8; ++node) {
    for (const json& odd :
         {json(nullptr), json(7), json("\033[2J"), json::array(), json::object()}) {
      UploadWorld world(read_only);
      world.hub.faults(
          fault("whoami", "after", "retype", {{"node", node}, {"value", odd}, {"count", -1}}));
      INFO(node << " " << odd.dump());
      const std::string said = refusal_of(world);
      CHECK(said.starts_with("error: cannot write to 'user/wheels'"));
      CHECK(world.hub.requests({"whoami"}) == 1);
    }
  }
}

TEST_CASE("headers that the Hub gives for the storage cannot break out of their line") {
  UploadWorld world;
  world.settings.http.retry.attempts = 2;
  const std::string oid = sha256_file(world.settings.files[0]).hex();
  world.settings.files.resize(1);
  for (const auto& [name, value] : {std::pair{"X-Good", "a\r\nAuthorization: x"},
                                    {"X-Good", "a\nb"},
                                    {"X-Bad\r\nY", "a"},
                                    {"X Bad", "a"}}) {
    const json object = {
        {"oid", oid},
        {"size", size_of_file(world.settings.files[0])},
        {"actions",
         {{"upload", {{"href", world.hub["storage"] + "/x"}, {"header", {{name, value}}}}}}}};
    world.hub.faults(status(
        "batch", 200,
        {{"count", -1}, {"body", json{{"transfer", "basic"}, {"objects", {object}}}.dump()}}));
    world.check_refused("where ");
    CHECK(world.hub.requests({"part", "unknown-storage"}) == 0);
  }
}

TEST_CASE("a repository that is public although --private was asked for gets nothing") {
  UploadWorld world;
  world.settings.create = true;
  world.settings.is_private = true;
  SECTION("it was there") {
    world.check_refused("is there already, and it is public");
    CHECK_THROWS_MATCHES(require_upload_access(world.settings, world.report), Error,
                         says("everybody would see").hints("--public-ok"));
  }
  SECTION("somebody makes it at the same moment") {
    world.hub.faults(status("auth-check", 404, {{"headers", {{"X-Error-Code", "RepoNotFound"}}}}));
    world.check_refused("is there already, and it is public");
  }
  SECTION("the branch is still to be made") {
    world.settings.branch = "next";
    world.check_refused("is there already, and it is public");
    CHECK(world.hub.ref("next").is_null());
  }
  SECTION("--public-ok goes on") {
    world.settings.public_ok = true;
    world.run();
    world.check_published();
  }
}

TEST_CASE("sixteen uploads at once to one repository all arrive, and the index names them all") {
  UploadWorld world;
  world.settings.http.retry.first = std::chrono::milliseconds(50);
  std::vector<UploadSettings> all;
  for (unsigned i = 0; i < 16; ++i) {
    all.push_back(world.settings);
    all.back().files = {make_wheel(
        world.folder.path(), fmt::format("sage-1.{}-cp311-cp311-linux_x86_64.whl", i), 500, i)};
  }
  std::vector<std::string> failures(all.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < all.size(); ++i) {
    threads.emplace_back([&, i] {
      RecordingReporter report;
      try {
        upload(all[i], report);
      } catch (const Error& error) {
        failures[i] = error.rendered();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) CHECK(failure == "");
  CHECK(json::parse(world.hub.read("wheels.json"))["wheels"].size() == 16);
  CHECK(world.hub.ref()["commits"].size() == world.commits_before + 16);
}

TEST_CASE("waits that a server asks for come to a total, also on the commit") {
  for (const char* endpoint : {"preupload", "commit"}) {
    UploadWorld world;
    world.settings.http.retry.longest_asked = std::chrono::seconds(2);
    world.hub.faults(status(endpoint, 503, {{"count", -1}, {"headers", {{"Retry-After", "1"}}}}));
    world.check_refused("status 503");
    CHECK(world.hub.requests({endpoint}) == 3);
  }
}

TEST_CASE("a byte a second is no transfer, at every request") {
  for (const char* endpoint : {"auth-check", "revision", "tree", "preupload", "batch", "commit"}) {
    UploadWorld world;
    world.settings.http.retry.attempts = 2;
    world.settings.http.stall = kShortStall;
    world.hub.faults(fault(endpoint, "after", "trickle", {{"rate", 1}, {"count", 1}}));
    INFO(endpoint);
    CHECK_NOTHROW(world.run());
    world.check_published();
  }
  UploadWorld world;
  world.settings.http.retry.attempts = 2;
  world.settings.http.stall = kShortStall;
  world.hub.faults(fault("tree", "after", "trickle", {{"rate", 10}, {"count", -1}}));
  world.check_refused("fewer than 1.0 kB/s for");
}

TEST_CASE("hints fit: gated, disabled, expired, of another kind") {
  UploadWorld world;
  SECTION("gated") {
    world.hub.faults(status("auth-check", 403,
                            {{"headers", {{"X-Error-Code", "GatedRepo"}}},
                             {"body", R"({"error":"Access to this model is restricted"})"}}));
    CHECK_THROWS_MATCHES(world.run(), Error, says("restricted").hints("ask for access"));
  }
  SECTION("disabled") {
    world.hub.call({{"do", "create"}, {"name", "user/off"}, {"disabled", true}});
    world.settings.repo = parse_repo_id("user/off");
    CHECK_THROWS_MATCHES(world.run(), Error, says("is disabled").hints("its page on the Hub"));
  }
  SECTION("an expired certificate") {
    world.settings.endpoint = world.hub["expired"];
    CHECK_THROWS_MATCHES(world.run(), Error, says("expired").hints("this machine's date"));
  }
  SECTION("a dataset of this name") {
    world.hub.call({{"do", "create"}, {"name", "user/data"}, {"kind", "dataset"}});
    world.settings.repo = parse_repo_id("user/data");
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("there is a dataset of this name").hints("datasets/user/data"));
    world.settings.open_pull = true;
    CHECK_THROWS_MATCHES(world.run(), Error, says("there is a dataset of this name"));
  }
  SECTION("a model, where a Space was named") {
    world.settings.repo = parse_repo_id("spaces/user/wheels");
    CHECK_THROWS_MATCHES(world.run(), Error,
                         says("there is a model of this name").hints("'user/wheels'"));
  }
}

TEST_CASE("another spelling of the Hub's address changes nothing in the repository") {
  UploadWorld world;
  world.run();
  CHECK(world.hub.read("README.md").find("(https://huggingface.co/user/wheels/resolve/main/") !=
        std::string::npos);
  world.settings.endpoint = replaced(world.hub["hub"], "127.0.0.1", "localhost");
  CHECK(world.run().published.result == Result::unchanged);
}

TEST_CASE("user info in HF_ENDPOINT is a login, and is written nowhere") {
  UploadWorld world(
      json{{"tokens", {{"Basic bWU6YS1wYXNz", {{"name", "user"}, {"role", "write"}}}}}});
  const std::string plain = world.hub["hub"];
  const WithEnvironment variables({{"HF_ENDPOINT", replaced(plain, "://", "://me:a-pass@") + "/"},
                                   {"HF_TOKEN_PATH", (world.folder.path() / "none").string()},
                                   {"HF_TOKEN", std::nullopt},
                                   {"HUGGING_FACE_HUB_TOKEN", std::nullopt}});
  world.settings.token_file.reset();
  world.settings.endpoint = hub_endpoint();
  CHECK(world.settings.endpoint == plain);
  const UploadOutcome outcome = world.run();
  CHECK(outcome.wheels[0].url.starts_with(plain));
  for (const char* file : {"README.md", "wheels.json", "SHA256SUMS"})
    CHECK(world.hub.read(file).find("a-pass") == std::string::npos);
  world.check_published();
  CHECK(find_hub_token(world.folder.path() / "token").user.empty());  // a token comes first
}

}  // namespace sagebuild
