// The remote cache against a real nginx with DAV, and against a server with bazel-remote's rules
// and with faults.

#include <nlohmann/json.hpp>

#include "cache/entry.hpp"
#include "cache/fixture.hpp"
#include "sagebuild/net/http.hpp"
#include "support/python_server.hpp"

namespace sagebuild {
namespace {

using namespace std::chrono_literals;

// A machine: its own folder, the common server.
struct Machine : CacheWorld {
  explicit Machine(const std::string& url) { connect(remote(url)); }
  explicit Machine(RemoteCacheSettings settings) { connect(std::move(settings)); }

  static RemoteCacheSettings remote(const std::string& url) {
    RemoteCacheSettings settings;
    settings.url = url;
    return settings;
  }
  static RemoteCacheSettings with_login(const std::string& url, const std::string& user,
                                        const std::string& secret) {
    RemoteCacheSettings settings = remote(url);
    settings.user = user;
    settings.secret = Secret(secret);
    return settings;
  }
  static RemoteCacheSettings impatient(const std::string& url) {
    RemoteCacheSettings settings = remote(url);
    settings.patience = 300ms;
    settings.flush_limit = 500ms;
    return settings;
  }
  void connect(RemoteCacheSettings settings) {
    CacheSettings all{folder};
    all.remote = std::move(settings);
    cache = open_cache(std::move(all), report);
  }
  void share(const std::string& content) {
    store_text(*cache, work, content);
    cache->flush();
  }
  std::optional<std::string> cached(const std::string& content) {
    return cached_text(*cache, work, content);
  }
  double seconds_for(const std::function<void()>& work_to_do) const {
    const auto started = std::chrono::steady_clock::now();
    work_to_do();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  }
};

// Nothing, noted as a skip, where there is no nginx.
std::unique_ptr<PythonServer> start_nginx() {
  auto server = std::make_unique<PythonServer>("tests/cache/nginx.py");
  if ((*server)["skip"].empty()) return server;
  note_skip((*server)["skip"]);
  return nullptr;
}

struct StrictServer : PythonServer {
  StrictServer() : PythonServer("tests/cache/strict_server.py") {}
  std::string url() const { return (*this)["origin"] + "/instance"; }
  std::string get(const std::string& path) const {
    Request request;
    request.url = (*this)["origin"] + path;
    const Response response = HttpClient(HttpSettings{}).send(request);
    if (!response.ok()) throw std::runtime_error(response.reason);
    return response.body;
  }
  std::vector<std::string> seen() const {
    return nlohmann::json::parse(get("/seen")).get<std::vector<std::string>>();
  }
};

}  // namespace

TEST_CASE("two machines share results, contents and direct mode through nginx with DAV") {
  const auto nginx = start_nginx();
  if (!nginx) return;
  Machine first((*nginx)["open"]), second((*nginx)["open"]);
  const std::string large(3'000'000, 'x');
  first.share("small");
  first.share("");
  first.share(large);
  CHECK_FALSE(second.cached("never stored"));
  for (const std::string& content : {std::string("small"), std::string(), large})
    CHECK(second.cached(content) == content);
  CHECK(second.cache->counters().remote_hits == 3);
  CHECK(second.cached(large) == large);  // now from its own folder
  CHECK(second.cache->counters().remote_hits == 3);
  CHECK(second.report.warnings.empty());

  const ActionKey key = ActionKey("preprocess", "a.cu").add("options", "-O3");
  const auto scope = [](const Machine& machine) {
    return SearchScope{{{"tree", machine.work / "tree"}}, {machine.work / "tree"}};
  };
  for (Machine* machine : {&first, &second}) write_file(machine->work / "tree/a.h", "int a;\n");
  first.cache->store_by_files(key, scope(first), {first.work / "tree/a.h"},
                              ActionCache::Clock::now() + 1h, {}, {.output = "text"});
  first.cache->flush();
  const auto found = second.cache->lookup_by_files(key, scope(second));
  REQUIRE(found);
  CHECK(found->output == "text");
  // The second machine's own set joins the first's, it does not replace it.
  write_file(second.work / "tree/a.h", "int b;\n");
  CHECK_FALSE(second.cache->lookup_by_files(key, scope(second)));
  second.cache->store_by_files(key, scope(second), {second.work / "tree/a.h"},
                               ActionCache::Clock::now() + 1h, {}, {.output = "b"});
  second.cache->flush();
  Machine third((*nginx)["open"]);
  write_file(third.work / "tree/a.h", "int a;\n");
  CHECK(third.cache->lookup_by_files(key, scope(third)));
}

TEST_CASE("passwords, tokens and TLS are right or said once, and never stop a build") {
  const auto nginx = start_nginx();
  if (!nginx) return;
  setenv("SSL_CERT_FILE", (*nginx)["ca"].c_str(), 1);
  Machine owner((*nginx)["open"]);
  owner.share("content");
  CHECK(Machine(Machine::with_login((*nginx)["basic"], "user", "pass word")).cached("content") ==
        "content");
  CHECK(Machine(Machine::with_login((*nginx)["bearer"], "", "token123")).cached("content") ==
        "content");
  CHECK(Machine((*nginx)["tls"]).cached("content") == "content");

  unsetenv("SSL_CERT_FILE");
  std::vector<RemoteCacheSettings> wrong;
  wrong.push_back(Machine::with_login((*nginx)["basic"], "user", "wrong"));
  wrong.push_back(Machine::with_login((*nginx)["bearer"], "", "wrong"));
  wrong.push_back(Machine::remote((*nginx)["basic"]));
  wrong.push_back(Machine::remote((*nginx)["tls"]));
  for (RemoteCacheSettings& settings : wrong) {
    Machine machine(std::move(settings));
    for (int i = 0; i < 5; ++i) CHECK_FALSE(machine.cached("content"));
    machine.share("own");
    CHECK(machine.cached("own") == "own");
    REQUIRE(machine.report.warnings.size() == 1);
    INFO(machine.report.warnings[0]);
    CHECK(machine.report.warnings[0].find("the remote cache at 'http") == 0);
    CHECK(machine.report.warnings[0].find("wrong") == std::string::npos);
  }
}

TEST_CASE("damage on the server is a miss, in entries and in contents") {
  const auto nginx = start_nginx();
  if (!nginx) return;
  Machine first((*nginx)["open"]);
  const std::string content(1000, 'x');
  first.share(content);
  for (const auto& entry : fs::recursive_directory_iterator((*nginx)["data"])) {
    if (!entry.is_regular_file()) continue;
    const std::string good = read_file(entry.path());
    for (std::size_t at = 0; at < good.size(); at += 37) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 4);
      write_file(entry.path(), bad);
      Machine other((*nginx)["open"]);
      const auto found = other.cached(content);
      // Bits of the list of files outside the sealed text may flip: nobody reads it back.
      if (found) REQUIRE(*found == content);
      if (entry.path().parent_path().filename() == "cas") REQUIRE_FALSE(found);
      REQUIRE(other.stored("cas").size() == (found ? 1 : 0));
    }
    write_file(entry.path(), good);
  }
  CHECK(Machine((*nginx)["open"]).cached(content) == content);
}

TEST_CASE("what is too large for the server is said once, the rest goes up") {
  const auto nginx = start_nginx();
  if (!nginx) return;
  Machine first((*nginx)["small"]);
  first.share(std::string(300'000, 'l'));
  first.share(std::string(300'000, 'm'));
  first.share("small");
  REQUIRE(first.report.warnings.size() == 1);
  CHECK(first.report.warnings[0].find("takes no large files") != std::string::npos);
  Machine second((*nginx)["small"]);
  CHECK(second.cached("small") == "small");
  CHECK_FALSE(second.cached(std::string(300'000, 'l')));
}

TEST_CASE("a folder that cannot be written does not keep the remote's results away") {
  const StrictServer server;
  Machine(server.url()).share("content");
  Machine reader(server.url());
  write_file(reader.folder, "a file where the folder should be");
  CHECK(reader.cached("content") == "content");
  CHECK(reader.report.warnings.size() == 1);
}

TEST_CASE("bazel-remote's rules are met: names, digests, valid entries, contents before entries") {
  const StrictServer server;
  Machine first(server.url());
  first.share("content");
  first.share("");
  CHECK(first.report.warnings.empty());
  const auto seen = server.seen();
  // A lookup was never made, so: contents, entry, contents, entry.
  REQUIRE(seen.size() == 4);
  CHECK(seen[0] == "PUT /instance/cas/" + sha256("content").hex());
  CHECK(seen[1] == "PUT /instance/ac/" + key_of("content").digest().hex());
  Machine second(server.url());
  CHECK(second.cached("content") == "content");
  CHECK(second.cached("") == "");
  CHECK_FALSE(second.cached("unknown"));
  CHECK(second.report.warnings.empty());
}

TEST_CASE("a remote that may only be read gets no PUT") {
  const StrictServer server;
  RemoteCacheSettings settings = Machine::remote(server.url());
  settings.read_only = true;
  Machine machine(std::move(settings));
  machine.share("content");
  CHECK_FALSE(machine.cached("other"));
  CHECK(server.seen() ==
        std::vector<std::string>{"GET /instance/ac/" + key_of("other").digest().hex()});
}

TEST_CASE(
    "a server that is down, broken, slow or trickling is given up after a few tries, with one "
    "warning") {
  const StrictServer server;
  const auto misses = [](Machine& machine) {
    for (int i = 0; i < 50; ++i) CHECK_FALSE(machine.cached("content " + std::to_string(i)));
    machine.share("own");
    CHECK(machine.cached("own") == "own");
    CHECK(machine.report.warnings.size() == 1);
  };
  SECTION("down") {
    Machine machine("http://127.0.0.1:9/cache");  // the discard port: nobody listens
    CHECK(machine.seconds_for([&] { misses(machine); }) < 5);
  }
  SECTION("broken") {
    server.get("/control?status=500");
    Machine machine(server.url());
    misses(machine);
    CHECK(server.seen().size() == 3);
  }
  SECTION("no answer") {
    server.get("/control?delay=30");
    Machine machine(Machine::impatient(server.url()));
    CHECK(machine.seconds_for([&] { misses(machine); }) < 5);
    CHECK(server.seen().size() == 1);
  }
  SECTION("always late, though within patience") {
    server.get("/control?delay=0.15");
    Machine machine(Machine::impatient(server.url()));
    misses(machine);
    CHECK(server.seen().size() == 8);
  }
  SECTION("trickling, so that it never stalls") {
    server.get("/control?trickle=1");
    Machine machine(Machine::impatient(server.url()));
    CHECK(machine.seconds_for([&] { misses(machine); }) < 5);
  }
}

TEST_CASE("what a server sends is taken up to the size that is known, and never without a bound") {
  const StrictServer server;
  Machine(server.url()).share("content");
  const std::string kind = GENERATE("ac", "cas");
  server.get("/control?flood=" + kind);
  Machine machine(server.url());
  CHECK_FALSE(machine.cached("content"));
  CHECK(std::stoi(server.get("/flooded")) < 100);  // MB, of 400
  CHECK(machine.stored("cas").empty());
}

TEST_CASE("an entry that names a file of absurd size is a miss, and said") {
  const StrictServer server;
  ActionResult result;
  result.files["out"] = {sha256("absurd"), std::uint64_t{1} << 62, false};
  const Digest key = key_of("content").digest();
  Request put;
  put.method = "PUT";
  put.url = server.url() + "/ac/" + key.hex();
  put.body = wire_form(result, sealed(result_body(key, result)));
  REQUIRE(HttpClient(HttpSettings{}).send(put).ok());
  server.get("/control?lenient=1");
  Machine machine(server.url());
  CHECK_FALSE(machine.cached("content"));
  CHECK(RecordingReporter::any_has(machine.report.warnings, "which is not fetched"));
  CHECK(server.seen().size() == 2);
}

TEST_CASE("uploads never hold a build up, and the end waits for them only so long") {
  const StrictServer server;
  server.get("/control?put_delay=0.2");
  Machine machine(Machine::impatient(server.url()));
  CHECK(machine.seconds_for([&] {
    for (int i = 0; i < 40; ++i)
      store_text(*machine.cache, machine.work, "content " + std::to_string(i));
  }) < 2);
  CHECK(machine.seconds_for([&] { machine.cache->flush(); }) < 3);
  CHECK(RecordingReporter::any_has(machine.report.warnings, "which are not uploaded"));
  CHECK(machine.seconds_for([&] { machine.cache.reset(); }) < 3);
  CHECK(Machine(server.url()).cached("content 0") == "content 0");
}

TEST_CASE("a server that refuses uploads is still read") {
  const StrictServer server;
  Machine(server.url()).share("content");
  Machine machine(server.url());
  server.get("/control?status=403");
  machine.share("own");
  machine.share("own too");
  CHECK(machine.report.warnings.size() == 1);
  server.get("/control");
  CHECK(machine.cached("content") == "content");
}

}  // namespace sagebuild
