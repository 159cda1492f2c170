#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sagebuild/base/error.hpp"
#include "sagebuild/net/http.hpp"
#include "sagebuild/net/reach.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/environment.hpp"
#include "support/python_server.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

PythonServer& server() {
  static PythonServer instance("tests/net/server.py");
  return instance;
}

HttpSettings quick() {
  HttpSettings settings;
  settings.retry.first = milliseconds(2);
  settings.retry.longest = milliseconds(10);
  settings.retry.attempts = 4;
  settings.stall = milliseconds(400);
  settings.connect_timeout = milliseconds(400);
  return settings;
}

std::string counter_of(const std::string& path) {
  HttpClient client(quick());
  return client.send({.url = server()["plain"] + "/count?of=" + percent_encoded(path)}).body;
}

struct File {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("sagebuild-net-{}", getpid());
  explicit File(std::string_view content) { std::ofstream(path) << content; }
  ~File() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("origins compare scheme, host and port; shown URLs keep no credential") {
  CHECK(origin_of("https://Host.example/a") == origin_of("https://host.example:443/b?c"));
  CHECK(origin_of("https://host.example/") != origin_of("http://host.example/"));
  CHECK(origin_of("https://host.example:8443/") != origin_of("https://host.example/"));
  CHECK_FALSE(origin_of("ftp://host.example/"));
  CHECK(shown_url("https://user:pw@host/a/b?X-Amz-Signature=secret#f") == "https://host/a/b");
  CHECK(shown_url("https://host/a@b") == "https://host/a@b");
  CHECK(shown_url("https://user:p?w#x@host/a?b") == "https://host/a");
  CHECK(shown_url("https://user:1?2@host/a") == "https://host/a");
  CHECK(shown_url("local/path?x") == "local/path");
  CHECK(shown_url("user:pw@host/a") == "host/a");
  CHECK(shown_url("git@host:a/b") == "git@host:a/b");
  CHECK(shown_url("bob:pw@host") == "host");
  CHECK(shown_url("bob:p/w@host/a") == "host/a");
  CHECK(shown_url("https://bob:p/w@host/a") == "https://host/a");
  CHECK(shown_url("bob:pw@host:a/b") == "host:a/b");
  CHECK(percent_encoded("a+b c/\xc3\xa9", "/") == "a%2Bb%20c/%C3%A9");
  CHECK(resolved_url("https://h/a/b?q", "../c") == "https://h/c");
}

TEST_CASE("a request is sent as it was given, and the answer's headers are found without case") {
  HttpClient client(quick());
  const Secret token("net-test-token");
  const Response response = client.send({.method = "POST",
                                         .url = server()["plain"] + "/echo",
                                         .headers = {{"Content-Type", "application/json"}},
                                         .credentials = {Credentials::Scheme::bearer, "", &token},
                                         .body = std::string("{}")});
  REQUIRE(response.ok());
  const json echo = json::parse(response.body);
  CHECK(echo["method"] == "POST");
  CHECK(echo["headers"]["Content-Type"] == "application/json");
  CHECK(echo["headers"]["Content-Length"] == "2");
  CHECK(echo["headers"]["Authorization"] == "Bearer net-test-token");
  CHECK_FALSE(echo["headers"].contains("Expect"));
  CHECK(response.headers.find("x-mixed-case") == "yes");
  CHECK(client.send({.method = "HEAD", .url = server()["plain"] + "/bytes?n=7"})
            .headers.find("content-length") == "7");

  const Secret password("net-test-password");
  const Request basic{.url = server()["plain"] + "/echo",
                      .credentials = {Credentials::Scheme::basic, "me", &password}};
  CHECK(json::parse(client.send(basic).body)["headers"]["Authorization"] ==
        "Basic bWU6bmV0LXRlc3QtcGFzc3dvcmQ=");
}

TEST_CASE("a range of a file streams up, and down into a file") {
  const File file("0123456789");
  HttpClient client(quick());
  std::uint64_t last = 0;
  const Request put{.method = "PUT",
                    .url = server()["plain"] + "/echo?up",
                    .body = FileRange{file.path, 3, 4},
                    .progress = [&](std::uint64_t done, std::uint64_t) { last = done; }};
  const json echo = json::parse(client.send(put).body);
  CHECK(echo["head"] == "3456");
  CHECK(echo["size"] == 4);
  CHECK(last == 4);

  const Request empty{
      .method = "PUT", .url = server()["plain"] + "/echo", .body = FileRange{file.path, 0, 0}};
  CHECK(json::parse(client.send(empty).body)["headers"]["Content-Length"] == "0");
  const Request short_file{
      .method = "PUT", .url = server()["plain"] + "/echo", .body = FileRange{file.path, 5, 9}};
  CHECK_THROWS_MATCHES(client.send(short_file), Error, says("became shorter"));

  const Response down =
      client.send({.url = server()["plain"] + "/bytes?n=5", .to_file = file.path});
  CHECK(down.body.empty());
  std::ostringstream text;
  text << std::ifstream(file.path).rdbuf();
  CHECK(text.str() == "xxxxx");

  // What is not a success goes to the body, never into the file.
  const Response missing = client.send(
      {.url = server()["plain"] + "/fail-first?status=404&n=9&id=down", .to_file = file.path});
  CHECK(missing.status == 404);
  CHECK(missing.body == "not yet");
}

TEST_CASE("what is transient is tried again, the body from its start") {
  const File file("0123456789");
  HttpSettings settings = quick();
  int retries = 0;
  settings.on_retry = [&](const Request&, const Response&, milliseconds) { ++retries; };
  HttpClient client(settings);
  for (const int status : {0, 408, 429, 500, 501, 503, 520, 524}) {
    const Response response = client.send(
        {.method = "PUT",
         .url = fmt::format("{}/fail-first?status={}&n=2&id=put", server()["plain"], status),
         .body = FileRange{file.path, 0, 10}});
    INFO(status);
    REQUIRE(response.ok());
    CHECK(json::parse(response.body)["head"] == "0123456789");
    CHECK(response.attempts == 3);
  }
  CHECK(retries == 16);
  for (const int status : {400, 401, 403, 404, 409, 412, 416}) {
    const Response response = client.send(
        {.url = fmt::format("{}/fail-first?status={}&n=2&id=get", server()["plain"], status)});
    CHECK(response.status == status);
    CHECK(response.attempts == 1);
  }
  const Request also{
      .url = server()["plain"] + "/fail-first?status=400&n=1&id=also",
      .also_transient = [](const Response& response) { return response.body == "not yet"; }};
  CHECK(client.send(also).ok());
  const Response never = client.send({.url = server()["plain"] + "/fail-first?status=503&n=99"});
  CHECK(never.status == 503);
  CHECK(never.attempts == 4);
}

TEST_CASE("a wait that the server asks for is kept, unless it is too long") {
  HttpSettings settings = quick();
  std::vector<milliseconds> waits;
  settings.on_retry = [&](const Request&, const Response&, milliseconds wait) {
    waits.push_back(wait);
  };
  HttpClient client(settings);
  CHECK(client.send({.url = server()["plain"] + "/fail-first?status=429&n=1&wait=1"}).ok());
  REQUIRE(waits.size() == 1);
  CHECK(waits[0] == milliseconds(1000));
  CHECK(client.send({.url = server()["plain"] + "/fail-first?status=429&n=1&wait=86400"}).status ==
        429);
  CHECK(waits.size() == 1);

  // Not per attempt: 1 s is granted, and then there is 1 s left of the 2.
  settings.retry.longest_asked = std::chrono::seconds(2);
  HttpClient patient(settings);
  const Response asks =
      patient.send({.url = server()["plain"] + "/fail-first?status=503&n=9&wait=1"});
  CHECK(asks.status == 503);
  CHECK(asks.attempts == 3);

  settings.retry.attempts = 1;
  HttpClient once(settings);
  CHECK(asked_wait(once.send({.url = server()["plain"] + "/retry-date"})) ==
        std::chrono::seconds(1));
  Response limited;
  limited.status = 429;
  limited.headers = {{"RateLimit", "\"api\";r=0;t=55"}};
  CHECK(asked_wait(limited) == std::chrono::seconds(55));
  limited.headers = {{"RateLimit", "\"api\";r=400;t=55"}};
  CHECK_FALSE(asked_wait(limited));
}

TEST_CASE("waits double, jitter and stop growing") {
  std::mt19937 random(1);
  const RetryPolicy policy{
      .attempts = 9, .first = milliseconds(100), .longest = milliseconds(1000)};
  for (int round = 0; round < 100; ++round) {
    CHECK(backoff(policy, 1, random) >= milliseconds(50));
    CHECK(backoff(policy, 1, random) <= milliseconds(100));
    CHECK(backoff(policy, 30, random) >= milliseconds(500));
    CHECK(backoff(policy, 30, random) <= milliseconds(1000));
  }
}

TEST_CASE("broken transfers are values with a reason") {
  HttpSettings settings = quick();
  settings.retry.attempts = 1;
  HttpClient client(settings);
  const std::string base = server()["plain"];
  CHECK(client.send({.url = base + "/truncated"}).failure == Failure::broken);
  CHECK(client.send({.url = base + "/stall"}).failure == Failure::stalled);
  CHECK(client.send({.url = base + "/fail-first?status=0&n=9"}).failure == Failure::broken);
  CHECK(client.send({.url = "http://127.0.0.1:1/"}).failure == Failure::connect);
  CHECK(client.send({.url = "http://no-such-host.invalid/"}).failure == Failure::connect);
  const std::string large(4 << 20, 'x');
  CHECK(client.send({.method = "PUT", .url = base + "/reset-in-body?after=1000", .body = large})
            .failure == Failure::broken);
  CHECK(client.send({.method = "PUT", .url = base + "/stall-in-body?after=1000", .body = large})
            .failure == Failure::stalled);
  CHECK(client.send({.url = base + "/slow"}).ok());  // one kB/s is slow, not stalled
  const Response trickle = client.send({.url = base + "/trickle"});
  CHECK(trickle.failure == Failure::stalled);
  CHECK(trickle.reason.starts_with("fewer than 1.0 kB/s for"));
  const Request local{.url = "file:///etc/passwd"};
  CHECK_THROWS_MATCHES(client.send(local), Error, says("not an http or https URL"));
  settings.body_limit = 1000;
  HttpClient small(settings);
  CHECK(small.send({.url = base + "/bytes?n=1001"}).failure == Failure::oversized);
  CHECK(small.send({.url = base + "/bytes?n=1000"}).ok());
  const TempDir folder;
  const auto to_file = [&](int size, std::optional<std::uint64_t> limit) {
    return small.send({.url = base + "/bytes?n=" + std::to_string(size),
                       .to_file = folder.path() / "file",
                       .body_limit = limit});
  };
  CHECK(to_file(1001, std::nullopt).failure == Failure::oversized);
  CHECK(to_file(2000, 2000).ok());
  CHECK(to_file(1, 0).failure == Failure::oversized);
  CHECK(to_file(0, 0).ok());
  CHECK_FALSE(client.send({.url = base + "/header-flood?n=20000000"}).ok());  // libcurl's own bound
}

TEST_CASE("certificates are verified against the given CA and the host name") {
  HttpSettings settings = quick();
  CHECK(HttpClient(settings).send({.url = server()["tls"] + "/echo"}).failure == Failure::tls);
  settings.ca_file = server()["ca"];
  HttpClient client(settings);
  CHECK(client.send({.url = server()["tls"] + "/echo"}).ok());
  CHECK(client.send({.url = server()["wronghost"] + "/echo"}).failure == Failure::tls);
}

TEST_CASE("redirects follow their policy and never carry credentials to another origin") {
  HttpSettings settings = quick();
  settings.ca_file = server()["ca"];
  HttpClient client(settings);
  const Secret token("net-test-token");
  const std::string base = server()["plain"];
  const auto request = [&](Redirects mode, const std::string& method, int status,
                           const std::string& to) {
    Request result{
        .method = method,
        .url = fmt::format("{}/redirect?status={}&to={}", base, status, percent_encoded(to)),
        .credentials = {Credentials::Scheme::bearer, "", &token},
        .redirects = mode};
    if (method == "POST") result.body = std::string("body");
    return client.send(result);
  };
  CHECK(request(Redirects::none, "GET", 302, "/echo").status == 302);
  const json kept = json::parse(request(Redirects::same_origin, "POST", 307, "/echo").body);
  CHECK(kept["method"] == "POST");
  CHECK(kept["head"] == "body");
  CHECK(kept["headers"].contains("Authorization"));
  CHECK(request(Redirects::same_origin, "POST", 302, "/echo").failure == Failure::redirect);
  const Response changed = client.send({.method = "POST",
                                        .url = base + "/redirect?status=307&to=%2Fecho",
                                        .body = std::string("body"),
                                        .redirects = Redirects::same_origin,
                                        .keep_query = true});
  CHECK(changed.failure == Failure::redirect);
  CHECK(changed.reason.find("would change what is asked for") != std::string::npos);

  const std::string elsewhere = server()["other"] + "/echo?redirected";
  CHECK(request(Redirects::same_origin, "GET", 302, elsewhere).failure == Failure::redirect);
  CHECK(request(Redirects::anywhere, "POST", 307, elsewhere).failure == Failure::redirect);
  const json dropped = json::parse(request(Redirects::anywhere, "GET", 302, elsewhere).body);
  CHECK(dropped["count"] == 1);  // the two refusals sent nothing
  CHECK_FALSE(dropped["headers"].contains("Authorization"));
  const std::string detour = fmt::format("{}/redirect?status=302&to={}", server()["other"],
                                         percent_encoded(base + "/echo"));
  CHECK_FALSE(
      json::parse(request(Redirects::anywhere, "GET", 302, detour).body)["headers"].contains(
          "Authorization"));

  const Response downgrade = client.send(
      {.url = server()["tls"] + "/redirect?status=302&to=" + percent_encoded(base + "/echo"),
       .redirects = Redirects::anywhere});
  CHECK(downgrade.failure == Failure::redirect);
  CHECK(downgrade.reason.find("from https to http") != std::string::npos);
  const Response loop = client.send({.url = base + "/loop", .redirects = Redirects::anywhere});
  CHECK(loop.failure == Failure::redirect);
  CHECK(request(Redirects::anywhere, "GET", 302, "file:///etc/passwd").failure ==
        Failure::redirect);
}

TEST_CASE("what must go once goes once, even when a reused connection closes without an answer") {
  HttpSettings settings = quick();
  HttpClient client(settings);
  // Opens the connection to reuse
  CHECK(client.send({.url = server()["plain"] + "/bytes?n=1"}).ok());
  const std::string path = "/fail-first?status=0&n=9&id=once";
  const Response response = client.send(
      {.method = "POST", .url = server()["plain"] + path, .body = std::string("x"), .once = true});
  CHECK(response.failure == Failure::broken);
  CHECK(response.attempts == 1);
  CHECK(counter_of(path) == "1");
}

TEST_CASE("many requests run side by side and answer in order") {
  HttpClient client(quick());
  std::vector<Request> requests;
  for (int i = 0; i < 20; ++i)
    requests.push_back({.url = fmt::format("{}/bytes?n={}", server()["plain"], i)});
  requests[7].url = server()["plain"] + "/fail-first?status=503&n=1&id=many";
  const std::vector<Response> responses = client.send_all(requests, 4);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(responses[i].ok());
    if (i != 7) CHECK(responses[i].body.size() == i);
  }
}

TEST_CASE("tick and callbacks may throw; the client stays usable") {
  struct Stop {};
  HttpSettings settings = quick();
  bool stop = true;
  settings.tick = [&] {
    if (stop) throw Stop{};
  };
  HttpClient client(settings);
  const Request stalling{.url = server()["plain"] + "/stall"};
  CHECK_THROWS_AS(client.send(stalling), Stop);
  stop = false;
  CHECK(client.send({.url = server()["plain"] + "/echo"}).ok());
  const Request throwing{.url = server()["plain"] + "/bytes?n=5",
                         .sink = [](std::string_view) { throw Stop{}; }};
  CHECK_THROWS_AS(client.send(throwing), Stop);
  CHECK(client.send({.url = server()["plain"] + "/echo"}).ok());
}

TEST_CASE("the log shows no query and no credential") {
  HttpSettings settings = quick();
  std::string lines;
  settings.log = [&](std::string_view line) { lines += std::string(line) + "\n"; };
  const Secret token("net-test-token");
  HttpClient client(settings);
  CHECK(client
            .send({.url = server()["plain"] + "/echo?X-Amz-Signature=abc",
                   .credentials = {Credentials::Scheme::bearer, "", &token}})
            .ok());
  CHECK(lines.find("/echo -> 200") != std::string::npos);
  CHECK(lines.find("Signature") == std::string::npos);
  CHECK(lines.find("net-test-token") == std::string::npos);
}

TEST_CASE("the CA comes from the usual variables, and a proxy is used") {
  unsetenv("CURL_CA_BUNDLE");
  setenv("SSL_CERT_FILE", "/some/ca.pem", 1);
  CHECK(http_settings_from_environment().ca_file == "/some/ca.pem");
  unsetenv("SSL_CERT_FILE");
  setenv("REQUESTS_CA_BUNDLE", "/other/ca.pem", 1);
  CHECK(http_settings_from_environment().ca_file == "/other/ca.pem");
  unsetenv("REQUESTS_CA_BUNDLE");

  // The plain server is the proxy: it sees the whole URL in the request line.
  setenv("http_proxy", server()["plain"].c_str(), 1);
  HttpClient client(quick());
  const Response response = client.send({.url = "http://behind.invalid/echo"});
  unsetenv("http_proxy");
  CHECK(json::parse(response.body)["proxied"] == true);
}

TEST_CASE("a connection is tried as a request would go: by the proxy, but for what needs none") {
  const auto problem = [](const std::string& scheme, const std::string& origin) {
    const Url url = *parse_url(origin);
    return connection_problem(scheme, url.host, url.port);
  };
  const std::string plain = server()["plain"];
  const std::string tls = server()["tls"];
  CHECK(problem("http", plain).empty());
  CHECK(problem("git", plain).empty());
  CHECK_FALSE(problem("https", tls).empty());  // nobody knows its CA
  {
    const WithEnvironment trusting({{"SSL_CERT_FILE", server()["ca"]}});
    CHECK(problem("https", tls).empty());
    CHECK_FALSE(problem("https", server()["wronghost"]).empty());
  }
  const std::string behind = "http://behind.invalid";
  CHECK_THAT(problem("http", behind),
             Catch::Matchers::StartsWith("'behind.invalid:80' cannot be reached: "));
  const WithEnvironment proxy({{"http_proxy", plain}, {"NO_PROXY", std::nullopt}});
  CHECK(problem("http", behind).empty());
  CHECK_FALSE(problem("git", behind).empty());
  const WithEnvironment direct({{"NO_PROXY", "example.org,behind.invalid"}});
  CHECK_FALSE(problem("http", behind).empty());
}

}  // namespace sagebuild
