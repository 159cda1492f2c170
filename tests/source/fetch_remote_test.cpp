// Remotes that work: git's own daemon and smart HTTP, kept clones, submodules.
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/repository.hpp"
#include "support/catch.hpp"
#include "support/fetch_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

namespace {

// "GET ...\nPOST ...": how often packs were asked for.
std::size_t pack_requests(const GitServer& server) {
  std::size_t count = 0;
  const std::string requests = server.requests();
  for (const auto line : lines_of(requests)) count += line.starts_with("POST") ? 1U : 0U;
  return count;
}

}  // namespace

TEST_CASE("git daemon: branches, tags and commits, also abbreviated") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "git");
  const std::string url = server.url("bare.git");

  Checkout checkout = world.fetch_from(url);
  CHECK(checkout.commit == world.sample.second());
  CHECK(checkout.ref == "main");
  CHECK(checkout.location == url);
  CHECK(world.content("setup.py") == "print('two')\n");
  CHECK_FALSE(world.has(".git"));
  REQUIRE_FALSE(world.report.transfers.empty());
  CHECK(world.report.transfers.back().objects_done > 0);
  CHECK(world.report.transfers.back().done > 0);
  CHECK(world.report.transfers.back().what.find("bare") != std::string::npos);

  for (const std::string& ref : {std::string("v1"), std::string("feature/x"), world.sample.first(),
                                 world.sample.first().substr(0, 9)}) {
    INFO(ref);
    checkout = world.fetch_from(url, ref);
    CHECK(checkout.commit == world.sample.first());
    CHECK(checkout.ref == ref);
  }
}

TEST_CASE("a commit that is there needs no server, a branch no pack") {
  FetchWorld world;
  world.sample.bare("bare.git");
  GitServer server(world.folder.path(), "http");
  const std::string url = server.url("bare.git");
  world.fetch_from(url);
  CHECK(pack_requests(server) > 0);

  const std::size_t packs = pack_requests(server);
  world.report.transfers.clear();
  CHECK(world.fetch_from(url, "main").commit == world.sample.second());
  CHECK(pack_requests(server) == packs);
  CHECK(world.report.transfers.empty());

  const std::string before = server.requests();
  CHECK(world.fetch_from(url, world.sample.second()).commit == world.sample.second());
  CHECK(world.fetch_from(url, world.sample.second().substr(0, 10)).commit == world.sample.second());
  CHECK(server.requests() == before);
  server.stop();
  CHECK(world.fetch_from(url, world.sample.second()).commit == world.sample.second());
}

TEST_CASE("a branch that moved is updated, one that went is forgotten") {
  FetchWorld world;
  const fs::path bare = world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "git");
  const std::string url = server.url("bare.git");
  world.fetch_from(url);

  world.sample.write("setup.py", "print('three')\n");
  const std::string third = world.sample.commit("third");
  git(world.sample.folder(), {"push", "-q", "--force", bare.string(), "main", ":feature/x",
                              "main:refs/heads/feature/x/y"});
  CHECK(world.fetch_from(url).commit == third);
  CHECK(world.content("setup.py") == "print('three')\n");
  CHECK(world.fetch_from(url, "feature/x/y").commit == third);
  CHECK_THROWS_MATCHES(world.fetch_from(url, "feature/x"), Error,
                       says("no branch, tag or commit 'feature/x'"));
}

TEST_CASE("another default branch than main, and pull requests") {
  FetchWorld world;
  const fs::path bare = world.sample.bare("bare.git");
  git(bare, {"symbolic-ref", "HEAD", "refs/heads/feature/x"});
  git(bare, {"update-ref", "refs/pull/7/head", world.sample.first()});
  const GitServer server(world.folder.path(), "git");
  const Checkout checkout = world.fetch_from(server.url("bare.git"));
  CHECK(checkout.commit == world.sample.first());
  CHECK(checkout.ref == "feature/x");
  CHECK(world.fetch_from(server.url("bare.git"), "pull/7/head").commit == world.sample.first());
  CHECK_THROWS_MATCHES(world.fetch_from(server.url("bare.git"), "pull/8/head"), Error,
                       says("pull/8/head"));
}

TEST_CASE("one ref at first, its history when it is asked for") {
  // With libgit2 1.7 and newer the first fetch is shallow; what follows must not notice.
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "http");
  const std::string url = server.url("bare.git");
  CHECK(world.fetch_from(url).commit == world.sample.second());
  CHECK(world.fetch_from(url, "v1").commit == world.sample.first());
  CHECK(world.fetch_from(url, "main").commit == world.sample.second());

  world.sample.write("setup.py", "print('three')\n");
  const std::string third = world.sample.commit("third");
  git(world.sample.folder(), {"push", "-q", (world.folder.path() / "bare.git").string(), "main"});
  CHECK(world.fetch_from(url, "main").commit == third);
  CHECK(world.fetch_from(url, world.sample.second().substr(0, 9)).commit == world.sample.second());
  CHECK(world.content("setup.py") == "print('two')\n");
  CHECK_THROWS_MATCHES(world.fetch_from(url, "mian"), Error,
                       says("'mian'").hints("did you mean 'main'"));
}

TEST_CASE("a commit that no branch leads to") {
  FetchWorld world;
  const fs::path bare = world.sample.bare("bare.git");
  const std::string lone = git(bare, {"commit-tree", "-m", "alone", "main^{tree}"});
  const GitServer server(world.folder.path(), "http");
  const std::string url = server.url("bare.git");
  CHECK_THROWS_MATCHES(world.fetch_from(url, lone), Error,
                       says("has no branch, tag or commit '" + lone));
  if (libgit2_version() < 10400) SKIP_HERE("libgit2 before 1.4 cannot ask for a commit");
  git(bare, {"config", "uploadpack.allowAnySHA1InWant", "true"});
  CHECK(world.fetch_from(url, lone).commit == lone);
  const std::string absent(40, '1');
  CHECK_THROWS_MATCHES(world.fetch_from(url, absent), Error,
                       says("has no branch, tag or commit '" + absent));
}

TEST_CASE("offline uses the kept clone, and says so when it cannot") {
  FetchWorld world;
  world.sample.bare("bare.git");
  GitServer server(world.folder.path(), "git");
  const std::string url = server.url("bare.git");
  CHECK_THROWS_MATCHES(world.fetch_from(url, "main", true), Error,
                       says("was not fetched before").hints("without --offline"));
  CHECK(server.requests().empty());
  world.fetch_from(url);
  world.fetch_from(url, "v1");
  const std::string before = server.requests();
  CHECK(world.fetch_from(url, "v1", true).commit == world.sample.first());
  CHECK(world.fetch_from(url, "", true).commit == world.sample.second());
  CHECK_THROWS_MATCHES(world.fetch_from(url, "mian", true), Error,
                       says("(--offline)").hints("did you mean 'main'"));
  CHECK(server.requests() == before);
  CHECK(world.nothing_left());
}

TEST_CASE("a kept clone that is damaged is made again") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "git");
  world.fetch_from(server.url("bare.git"));
  for (const auto& entry : fs::directory_iterator(world.options.cache / "git")) {
    if (entry.is_directory()) write_file(entry.path() / "config", "[core\nnonsense");
  }
  CHECK(world.fetch_from(server.url("bare.git")).commit == world.sample.second());
  CHECK(RecordingReporter::any_has(world.report.warnings, "is damaged"));
}

TEST_CASE("submodules come at their pinned commits, also by relative address") {
  FetchWorld world;
  const SampleRepository inner(world.folder.path() / "inner");
  inner.bare("inner.git");
  world.sample.write(".gitmodules",
                     "[submodule \"lib\"]\n\tpath = third/lib\n\turl = ../inner.git\n");
  git(world.sample.folder(),
      {"update-index", "--add", "--cacheinfo", "160000," + inner.first() + ",third/lib"});
  git(world.sample.folder(), {"add", ".gitmodules"});
  git(world.sample.folder(), {"commit", "-q", "-m", "with a submodule"});
  world.sample.bare("outer.git");

  SECTION("over the network") {
    const GitServer server(world.folder.path(), "git");
    world.fetch_from(server.url("outer.git"));
    CHECK(world.content("third/lib/setup.py") == "print('one')\n");
    CHECK(world.content("setup.py") == "print('two')\n");
    CHECK(world.fetch_from(server.url("outer.git"), "", true).commit.size() == 40);
    CHECK(world.has("third/lib/csrc/kernel.cu"));
  }
  SECTION("in place") {
    git(world.folder.path() / "outer.git", {"remote", "remove", "origin"});
    world.fetch_from((world.folder.path() / "outer.git").string());
    CHECK(world.content("third/lib/setup.py") == "print('one')\n");
  }
}

TEST_CASE("a remote repository may not name local folders as submodules") {
  FetchWorld world;
  const SampleRepository inner(world.folder.path() / "inner");
  for (const std::string& address : {inner.folder().string(), "file://" + inner.folder().string(),
                                     std::string("ext::sh -c id")}) {
    world.sample.write(".gitmodules",
                       "[submodule \"lib\"]\n\tpath = lib\n\turl = " + address + "\n");
    git(world.sample.folder(),
        {"update-index", "--add", "--cacheinfo", "160000," + inner.first() + ",lib"});
    git(world.sample.folder(), {"add", ".gitmodules"});
    git(world.sample.folder(), {"commit", "-q", "-m", "with a submodule"});
    fs::remove_all(world.folder.path() / "outer.git");
    world.sample.bare("outer.git");
    const GitServer server(world.folder.path(), "git");
    CHECK_THROWS_MATCHES(world.fetch_from(server.url("outer.git")), Error,
                         says("refused the submodule 'lib'"));
    CHECK(world.nothing_left());
  }
}

TEST_CASE("credentials in an address are sent, and never shown") {
  FetchWorld world;
  world.sample.bare("bare.git");
  const GitServer server(world.folder.path(), "http", {"--password", "open-sesame"});
  const std::string bare = server.url("bare.git");
  const std::string with = "http://me:open-sesame@" + bare.substr(7);
  const Checkout checkout = world.fetch_from(with);
  CHECK(checkout.commit == world.sample.second());
  CHECK(checkout.location == bare);
  for (const auto* lines : {&world.report.stages, &world.report.notes, &world.report.details}) {
    CHECK_FALSE(RecordingReporter::any_has(*lines, "sesame"));
  }
  for (const auto& entry : fs::recursive_directory_iterator(world.options.cache)) {
    if (entry.is_regular_file()) CHECK(read_file(entry.path()).find("sesame") == std::string::npos);
  }
}

}  // namespace sagebuild
