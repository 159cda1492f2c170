// Remotes that fail: refused, silent, stalled, wrong certificate, wrong password, interrupted; and
// two fetches at once.
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "sagebuild/source/fetch.hpp"
#include "sagebuild/sys/signals.hpp"
#include "support/catch.hpp"
#include "support/fetch_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// A CA of our own and a certificate for `name`, in `folder`: ca.pem, server.pem, server.key.
void make_certificates(const fs::path& folder, const std::string& name) {
  const auto openssl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    Command command;
    command.argv = std::move(arguments);
    command.cwd = folder;
    run_checked(command, "openssl failed");
  };
  openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority"});
  openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
           "server.key", "-out", "server.csr", "-subj", "/CN=" + name});
  write_file(folder / "server.ext", "subjectAltName=DNS:" + name + "\n");
  openssl({"x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
           "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "server.ext"});
}

GitServer https_server(const fs::path& folder) {
  return GitServer(
      folder, "https",
      {"--cert", (folder / "server.pem").string(), "--key", (folder / "server.key").string()});
}

// Waits for something that another process does, not for time: the limit only ends a broken test.
template <class Condition>
bool comes_true(Condition condition) {
  const auto end = steady_clock::now() + seconds(20);
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

constexpr int kInterrupted = 77;
constexpr int kFetched = 0;
constexpr int kFailed = 1;

// Runs `work` in a child process, which ends with one of the above: the signal's flag is never
// taken back.
template <class Work>
pid_t in_child(Work work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  install_signal_handlers();
  try {
    work();
    ::_exit(kFetched);
  } catch (const Interrupted&) {
    ::_exit(kInterrupted);
  } catch (...) {
    ::_exit(kFailed);
  }
}

int exit_code(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a dead server is named") {
  FetchWorld world;
  GitServer server(world.folder.path(), "http");
  server.stop();
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git")), Error,
                       says("cannot fetch '" + server.url("bare.git")).hints("--offline"));
  CHECK(world.nothing_left());
}

TEST_CASE("what is not there, and what needs a password") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer open_server(world.folder.path(), "http");
  CHECK_THROWS_MATCHES(world.fetch_from(open_server.url("absent.git")), Error,
                       says("404").hints("no repository"));
  const GitServer daemon(world.folder.path(), "git");
  CHECK_THROWS_MATCHES(world.fetch_from(daemon.url("absent.git")), Error, says("cannot fetch"));
  const TempDir other;
  git(other.path(), {"clone", "-q", "--bare", world.sample.folder().string(), "bare.git"});
  const GitServer closed(other.path(), "http", {"--password", "right"});
  CHECK_THROWS_MATCHES(world.fetch_from(closed.url("bare.git")), Error,
                       says("cannot fetch").hints("needs credentials"));
  const std::string wrong = "http://me:wrong-word@127.0.0.1:" + closed.port() + "/bare.git";
  CHECK_THROWS_MATCHES(world.fetch_from(wrong), Error,
                       says("cannot fetch").hints("needs credentials"));
  try {
    world.fetch_from(wrong);
  } catch (const Error& error) {
    CHECK(error.rendered().find("wrong-word") == std::string::npos);
    CHECK(error.kind == ErrorKind::network);
  }
  CHECK(world.nothing_left());
}

TEST_CASE("an empty repository on a server") {
  FetchWorld world;
  git(world.folder.path(), {"init", "-q", "--bare", "empty.git"});
  const GitServer server(world.folder.path(), "git");
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("empty.git")), Error, says("has no commit"));
}

TEST_CASE("a server that never answers ends at the stall limit") {
  FetchWorld world;
  world.options.stall_limit = seconds(1);
  const GitServer server(world.folder.path(), "silent");
  for (const std::string scheme : {"http", "git", "https"}) {
    INFO(scheme);
    const auto begin = steady_clock::now();
    CHECK_THROWS_MATCHES(world.fetch_from(scheme + "://127.0.0.1:" + server.port() + "/x"), Error,
                         says("the server sent nothing for 1 s").hints("--offline"));
    CHECK(steady_clock::now() - begin < seconds(8));
  }
}

TEST_CASE("a server that stalls in the middle of a pack") {
  FetchWorld world;
  world.options.stall_limit = seconds(1);
  std::string noise;
  for (int i = 0; i < 40000; ++i) noise += std::to_string(i * 7919 % 100003);
  world.sample.write("large.txt", noise);
  world.sample.commit("large");
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "http", {"--stall-after", "2000"});
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git")), Error,
                       says("the server sent nothing for 1 s"));
  CHECK(server.requests().find("stalled") != std::string::npos);
  CHECK(world.nothing_left());
}

TEST_CASE("https with an authority of our own") {
  FetchWorld world;
  world.sample.bare("bare.git");
  make_certificates(world.folder.path(), "localhost");
  const GitServer server = https_server(world.folder.path());
  {
    const WithVariable unset("SSL_CERT_FILE", "");
    CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git")), Error,
                         says("ertificate").hints("SSL_CERT_FILE"));
  }
  const WithVariable trusted("SSL_CERT_FILE", (world.folder.path() / "ca.pem").string());
  CHECK(world.fetch_from(server.url("bare.git")).commit == world.sample.second());
}

TEST_CASE("https through a proxy") {
  FetchWorld world;
  world.sample.bare("bare.git");
  make_certificates(world.folder.path(), "localhost");
  const WithVariable trusted("SSL_CERT_FILE", (world.folder.path() / "ca.pem").string());
  const GitServer server = https_server(world.folder.path());
  const GitServer proxy(world.folder.path(), "proxy");
  const WithVariable through("https_proxy", "http://127.0.0.1:" + proxy.port());
  const WithVariable not_around("no_proxy", "");
  const WithVariable nor_around("NO_PROXY", "");
  CHECK(world.fetch_from(server.url("bare.git")).commit == world.sample.second());
  CHECK(proxy.requests().find("CONNECT localhost:" + server.port()) != std::string::npos);
}

TEST_CASE("a certificate for another name") {
  FetchWorld world;
  world.sample.bare("bare.git");
  make_certificates(world.folder.path(), "elsewhere.example");
  const WithVariable trusted("SSL_CERT_FILE", (world.folder.path() / "ca.pem").string());
  const GitServer server = https_server(world.folder.path());
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git")), Error,
                       says("ertificate").hints("SSL_CERT_FILE"));
  const WithVariable absent("SSL_CERT_FILE", "/nonexistent/ca.pem");
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git")), Error,
                       says("cannot read the certificates of '/nonexistent/ca.pem'"));
}

TEST_CASE("an interrupt ends a fetch that waits for a silent server") {
  FetchWorld world;
  const GitServer server(world.folder.path(), "silent");
  const pid_t child =
      in_child([&] { world.fetch_from("http://127.0.0.1:" + server.port() + "/x"); });
  REQUIRE(comes_true([&] { return !server.requests().empty(); }));
  // Again until it ends: one that comes before the child blocks in recv() is only noted.
  int status = 0;
  CHECK(comes_true([&] {
    ::kill(child, SIGTERM);
    return ::waitpid(child, &status, WNOHANG) == child;
  }));
  CHECK(WEXITSTATUS(status) == kInterrupted);
  CHECK(world.nothing_left());
}

TEST_CASE("an interrupt in the middle of a pack leaves nothing, and the next fetch is whole") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "git");
  struct Interrupting : RecordingReporter {
    void transfer(const TransferProgress&) override { std::raise(SIGINT); }
  } interrupting;
  const pid_t child = in_child([&] {
    fetch({server.url("bare.git"), ""}, world.options, interrupting);
  });
  CHECK(exit_code(child) == kInterrupted);
  CHECK(world.nothing_left());
  for (const auto& entry : fs::recursive_directory_iterator(world.options.cache)) {
    CHECK(entry.path().filename().string().find("pack_git2_") == std::string::npos);
  }
  CHECK(world.fetch_from(server.url("bare.git")).commit == world.sample.second());
}

TEST_CASE("an interrupt while the tree is written leaves nothing") {
  FetchWorld world;
  const std::string bare = world.sample.bare("bare.git").string();
  const std::string archive = (world.folder.path() / "x.tar.gz").string();
  git(world.sample.folder(), {"archive", "-o", archive, "main"});
  struct Interrupting : RecordingReporter {
    void stage(std::string_view) override { std::raise(SIGTERM); }
  } interrupting;
  for (const std::string& source : {bare, archive, world.sample.folder().string()}) {
    INFO(source);
    CHECK(exit_code(in_child([&] {
            fetch({source, ""}, world.options, interrupting);
          })) == kInterrupted);
    CHECK(world.nothing_left());
  }
}

TEST_CASE("the second of two fetches of one address waits and says so") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "git");
  world.fetch_from(server.url("bare.git"));
  std::string lock;
  for (const auto& entry : fs::directory_iterator(world.options.cache / "git")) {
    if (entry.path().extension() == ".lock") lock = entry.path().string();
  }
  REQUIRE_FALSE(lock.empty());
  // The first one, as far as the second can see: it holds the lock until it is told to end.
  int tell[2] = {};
  int told[2] = {};
  REQUIRE(::pipe(tell) == 0);
  REQUIRE(::pipe(told) == 0);
  const pid_t child = in_child([&] {
    const FileLock held(lock);
    char byte = 'x';
    static_cast<void>(::write(told[1], &byte, 1) + ::read(tell[0], &byte, 1));
  });
  char byte = 0;
  REQUIRE(::read(told[0], &byte, 1) == 1);
  struct Releasing : RecordingReporter {
    int end = -1;
    void note(std::string_view text) override {
      RecordingReporter::note(text);
      if (text.starts_with("waiting")) static_cast<void>(!::write(end, "x", 1));
    }
  } releasing;
  releasing.end = tell[1];
  fs::remove_all(world.options.destination);
  CHECK(fetch({server.url("bare.git"), ""}, world.options, releasing).commit ==
        world.sample.second());
  CHECK(RecordingReporter::any_has(releasing.notes, "waiting for another build that fetches"));
  CHECK(exit_code(child) == kFetched);
  for (const int end : {tell[0], tell[1], told[0], told[1]}) ::close(end);
}

}  // namespace sagebuild
