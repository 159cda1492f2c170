// Many runs with faults mixed at random. Whatever happened, the first run leaves all files in one
// commit or none, and a second run without faults makes it one. SAGEBUILD_TEST_ROUNDS and
// SAGEBUILD_TEST_SEED widen it; by default it is short.

#include <cstdlib>
#include <random>

#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

unsigned from_environment(const char* name, unsigned fallback) {
  const char* text = std::getenv(name);
  return text != nullptr ? static_cast<unsigned>(std::stoul(text)) : fallback;
}

class FaultMaker {
 public:
  explicit FaultMaker(unsigned seed) : random_(seed) {}

  json some(const TestHub& hub) {
    json list = json::array();
    for (std::size_t count = below(5); count > 0; --count) list.push_back(one(hub));
    return list;
  }
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

 private:
  template <class Value>
  Value any(std::initializer_list<Value> values) {
    return *(values.begin() + below(values.size()));
  }

  json one(const TestHub& hub) {
    const std::string endpoint =
        any<const char*>({"auth-check", "revision", "tree", "resolve", "preupload", "batch", "part",
                          "part", "complete", "verify", "commit", "commit", "commit", "*"});
    json fault = {{"endpoint", endpoint},
                  {"skip", below(3)},
                  {"count", 1 + below(4)},
                  {"phase", any<const char*>({"before", "during", "after"})}};
    const std::string action =
        any<const char*>({"status", "status", "reset", "close", "stall", "truncate", "html",
                          "broken_json", "portal", "retype", "odd", "commit", "delay"});
    fault["action"] = action;
    if (action == "status") {
      fault["status"] =
          any({307, 400, 401, 403, 404, 408, 409, 412, 413, 416, 429, 500, 502, 503, 504});
      fault["headers"] = {{"Location", hub["elsewhere"] + "/x"},
                          {"Retry-After", any<const char*>({"0", "1", "86400", "soon"})}};
      if (fault["phase"] == "during") fault["phase"] = "before";
    }
    if (action == "stall") fault["count"] = 1;
    if (action == "retype") {
      fault["node"] = below(20);
      fault["value"] = any<json>({nullptr, 0, "x", json::array(), json::object()});
    }
    if (action == "delay") fault["seconds"] = any({0.05, 0.3});
    if (action == "odd")
      fault["kind"] = any<const char*>(
          {"corrupt", "no_etag", "unsorted", "object_error", "part_missing", "xet", "ignore"});
    if (action == "commit") {
      fault["endpoint"] = any<const char*>({"tree", "batch", "part", "commit"});
      fault["phase"] = any<const char*>({"before", "after"});
      fault["repo"] = "model/user/wheels";
      fault["files"] = {{"other.txt", std::to_string(below(1000))}};
      fault["count"] = 1;
    }
    return fault;
  }

  std::mt19937 random_;
};

// How many of the commits are ours: each names a wheel or the number of wheels.
std::size_t our_commits(const json& ref) {
  std::size_t count = 0;
  for (const json& commit : ref["commits"]) count += commit["summary"] == "Add 2 wheels" ? 1 : 0;
  return count;
}

bool is_known(const json& ref, const UploadWorld& world) {
  std::size_t found = 0;
  for (const auto& path : world.settings.files) {
    const auto file = ref["files"].find(path.filename().string());
    if (file == ref["files"].end()) continue;
    if ((*file)["sha256"] != sha256_file(path).hex()) return false;
    ++found;
  }
  return found == 0 ? our_commits(ref) == 0
                    : found == world.settings.files.size() && our_commits(ref) == 1;
}

}  // namespace

TEST_CASE("random faults: all files in one commit or none, and a second run finishes the work") {
  const unsigned rounds = from_environment("SAGEBUILD_TEST_ROUNDS", 30);
  const unsigned seed = from_environment("SAGEBUILD_TEST_SEED", 20261123);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(rounds > 100 ? 900 : 60);
  std::size_t published = 0, refused = 0;
  for (unsigned round = 0; round < rounds && std::chrono::steady_clock::now() < end; ++round) {
    FaultMaker maker(seed + round);
    UploadWorld world;
    world.settings.http.stall = std::chrono::milliseconds(200);
    world.settings.http.retry.attempts = 3;
    world.settings.http.retry.longest_asked = std::chrono::seconds(1);
    const json faults = maker.some(world.hub);
    INFO("seed " << seed + round << ": " << faults.dump());
    world.hub.faults(faults);
    try {
      world.run();
      ++published;
      CHECK(our_commits(world.hub.ref()) == 1);
    } catch (const Error& error) {
      ++refused;
      INFO(error.rendered());
      CHECK(error.kind != ErrorKind::bug);
      CHECK(is_known(world.hub.ref(), world));
    }
    world.hub.faults(json::array());
    world.settings.http.stall = std::chrono::seconds(20);
    CHECK_NOTHROW(world.run());
    const json after = world.hub.ref();
    CHECK(is_known(after, world));
    CHECK(our_commits(after) == 1);
    world.check_token_kept();
  }
  WARN(published << " runs published at once, " << refused
                 << " were refused and finished by the second run");
  CHECK(published > 0);
  CHECK(refused > 0);
}

}  // namespace sagebuild
