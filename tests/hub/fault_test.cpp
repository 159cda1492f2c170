// Faults on the way, each with its end state: everything published in one commit, or the repository
// as it was.

#include "sagebuild/net/url.hpp"
#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

struct Case {
  std::string name;
  json faults;
};

const std::vector<std::string> kEndpoints = {"auth-check", "revision", "tree", "resolve",
                                             "preupload",  "batch",    "part", "complete",
                                             "verify",     "commit"};

void check_survived(const Case& each, std::chrono::milliseconds stall = std::chrono::seconds(20)) {
  UploadWorld world;
  world.settings.http.stall = stall;
  world.hub.faults(each.faults);
  INFO(each.name);
  CHECK_NOTHROW(world.run());
  world.check_published();
  CHECK(world.hub.struck() >= 1);
}

}  // namespace

TEST_CASE("a connection that is reset, closed or cut at any request and any moment does no harm") {
  for (const std::string& endpoint : kEndpoints) {
    for (const char* phase : {"before", "during", "after"}) {
      for (const char* action : {"reset", "close"}) {
        check_survived(
            {fmt::format("{} {} {}", endpoint, phase, action), {fault(endpoint, phase, action)}});
      }
    }
    check_survived({endpoint + " truncated", {fault(endpoint, "after", "truncate")}});
  }
}

TEST_CASE("a server that falls silent is given up and asked again") {
  for (const std::string& endpoint : kEndpoints) {
    for (const char* phase : {"before", "during", "after"}) {
      check_survived(
          {fmt::format("{} {} stall", endpoint, phase), {fault(endpoint, phase, "stall")}},
          kShortStall);
    }
  }
}

TEST_CASE("server errors pass with time, at every request") {
  for (const std::string& endpoint : kEndpoints) {
    for (const int code : {500, 502, 503, 504}) {
      check_survived(
          {fmt::format("{} twice at {}", code, endpoint),
           {status(endpoint, code, {{"count", 2}, {"body", "<html>bad gateway</html>"}})}});
    }
    check_survived({"429 without a wait at " + endpoint, {status(endpoint, 429)}});
    check_survived(
        {"504 after the effect at " + endpoint, {status(endpoint, 504, {{"phase", "after"}})}});
  }
}

TEST_CASE(
    "an answer of 200 that is no JSON is asked for again, and a commit behind one is recognised") {
  for (const char* endpoint : {"revision", "tree", "preupload", "batch", "commit"}) {
    check_survived({fmt::format("HTML at {}", endpoint), {fault(endpoint, "after", "html")}});
    check_survived(
        {fmt::format("broken JSON at {}", endpoint), {fault(endpoint, "after", "broken_json")}});
  }
}

TEST_CASE("what the storage gets wrong is sent again") {
  const std::vector<Case> cases = {
      {"expired address",
       {status("part", 403, {{"body", s3_error("AccessDenied", "Request has expired")}})}},
      {"expired twice",
       {status("part", 403,
               {{"count", 2}, {"body", s3_error("AccessDenied", "Request has expired")}})}},
      {"socket timeout as 400",
       {status("part", 400, {{"body", s3_error("RequestTimeout", "idle")}})}},
      {"slow down", {status("part", 503, {{"body", s3_error("SlowDown", "please")}})}},
      {"stored, answer lost", {fault("part", "after", "reset"), fault("part", "after", "close")}},
      {"damaged on the way", {status("part", 400, {{"body", s3_error("BadDigest", "checksum")}})}},
      {"damaged in the storage", {fault("part", "before", "odd", {{"kind", "corrupt"}})}},
      {"no ETag", {fault("part", "before", "odd", {{"kind", "no_etag"}, {"count", 2}})}},
      {"completion refused once", {status("complete", 400)}},
      {"completion done, answer lost", {fault("complete", "after", "reset")}},
      {"verify finds nothing once", {status("verify", 404)}},
      {"part addresses unsorted and unpadded",
       {fault("batch", "before", "odd", {{"kind", "unsorted"}})}},
      {"objects collected before the commit",
       {status("commit", 400,
               {{"body", R"({"error":"LFS pointer pointed to a file that does not exist"})"}})}},
      {"one kilobyte a second up", {fault("part", "during", "trickle", {{"rate", 20000}})}},
      {"one kilobyte a second down", {fault("commit", "after", "trickle", {{"rate", 300}})}},
  };
  for (const Case& each : cases) check_survived(each);
}

TEST_CASE("a commit is never made twice") {
  // The first request lands before and after the second one
  for (const double delay : {0.7, 1.2}) {
    DYNAMIC_SECTION("the answer of a slow commit comes too late, after " << delay << " s") {
      UploadWorld world;
      world.settings.http.stall = kShortStall;
      world.hub.faults(fault("commit", "before", "delay", {{"seconds", delay}}));
      CHECK(world.run().published.result == PublishOutcome::Result::committed);
      const auto is_open = [](const json& entry) {
        return entry["endpoint"] == "commit" && entry["status"] == 0;
      };
      // Until the late one has been judged as well
      while (std::ranges::any_of(world.hub.log(), is_open)) {
      }
      world.check_published();
    }
  }
  SECTION("412 although nobody committed") { check_survived({"412", {status("commit", 412)}}); }
  SECTION("somebody else committed other files meanwhile: both stay") {
    UploadWorld world;
    world.hub.faults({fault("commit", "before", "commit",
                            {{"repo", "model/user/wheels"},
                             {"files", {{"other.txt", "theirs"}, {"README.md", "# Changed\n"}}}})});
    world.run();
    world.check_published(2);
    CHECK(world.hub.ref()["files"].contains("other.txt"));
    CHECK(world.hub.read("README.md").starts_with("# Changed\n"));
    CHECK(world.hub.read("README.md").find(UploadWorld::kSmall) != std::string::npos);
  }
  SECTION("somebody else published the same name with other content meanwhile: theirs stays") {
    UploadWorld world;
    const json theirs = {{"repo", "model/user/wheels"},
                         {"files", {{UploadWorld::kSmall, "other bytes"}}}};
    world.hub.faults({fault("commit", "before", "commit", theirs)});
    world.check_refused("somebody put it there while this upload ran", 1);
    CHECK(world.hub.read(UploadWorld::kSmall) == "other bytes");
  }
  SECTION("the same with --force: ours replaces it") {
    UploadWorld world;
    world.settings.force = true;
    const json theirs = {{"repo", "model/user/wheels"},
                         {"files", {{UploadWorld::kSmall, "other bytes"}}}};
    world.hub.faults({fault("commit", "before", "commit", theirs)});
    world.run();
    world.check_published(2);
  }
  SECTION("the commit is lost and somebody else commits on top: ours is recognised below theirs") {
    UploadWorld world;
    world.hub.faults({fault("commit", "after", "commit",
                            {{"repo", "model/user/wheels"}, {"files", {{"other.txt", "theirs"}}}}),
                      fault("commit", "after", "reset")});
    CHECK(world.run().published.result == PublishOutcome::Result::committed);
    world.check_published(2);
  }
  SECTION("a pull request whose answer is lost is found, not opened again") {
    UploadWorld world;
    world.settings.open_pull = true;
    world.hub.faults({fault("commit", "after", "reset")});
    const UploadOutcome outcome = world.run();
    CHECK(outcome.published.result == PublishOutcome::Result::pull_request);
    CHECK(outcome.published.pull_url.ends_with("/discussions/1"));
    world.check_published(1, "refs/pr/1");
    CHECK(world.hub.ref("refs/pr/2").is_null());
    CHECK(world.run().published.result == PublishOutcome::Result::unchanged);
    CHECK(world.hub.ref("refs/pr/2").is_null());
  }
}

TEST_CASE("waits that the Hub asks for are kept, and refused when they are absurd") {
  SECTION("seconds") {
    check_survived({"1 s", {status("preupload", 429, {{"headers", {{"Retry-After", "1"}}}})}});
  }
  SECTION("a date, and a server whose clock is a year ahead") {
    check_survived({"date",
                    {status("batch", 503,
                            {{"headers",
                              {{"Date", "Fri, 01 Jan 2038 00:00:00 GMT"},
                               {"Retry-After", "Fri, 01 Jan 2038 00:00:01 GMT"}}}})}});
  }
  SECTION("on the commit") {
    check_survived({"commit", {status("commit", 429, {{"headers", {{"Retry-After", "1"}}}})}});
  }
  SECTION("a day") {
    UploadWorld world;
    world.hub.faults(
        {status("preupload", 429, {{"headers", {{"Retry-After", "86400"}}}, {"count", -1}})});
    world.check_refused("status 429");
    CHECK(world.hub.requests({"preupload"}) == 1);
  }
  SECTION("the hourly quota on commits, which names no wait") {
    UploadWorld world;
    world.hub.faults({status(
        "commit", 429,
        {{"headers", {{"RateLimit", "\"api\";r=400;t=100"}}},
         {"count", -1},
         {"body", R"({"error":"You have exceeded our hourly quota for action: commit"})"}})});
    world.check_refused("hourly quota");
  }
}

TEST_CASE("what no retry can help ends with the reason and an untouched repository") {
  const std::vector<std::pair<std::string, json>> cases = {
      {"status 413", {status("batch", 413)}},
      {"EntityTooLarge",
       {status("part", 413, {{"count", -1}, {"body", s3_error("EntityTooLarge", "too large")}})}},
      {"status 416", {status("part", 416, {{"count", -1}})}},
      {"storage limit reached",
       {status("batch", 403,
               {{"body", R"({"error":"Private repository storage limit reached"})"}})}},
      {"over quota", {status("commit", 403, {{"body", R"({"error":"over quota"})"}})}},
      {"status 401", {status("commit", 401)}},
      {"status 403", {status("preupload", 403)}},
      {"status 404", {status("preupload", 404)}},
      {"status 409", {status("commit", 409)}},
      {"Request has expired",
       {status("part", 403,
               {{"count", -1}, {"body", s3_error("AccessDenied", "Request has expired")}})}},
      {"not what was promised",
       {fault("part", "before", "odd", {{"kind", "corrupt"}, {"count", -1}})}},
      {"status 503", {status("batch", 503, {{"count", -1}})}},
      {"status 504", {status("commit", 504, {{"count", -1}})}},
      {"no data for", {fault("part", "during", "stall", {{"count", -1}})}},
      {"preupload", {fault("preupload", "after", "broken_json", {{"count", -1}})}},
      {"batch", {fault("batch", "after", "html", {{"count", -1}})}},
      {"no longer takes LFS uploads", {fault("batch", "before", "odd", {{"kind", "xet"}})}},
      {"object is not welcome", {fault("batch", "before", "odd", {{"kind", "object_error"}})}},
      {"4 part addresses for 5 parts",
       {fault("batch", "before", "odd", {{"kind", "part_missing"}, {"count", -1}})}},
      {"where the size of a part is expected",
       {fault("batch", "before", "odd", {{"kind", "bad_chunk_size"}, {"count", -1}})}},
      {"ETag", {fault("part", "before", "odd", {{"kind", "no_etag"}, {"count", -1}})}},
      {".gitignore", {fault("preupload", "before", "odd", {{"kind", "ignore"}})}},
      {"status 412", {status("commit", 412, {{"count", -1}})}},
  };
  for (const auto& [text, faults] : cases) {
    UploadWorld world;
    world.settings.http.retry.attempts = 3;
    if (text == "no data for") world.settings.http.stall = kShortStall;
    world.hub.faults(faults);
    INFO(text);
    world.check_refused(text);
  }
}

TEST_CASE("redirects: loops end, the token stays at its origin, https does not become http") {
  SECTION("a loop") {
    UploadWorld world;
    world.hub.faults({status(
        "auth-check", 307,
        {{"count", -1}, {"headers", {{"Location", "/api/models/user/wheels/auth-check/write"}}}})});
    world.check_refused("more than 10 redirects");
  }
  SECTION("to another host, at every request with a token") {
    for (const char* endpoint :
         {"auth-check", "revision", "tree", "preupload", "batch", "verify", "commit"}) {
      UploadWorld world;
      world.hub.faults(
          {status(endpoint, 307,
                  {{"count", -1}, {"headers", {{"Location", world.hub["elsewhere"] + "/x"}}}})});
      INFO(endpoint);
      world.check_refused("redirect to another host");
    }
  }
  SECTION(
      "a download that leads elsewhere goes there without the token, and wrong content is "
      "refused") {
    UploadWorld world;
    world.hub.faults(
        {status("resolve", 302,
                {{"count", -1}, {"headers", {{"Location", world.hub["elsewhere"] + "/x"}}}})});
    world.check_refused("not that of the commit");
  }
  SECTION("from https to http") {
    UploadWorld world;
    world.settings.endpoint = world.hub["tls_hub"];
    world.hub.faults({status(
        "auth-check", 307,
        {{"count", -1},
         {"headers",
          {{"Location", world.hub["hub"] + "/api/models/user/wheels/auth-check/write"}}}})});
    world.check_refused("from https to http");
  }
  SECTION("the list of files goes on at another host") {
    UploadWorld world;
    world.hub.faults(
        {status("tree", 200,
                {{"body", "[]"},
                 {"headers", {{"Link", "<" + world.hub["elsewhere"] + "/x>; rel=\"next\""}}}})});
    world.check_refused("on another host");
  }
}

TEST_CASE("what cannot be reached, and certificates that do not verify") {
  SECTION("over TLS with the test CA all is well") {
    UploadWorld world;
    world.settings.endpoint = world.hub["tls_hub"];
    world.run();
    world.check_published();
  }
  SECTION("another name in the certificate") {
    UploadWorld world;
    world.settings.endpoint = world.hub["wronghost"];
    world.check_refused("SSL");
    CHECK(world.hub.log().empty());
  }
  SECTION("an unknown CA") {
    UploadWorld world;
    world.settings.endpoint = world.hub["tls_hub"];
    world.settings.http.ca_file.clear();
    world.check_refused("certificate");
    CHECK(world.hub.log().empty());
  }
  SECTION("refused") {
    UploadWorld world;
    world.settings.endpoint = "http://127.0.0.1:1";
    world.check_refused("after 6 attempts");
  }
  SECTION("no such host") {
    UploadWorld world;
    world.settings.endpoint = "https://no-such-host.invalid";
    world.settings.http.retry.attempts = 2;
    world.check_refused("no-such-host.invalid");
  }
}

}  // namespace sagebuild
