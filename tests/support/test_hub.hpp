#pragma once
// The test Hub (tests/hub/testhub) as seen from a test: scripts faults, asks what happened. One
// server for a test executable.

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "sagebuild/app/upload.hpp"
#include "sagebuild/base/digest.hpp"
#include "sagebuild/net/http.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/python_server.hpp"
#include "support/recording_reporter.hpp"
#include "support/wheel_factory.hpp"

namespace sagebuild {

constexpr const char* kTestToken = "hf_writewritewritewrite";
constexpr const char* kTestRepo = "user/wheels";
// Short enough to wait for, long enough that a server on a busy machine is not taken for a silent
// one.
constexpr std::chrono::milliseconds kShortStall{600};

class TestHub {
 public:
  using json = nlohmann::json;

  static TestHub& instance() {
    static TestHub hub;
    return hub;
  }

  std::string operator[](const std::string& address) const { return server_[address]; }

  json call(json what) {
    const Response response = http_.send({.method = "POST",
                                          .url = server_["control"] + "/call",
                                          .headers = {{"Content-Type", "application/json"}},
                                          .body = what.dump()});
    if (!response.ok())
      throw std::runtime_error("the test Hub's control refuses " + what.dump() + ": " +
                               response.body);
    return json::parse(response.body);
  }
  void reset(json options = json::object()) {
    options["do"] = "reset";
    call(options);
  }
  // One fault or a list of them: braces around a single JSON value may mean either.
  void faults(const json& list) {
    call({{"do", "faults"}, {"faults", list.is_array() ? list : json::array({list})}});
  }
  std::size_t struck() { return call({{"do", "struck"}})["struck"].size(); }
  json log() { return call({{"do", "log"}})["log"]; }
  // One ref of one repository: head, commits, files.
  json ref(const std::string& name = "main", const std::string& repo = kTestRepo) {
    return call({{"do", "state"}})["repos"]["model/" + repo]["refs"][name];
  }
  std::size_t requests(const std::set<std::string>& endpoints) {
    std::size_t count = 0;
    for (const json& entry : log())
      count += endpoints.contains(entry["endpoint"].get<std::string>()) ? 1 : 0;
    return count;
  }
  std::string read(const std::string& path, const std::string& revision = "main");

 private:
  TestHub() : server_("tests/hub/server.py", {"--tls"}), http_(HttpSettings{}) {}
  PythonServer server_;
  HttpClient http_;
};

inline std::string TestHub::read(const std::string& path, const std::string& revision) {
  const Response response = http_.send({.url = server_["hub"] + "/" + kTestRepo + "/resolve/" +
                                               percent_encoded(revision) + "/" + encoded_path(path),
                                        .redirects = Redirects::anywhere});
  if (!response.ok())
    throw std::runtime_error(fmt::format("{} cannot be read: {}", path, response.status));
  return response.body;
}

// A repository with the user's own README, and two wheels to publish: one goes in a single PUT, one
// in five parts.
struct UploadWorld {
  static constexpr const char* kSmall = "sage-1.0+cu130torch2.11-cp311-cp311-linux_x86_64.whl";
  static constexpr const char* kLarge = "sage-1.0+cu128torch2.8-cp311-cp311-linux_x86_64.whl";

  TestHub& hub = TestHub::instance();
  TempDir folder;
  RecordingReporter report;
  UploadSettings settings;
  std::size_t commits_before = 0;

  explicit UploadWorld(nlohmann::json options = nlohmann::json::object()) {
    options.emplace("multipart_from", 50'000);
    options.emplace("chunk_size", 30'000);
    hub.reset(options);
    hub.call({{"do", "create"}, {"name", kTestRepo}});
    hub.call({{"do", "commit"},
              {"name", kTestRepo},
              {"files", {{"README.md", "# My wheels\n\nMy own words.\n"}}}});
    commits_before = 2;
    write_file(folder.path() / "token", std::string(kTestToken) + "\n");
    settings.repo = parse_repo_id(kTestRepo);
    settings.token_file = folder.path() / "token";
    settings.endpoint = hub["hub"];
    settings.kept_uploads = folder.path() / "uploads";
    settings.http.ca_file = hub["ca"];
    settings.http.retry.first = std::chrono::milliseconds(10);
    settings.http.retry.longest = std::chrono::milliseconds(100);
    settings.http.stall = std::chrono::seconds(20);  // tests of silence take kShortStall
    settings.http.connect_timeout = std::chrono::seconds(10);
    settings.files = {make_wheel(folder.path(), kSmall, 20'000, 1),
                      make_wheel(folder.path(), kLarge, 130'000, 2)};
  }

  UploadOutcome run() { return upload(settings, report); }

  // All files, with the right bytes, in exactly `commits` new commits, and the user's words kept.
  void check_published(std::size_t commits = 1, const std::string& ref_name = "main") {
    const auto ref = hub.ref(ref_name, settings.repo.name);
    REQUIRE(ref.is_object());
    CHECK(ref["commits"].size() == commits_before + commits);
    for (const auto& path : settings.files) {
      const std::string name =
          (settings.folder.empty() ? "" : settings.folder + "/") + path.filename().string();
      REQUIRE(ref["files"].contains(name));
      CHECK(ref["files"][name]["sha256"] == sha256_file(path).hex());
    }
    for (const char* index : {"wheels.json", "SHA256SUMS"}) CHECK(ref["files"].contains(index));
    check_token_kept();
  }
  // Not one file of ours, no commit.
  void check_untouched(std::size_t commits_of_others = 0) {
    check_untouched(hub.ref("main", settings.repo.name), commits_of_others);
  }
  void check_untouched(const nlohmann::json& ref, std::size_t commits_of_others) {
    if (ref.is_object()) {
      CHECK(ref["commits"].size() == commits_before + commits_of_others);
      CHECK_FALSE(ref["files"].contains("wheels.json"));
    }
    check_token_kept();
  }
  // Pull requests of this user, by number.
  std::vector<std::string> own_pulls() {
    std::vector<std::string> numbers;
    const auto repo = hub.call({{"do", "state"}})["repos"]["model/" + settings.repo.name];
    if (repo.is_null()) return {};
    for (const auto& [number, pull] : repo["pulls"].items()) {
      if (pull["author"] == "user") numbers.push_back(number);
    }
    return numbers;
  }
  // The token went to the Hub and nowhere else, and was never told.
  void check_token_kept() {
    for (const auto& entry : hub.log()) {
      if (entry["origin"] != "hub") CHECK(entry["auth"] == false);
    }
    for (const auto* lines : {&report.stages, &report.notes, &report.warnings, &report.details}) {
      CHECK_FALSE(RecordingReporter::any_has(*lines, kTestToken));
      CHECK_FALSE(RecordingReporter::any_has(*lines, "Signature"));
    }
  }
  // The run must fail with `text` somewhere in the message.
  void check_refused(const std::string& text, std::size_t commits_of_others = 0) {
    try {
      run();
      FAIL_CHECK("the upload went through");
    } catch (const Error& error) {
      INFO(error.rendered());
      CHECK(error.rendered().find(text) != std::string::npos);
      CHECK(error.rendered().find(kTestToken) == std::string::npos);
      CHECK(error.rendered().find("Signature") == std::string::npos);
    }
    check_untouched(commits_of_others);
  }

  // `sagebuild upload` of these words as its own process, with a home of its own.
  Command command(const std::vector<std::string>& words) const {
    std::filesystem::create_directories(folder.path() / "home");
    Command made;
    made.argv = {std::getenv("SAGEBUILD_TEST_BINARY"),
                 "upload",
                 "--repo",
                 kTestRepo,
                 "--retry-delay-ms",
                 "10",
                 "--stall-limit-ms",
                 "60000"};
    made.argv.insert(made.argv.end(), words.begin(), words.end());
    made.cwd = folder.path();
    made.env["HF_ENDPOINT"] = hub["hub"];
    made.env["HF_TOKEN"] = kTestToken;
    made.env["HOME"] = (folder.path() / "home").string();
    return made;
  }
};

}  // namespace sagebuild
