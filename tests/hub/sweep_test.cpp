// Every fault at every request in every phase, and every answer with a wrong type in every place.
// Whatever happens: nothing of others is destroyed, nothing is published by mistake, and what is
// said is so. By default a part of all combinations, another one with SAGEBUILD_TEST_SEED;
// SAGEBUILD_TEST_SWEEP is how many of each table, or "all", which takes about an hour.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// What is asked of the program.
enum class Way { commit, pull, create, branch };

const std::map<Way, std::vector<const char*>> kEndpointsOf = {
    {Way::commit,
     {"auth-check", "revision", "tree", "resolve", "preupload", "batch", "part", "complete",
      "verify", "commit"}},
    {Way::pull, {"discussions", "discussion", "revision", "tree", "preupload", "batch", "commit"}},
    {Way::create, {"auth-check", "create", "revision", "tree", "commit"}},
    {Way::branch, {"revision", "branch", "tree", "commit"}},
};

struct SweepWorld : UploadWorld {
  Way way;
  json before;

  explicit SweepWorld(Way chosen) : way(chosen) {
    settings.http.retry = {.attempts = 2,
                           .first = std::chrono::milliseconds(1),
                           .longest = std::chrono::milliseconds(20),
                           .longest_asked = std::chrono::seconds(0)};
    settings.http.stall = std::chrono::milliseconds(300);
    settings.open_pull = way == Way::pull;
    settings.create = way == Way::create;
    if (way == Way::create) settings.repo = parse_repo_id("user/new");
    if (way == Way::branch) settings.branch = "next";
    hub.call({{"do", "commit"},
              {"name", kTestRepo},
              {"files",
               {{"keep.txt", "theirs"},
                {"old-1.0-py3-none-any.whl", "a wheel by hand"},
                {"data/wheels.json", "[]"}}}});
    if (way == Way::pull)
      hub.call({{"do", "pulls"}, {"name", kTestRepo}, {"count", 2}, {"title", "Add 2 wheels"}});
    before = hub.ref()["files"];
  }

  std::string target() {
    if (way != Way::pull) return settings.branch;
    return own_pulls().empty() ? "" : "refs/pr/" + own_pulls().front();
  }
  std::size_t our_commits(const json& ref) const {
    std::size_t count = 0;
    if (!ref.is_object()) return 0;
    for (const json& commit : ref["commits"]) count += commit["summary"] == "Add 2 wheels" ? 1 : 0;
    return count;
  }
  bool is_published() {
    const json ref = hub.ref(target(), settings.repo.name);
    return ref.is_object() && std::ranges::all_of(settings.files, [&](const auto& path) {
             const auto file = ref["files"].find(path.filename().string());
             return file != ref["files"].end() && (*file)["sha256"] == sha256_file(path).hex();
           });
  }
  // What is somebody else's is as it was, but for the words that we add to their README.
  void check_kept(const json& ref) {
    if (!ref.is_object()) return;
    for (const auto& [path, file] : before.items()) {
      INFO(path);
      REQUIRE(ref["files"].contains(path));
      if (path != "README.md") CHECK(ref["files"][path] == file);
    }
    if (ref["files"]["README.md"] != before["README.md"])
      CHECK(hub.read("README.md", ref["head"].get<std::string>())
                .starts_with("# My wheels\n\nMy own words.\n"));
  }

  // Runs once with the fault, judges, and once more without.
  void try_out(const json& faults) {
    INFO("way " << static_cast<int>(way) << ", " << faults.dump().substr(0, 300));
    hub.faults(faults);
    bool said_published = false, said_unknown = false;
    try {
      run();
      said_published = true;
    } catch (const Error& error) {
      INFO(error.rendered());
      CHECK(error.kind != ErrorKind::bug);
      CHECK(error.rendered().find(kTestToken) == std::string::npos);
      said_unknown = error.message.find("not known") != std::string::npos;
    } catch (const std::exception& error) {
      FAIL_CHECK("an exception that is no Error: " << error.what());
    }
    hub.faults(json::array());
    if (said_published) CHECK(is_published());
    if (!said_published && !said_unknown) CHECK_FALSE(is_published());
    check_end();
    settings.http.stall = std::chrono::seconds(20);
    CHECK_NOTHROW(run());
    CHECK(is_published());
    check_end();
    check_token_kept();
  }
  void check_end() {
    const json ref = hub.ref("main");
    check_kept(ref);
    if (way != Way::commit) CHECK(our_commits(ref) == 0);
    CHECK(our_commits(hub.ref(target(), settings.repo.name)) <= 1);
    CHECK(own_pulls().size() <= (way == Way::pull ? 1 : 0));
  }
};

std::vector<json> faults_at(const TestHub& hub, const std::string& endpoint) {
  std::vector<json> faults;
  for (const char* phase : {"before", "during", "after"}) {
    for (const char* action : {"reset", "close", "stall"})
      faults.push_back(fault(endpoint, phase, action));
  }
  faults.push_back(fault(endpoint, "during", "trickle", {{"rate", 1}}));
  faults.push_back(fault(endpoint, "after", "trickle", {{"rate", 1}}));
  for (const char* action : {"truncate", "html", "broken_json"})
    faults.push_back(fault(endpoint, "after", action));
  const std::string deep(100'000, '[');
  for (const char* phase : {"before", "after"}) {
    faults.push_back(fault(endpoint, phase, "portal"));
    faults.push_back(fault(endpoint, phase, "commit",
                           {{"repo", "model/user/wheels"}, {"files", {{"other.txt", "theirs"}}}}));
    for (const char* body : {"", "[]", "{}", "null", "\"x\"", "\033[2J", deep.c_str()})
      faults.push_back(status(endpoint, 200, {{"phase", phase}, {"body", body}}));
    for (const int code :
         {301, 302, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 416,
          422, 429, 451, 500, 501, 502, 503, 504, 507, 511, 520, 522, 524, 530, 599}) {
      faults.push_back(
          status(endpoint, code,
                 {{"phase", phase},
                  {"headers", {{"Location", hub["elsewhere"] + "/x"}, {"Retry-After", "1"}}}}));
    }
  }
  return faults;
}

const std::vector<json>& odd_values() {
  static const std::vector<json> kValues = {nullptr,
                                            true,
                                            0,
                                            -1,
                                            1.5,
                                            1e300,
                                            9007199254740993ULL,
                                            "",
                                            "x",
                                            "\033[2J\r",
                                            "../up",
                                            "..",
                                            std::string(5000, 'y'),
                                            json::array(),
                                            json::object(),
                                            json::array({json::array()}),
                                            json{{"a", 1}},
                                            std::string(40, 'a'),
                                            std::string(64, 'b')};
  return kValues;
}

// As many of them as fit, always the same ones for the same seed.
class Share {
 public:
  explicit Share(std::size_t all, std::size_t wanted) {
    const char* sweep = std::getenv("SAGEBUILD_TEST_SWEEP");
    const char* seed = std::getenv("SAGEBUILD_TEST_SEED");
    if (seed != nullptr) random_.seed(static_cast<unsigned>(std::stoul(seed)));
    if (sweep != nullptr) wanted = std::string_view(sweep) == "all" ? all : std::stoul(sweep);
    share_ = static_cast<double>(wanted) / static_cast<double>(all);
  }
  bool takes() { return std::uniform_real_distribution<>(0, 1)(random_) < share_; }

 private:
  std::mt19937 random_{20261129};
  double share_ = 1;
};

}  // namespace

TEST_CASE("every fault at every request in every phase: nothing destroyed, nothing said wrongly",
          "[sweep]") {
  std::vector<std::pair<Way, json>> all;
  for (const auto& [way, endpoints] : kEndpointsOf) {
    for (const char* endpoint : endpoints) {
      for (json each : faults_at(TestHub::instance(), endpoint)) {
        for (const int count : {1, -1}) {
          each["count"] = count;
          all.emplace_back(way, each);
        }
      }
    }
  }
  Share share(all.size(), 130);
  std::size_t tried = 0;
  for (const auto& [way, each] : all) {
    if (!share.takes()) continue;
    SweepWorld world(way);
    world.try_out(each);
    ++tried;
  }
  WARN(tried << " of " << all.size() << " combinations of fault, request and phase");
  CHECK(tried > 80);
}

TEST_CASE("every answer with a wrong type in every place: nothing destroyed, nothing said wrongly",
          "[sweep]") {
  struct Place {
    Way way;
    std::string endpoint;
    std::size_t node;
  };
  std::vector<Place> places;
  for (const Way way : {Way::commit, Way::pull, Way::create}) {
    SweepWorld world(way);
    if (way == Way::pull) world.run();  // then there is one to be found
    world.run();
    std::map<std::string, std::size_t> nodes;
    for (const json& entry : world.hub.log()) {
      std::size_t& most = nodes[entry["endpoint"].get<std::string>()];
      most = std::max(most, entry.value("nodes", std::size_t{0}));
    }
    for (const auto& [endpoint, count] : nodes) {
      for (std::size_t node = 0; node < count; ++node) places.push_back({way, endpoint, node});
    }
  }
  const std::size_t kinds = odd_values().size() + 1;
  Share share(places.size() * kinds * 2, 120);
  std::size_t tried = 0;
  for (const Place& place : places) {
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      for (const int count : {1, -1}) {
        if (!share.takes()) continue;
        json change = {{"node", place.node}, {"count", count}};
        if (kind == odd_values().size())
          change["drop"] = true;
        else
          change["value"] = odd_values()[kind];
        SweepWorld world(place.way);
        world.try_out(fault(place.endpoint, "after", "retype", change));
        ++tried;
      }
    }
  }
  WARN(tried << " of " << places.size() * kinds * 2 << " wrong types in " << places.size()
             << " places");
  CHECK(tried > 80);
}

}  // namespace sagebuild
