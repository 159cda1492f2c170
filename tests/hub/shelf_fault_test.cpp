// Every fault at every request of `hub rm`, `mv` and `reindex`: no wheel is lost, no commit made
// twice, and what is said is so.

#include "sagebuild/app/shelf.hpp"
#include "sagebuild/hub/index.hpp"
#include "support/hub_faults.hpp"
#include "support/test_hub.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

enum class Change { remove, move, reindex };

struct ShelfFaultWorld : UploadWorld {
  static constexpr const char* kPlace = "cu128/sage-1.0+cu128torch2.8-cp311-cp311-linux_x86_64.whl";
  Change change;
  json before;

  explicit ShelfFaultWorld(Change chosen) : change(chosen) {
    settings.http.retry = {.attempts = 2,
                           .first = std::chrono::milliseconds(1),
                           .longest = std::chrono::milliseconds(20),
                           .longest_asked = std::chrono::seconds(0)};
    run();
    settings.http.stall = std::chrono::milliseconds(300);
    hub.call({{"do", "commit"},
              {"name", kTestRepo},
              {"files", {{"keep.txt", "theirs"}, {"hand-1.0-py3-none-any.whl", "by hand"}}}});
    before = hub.ref()["files"];
    commits_before = hub.ref()["commits"].size();
  }

  void apply() {
    const auto yes = [](const std::vector<std::string>&) {};
    if (change == Change::remove) remove_from_shelf(settings, {kLarge}, yes, report);
    if (change == Change::move) move_on_shelf(settings, kLarge, "cu128/", report);
    if (change == Change::reindex) reindex_shelf(settings, report);
  }
  bool is_done(const json& ref) {
    if (change == Change::reindex)
      return hub.read("SHA256SUMS").find("hand-1.0") != std::string::npos;
    return !ref["files"].contains(kLarge);
  }
  void check_nothing_lost(const json& ref) {
    for (const auto& [path, file] : before.items()) {
      INFO(path);
      if (path == kLarge && change == Change::remove) continue;
      const json& files = ref["files"];
      const bool is_moved = path == kLarge && change == Change::move && !files.contains(path);
      const std::string place = is_moved ? kPlace : path;
      REQUIRE(files.contains(place));
      const bool is_index = std::ranges::find(kIndexFiles, path) != std::end(kIndexFiles);
      if (!is_index) CHECK(files[place] == file);
    }
    CHECK(hub.read("README.md").starts_with("# My wheels\n\nMy own words.\n"));
    CHECK(ref["commits"].size() <= commits_before + 1);
    CHECK(is_done(ref) == (ref["commits"].size() == commits_before + 1));
  }
  void try_out(const json& faults) {
    INFO(static_cast<int>(change) << ", " << faults.dump());
    hub.faults(faults);
    bool said_done = false, said_unknown = false;
    try {
      apply();
      said_done = true;
    } catch (const Error& error) {
      INFO(error.rendered());
      CHECK(error.kind != ErrorKind::bug);
      CHECK(error.rendered().find(kTestToken) == std::string::npos);
      said_unknown = error.message.find("not known") != std::string::npos;
    }
    hub.faults(json::array());
    json ref = hub.ref();
    check_nothing_lost(ref);
    if (said_done) CHECK(is_done(ref));
    if (!said_done && !said_unknown) CHECK_FALSE(is_done(ref));
    settings.http.stall = std::chrono::seconds(20);
    if (!is_done(ref)) CHECK_NOTHROW(apply());
    ref = hub.ref();
    CHECK(is_done(ref));
    check_nothing_lost(ref);
    check_token_kept();
  }
};

}  // namespace

TEST_CASE("rm, mv and reindex under every fault at each of their requests") {
  std::vector<json> faults;
  for (const char* endpoint :
       {"auth-check", "revision", "tree", "resolve", "preupload", "commit"}) {
    for (const int count : {1, -1}) {
      for (const char* phase : {"before", "during", "after"}) {
        for (const char* action : {"reset", "close", "stall"})
          faults.push_back(fault(endpoint, phase, action, {{"count", count}}));
        for (const int code : {403, 404, 412, 500, 504})
          if (std::string_view(phase) != "during")
            faults.push_back(status(endpoint, code, {{"count", count}, {"phase", phase}}));
      }
      for (const char* action : {"truncate", "html", "broken_json"})
        faults.push_back(fault(endpoint, "after", action, {{"count", count}}));
      for (const char* body : {"{}", "null", "[]", "7", "\"x\""})
        faults.push_back(status(endpoint, 200, {{"count", count}, {"body", body}}));
    }
  }
  // Every nineteenth each time: all take minutes. SAGEBUILD_TEST_SEED chooses others.
  const char* seed = std::getenv("SAGEBUILD_TEST_SEED");
  const std::size_t first = seed == nullptr ? 0 : std::stoul(seed);
  const bool is_whole = std::getenv("SAGEBUILD_TEST_SWEEP") != nullptr &&
                        std::string_view(std::getenv("SAGEBUILD_TEST_SWEEP")) == "all";
  std::size_t tried = 0;
  for (const Change change : {Change::remove, Change::move, Change::reindex}) {
    for (std::size_t i = 0; i < faults.size(); ++i) {
      if (!is_whole && (i + first + static_cast<std::size_t>(change)) % 19 != 0) continue;
      ShelfFaultWorld(change).try_out(faults[i]);
      ++tried;
    }
  }
  WARN(tried << " of " << 3 * faults.size() << " combinations of change, fault, request and phase");
}

}  // namespace sagebuild
