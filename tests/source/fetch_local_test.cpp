// Folders, local repositories and archives.
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/repository.hpp"
#include "support/catch.hpp"
#include "support/fetch_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

TEST_CASE("a bare repository is read in place") {
  FetchWorld world;
  const Checkout checkout = world.fetch_from(world.sample.bare("bare.git").string());
  CHECK(checkout.commit == world.sample.second());
  CHECK(checkout.ref == "main");
  CHECK_FALSE(checkout.dirty);
  CHECK(checkout.root == world.options.destination);
  CHECK(world.content("setup.py") == "print('two')\n");
  CHECK_FALSE(fs::exists(world.options.destination / ".git"));
  CHECK_FALSE(fs::exists(world.options.cache));
}

TEST_CASE("a bare repository without a config file is one all the same") {
  FetchWorld world;
  const fs::path bare = world.sample.bare("bare.git");
  fs::remove(bare / "config");
  const Checkout checkout = world.fetch_from(bare.string());
  CHECK(checkout.commit == world.sample.second());
  CHECK_FALSE(checkout.dirty);
}

TEST_CASE("a file URL is read in place, at any ref") {
  FetchWorld world;
  const Checkout checkout = world.fetch_from("file://" + world.sample.folder().string(), "v1");
  CHECK(checkout.commit == world.sample.first());
  CHECK(checkout.ref == "v1");
  CHECK(world.content("setup.py") == "print('one')\n");
}

TEST_CASE("a work tree is copied as it is, and its state is recorded") {
  FetchWorld world;
  world.sample.write("setup.py", "print('mine')\n");
  world.sample.write("build/lib/x.o", "");
  world.sample.write("dist/x.whl", "");
  world.sample.write("pkg.egg-info/PKG-INFO", "");
  world.sample.write("csrc/build/part.cu", "");
  const Checkout checkout = world.fetch_from(world.sample.folder().string());
  CHECK(checkout.commit == world.sample.second());
  CHECK(checkout.dirty);
  CHECK(world.content("setup.py") == "print('mine')\n");
  CHECK(fs::exists(world.options.destination / "csrc/build/part.cu"));
  for (const char* left_over : {".git", "build", "dist", "pkg.egg-info"})
    CHECK_FALSE(fs::exists(world.options.destination / left_over));
}

TEST_CASE("a plain folder is copied and counts as dirty") {
  FetchWorld world;
  const fs::path plain = world.folder.path() / "plain";
  make_folders(plain / "csrc");
  write_file(plain / "setup.py", "#");
  fs::create_symlink("/etc/hostname", plain / "out");
  // The destination may lie inside.
  world.options.destination = plain / "work" / "tree";
  const Checkout checkout = world.fetch_from(plain.string());
  CHECK(checkout.commit.empty());
  CHECK(checkout.dirty);
  CHECK(world.content("setup.py") == "#");
  CHECK_FALSE(world.has("work/tree"));
  CHECK(RecordingReporter::any_has(world.report.warnings, "'out' leads out of the source folder"));
  CHECK_THROWS_MATCHES(world.fetch_from(plain.string(), "main"), Error,
                       says("is not a git repository").hints("leave out --ref"));
  CHECK_THROWS_MATCHES(world.fetch_from("file://" + plain.string()), Error,
                       says("is not a git repository"));
}

TEST_CASE("what is no source at all") {
  FetchWorld world;
  CHECK_THROWS_MATCHES(world.fetch_from(""), Error, says("no source was given"));
  CHECK_THROWS_MATCHES(world.fetch_from("/nonexistent/x"), Error,
                       says("there is no source '/nonexistent/x'").hints("git URL"));
  CHECK_THROWS_MATCHES(world.fetch_from("thu-ml/SageAttention"), Error,
                       says("there is no source").hints("https://github.com/thu-ml/SageAttention"));
  for (const char* place : {"~/x", "me:word-word@host/x"})  // of no repository on GitHub
    CHECK_THROWS_MATCHES(world.fetch_from(place), Error,
                         says("there is no source").hints("git URL"));
  CHECK_THROWS_MATCHES(world.fetch_from("ftp://me:word-word@host/x"), Error,
                       says("there is no source 'ftp://host/x'"));
  CHECK_THROWS_MATCHES(world.fetch_from("https://host/x.tar.gz"), Error,
                       says("is an archive").hints("download it"));
  CHECK_THROWS_MATCHES(world.fetch_from(world.sample.folder().string(), "v2"), Error,
                       says("no branch, tag or commit 'v2'").hints("'v1'"));
  CHECK(world.nothing_left());
  write_file(world.folder.path() / "out" / "tree" / "x", "x");
  CHECK_THROWS_MATCHES(fetch({world.sample.folder().string(), ""}, world.options, world.report),
                       Error, says("is not empty"));
}

TEST_CASE("a repository that belongs to someone else needs an option") {
  if (::geteuid() != 0 || libgit2_version() < 10400)
    SKIP_HERE("only root can give files away, and only libgit2 1.4 or newer minds");
  FetchWorld world;
  const fs::path bare = world.sample.bare("bare.git");
  constexpr uid_t kNobody = 65534;
  REQUIRE(::chown(bare.c_str(), kNobody, kNobody) == 0);
  for (const auto& entry : fs::recursive_directory_iterator(bare))
    REQUIRE(::chown(entry.path().c_str(), kNobody, kNobody) == 0);
  CHECK_THROWS_MATCHES(world.fetch_from(bare.string()), Error,
                       says("cannot open the repository").hints("--allow-foreign-owner"));
  world.options.allow_foreign_owner = true;
  CHECK(world.fetch_from(bare.string()).commit == world.sample.second());
}

TEST_CASE("a partial repository: what may be missing and what may not") {
  FetchWorld world;
  world.sample.write("assets/a.png", std::string(5000, 'a'));
  world.sample.write("assets/deep/b.png", std::string(5000, 'b'));
  world.sample.commit("pictures");
  git(world.sample.folder(), {"config", "uploadpack.allowFilter", "true"});
  git(world.folder.path(), {"clone", "-q", "--bare", "--filter=blob:limit=1k",
                            "file://" + world.sample.folder().string(), "partial.git"});
  git(world.folder.path() / "partial.git", {"remote", "remove", "origin"});
  const std::string partial = (world.folder.path() / "partial.git").string();

  CHECK_THROWS_MATCHES(world.fetch_from(partial), Error,
                       says("2 files of commit").hints("is partial"));
  CHECK_THROWS_MATCHES(world.fetch_from(partial), Error, says("assets/deep/b.png (blob "));
  world.options.may_miss = {"assets/a*"};
  CHECK_THROWS_MATCHES(world.fetch_from(partial), Error, says("1 file of commit"));
  CHECK(world.nothing_left());
  world.options.may_miss = {"assets/*"};
  const Checkout checkout = world.fetch_from(partial);
  CHECK(checkout.missing == std::vector<std::string>{"assets/a.png", "assets/deep/b.png"});
  CHECK(RecordingReporter::any_has(world.report.warnings,
                                   "2 files not needed for the build are left out"));
  CHECK(world.content("setup.py") == "print('two')\n");
}

TEST_CASE("modes are git's, whatever the umask, and no attribute or filter changes a file") {
  FetchWorld world;
  world.sample.write(".gitattributes", "*.txt text eol=crlf filter=evil ident\n");
  world.sample.write("a.txt", "one\n$Id$\n");
  world.sample.write("run.sh", "#!/bin/sh\n");
  fs::permissions(world.sample.folder() / "run.sh", fs::perms::owner_exec, fs::perm_options::add);
  world.sample.commit("modes");
  const mode_t before = ::umask(0077);
  const ScopeExit restore([before] { ::umask(before); });
  world.fetch_from("file://" + world.sample.folder().string());
  CHECK(world.content("a.txt") == "one\n$Id$\n");
  CHECK(static_cast<int>(fs::status(world.options.destination / "a.txt").permissions()) == 0644);
  CHECK(static_cast<int>(fs::status(world.options.destination / "run.sh").permissions()) == 0755);
}

}  // namespace sagebuild
