#include "sagebuild/vcs/repository.hpp"

#include "support/catch.hpp"
#include "support/git_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

TEST_CASE("what is no repository opens as nothing") {
  const TempDir world;
  CHECK_FALSE(Repository::open(world.path()).has_value());
  CHECK_FALSE(Repository::open(world.path() / "absent").has_value());
  SampleRepository sample(world.path() / "sample");
  // A folder inside a work tree is not its top.
  CHECK_FALSE(Repository::open(sample.folder() / "csrc").has_value());
}

TEST_CASE("refs resolve to commits") {
  const TempDir world;
  const SampleRepository sample(world.path() / "sample");
  const auto repository = Repository::open(sample.folder());
  REQUIRE(repository);
  CHECK_FALSE(repository->is_bare());
  CHECK(repository->head_name() == "main");
  for (const std::string ref : {"", "HEAD", "main", "refs/heads/main"})
    CHECK(repository->resolve(ref) == sample.second());
  for (const std::string ref : {"v1", "refs/tags/v1", "feature/x"})
    CHECK(repository->resolve(ref) == sample.first());
  CHECK(repository->resolve(sample.first()) == sample.first());
  CHECK(repository->resolve(sample.first().substr(0, 7)) == sample.first());
  CHECK(repository->has_commit(sample.first()));
  CHECK_FALSE(repository->has_commit(std::string(40, '1')));
  // The tag object's own name leads to its commit.
  CHECK(repository->resolve(git(sample.folder(), {"rev-parse", "v1^{tag}"})) == sample.first());
}

TEST_CASE("wrong refs say what is near") {
  const TempDir world;
  const SampleRepository sample(world.path() / "sample");
  const auto repository = Repository::open(sample.folder());
  CHECK_THROWS_MATCHES(repository->resolve("mian"), Error,
                       says("has no branch, tag or commit 'mian'").hints("did you mean 'main'"));
  CHECK_THROWS_MATCHES(repository->resolve("qqqqqqqqqqqq"), Error,
                       says("has no branch").hints("feature/x, main, v1"));
  CHECK_THROWS_MATCHES(repository->resolve("abc"), Error, says("no branch, tag or commit 'abc'"));
  CHECK_THROWS_MATCHES(repository->resolve(std::string(40, 'a')), Error,
                       says("no branch, tag or commit"));
  // A tree is no commit.
  CHECK_THROWS_AS(repository->resolve(git(sample.folder(), {"rev-parse", "main^{tree}"})), Error);
  git(sample.folder(), {"tag", "feature/x", "main"});
  CHECK_THROWS_MATCHES(repository->resolve("feature/x"), Error,
                       says("both a branch and a tag").hints("refs/heads/feature/x"));
}

TEST_CASE("an abbreviation that fits two objects is ambiguous") {
  const TempDir world;
  const SampleRepository sample(world.path() / "sample");
  // Blobs until two names begin with the same four digits: a few hundred are enough, and always the
  // same ones.
  std::string stream;
  for (int i = 0; i < 1000; ++i) {
    const std::string content = "blob " + std::to_string(i);
    stream += "blob\ndata " + std::to_string(content.size()) + "\n" + content + "\n";
  }
  git(sample.folder(), {"fast-import", "--quiet"}, stream);
  std::map<std::string, int> beginnings;
  std::string twice;
  const std::string names =
      git(sample.folder(), {"cat-file", "--batch-all-objects", "--batch-check=%(objectname)"});
  for (const auto line : lines_of(names)) {
    const std::string beginning(line.substr(0, 4));
    if (++beginnings[beginning] == 2) twice = beginning;
  }
  REQUIRE_FALSE(twice.empty());
  const auto repository = Repository::open(sample.folder());
  CHECK_THROWS_MATCHES(repository->resolve(twice), Error,
                       says("is ambiguous").hints("more of its digits"));
}

TEST_CASE("an empty repository has no commit") {
  const TempDir world;
  const Repository repository = Repository::create_bare(world.path() / "empty.git");
  CHECK(repository.is_bare());
  CHECK_THROWS_MATCHES(repository.resolve(""), Error,
                       says("has no commit that HEAD points to").hints("no branch and no tag"));
  CHECK_THROWS_MATCHES(repository.resolve("main"), Error, says("'main'"));
}

TEST_CASE("a commit's entries and blobs") {
  const TempDir world;
  SampleRepository sample(world.path() / "sample");
  sample.write("run.sh", "#!/bin/sh\n");
  fs::permissions(sample.folder() / "run.sh", fs::perms::owner_exec, fs::perm_options::add);
  fs::create_symlink("csrc/kernel.cu", sample.folder() / "link.cu");
  const std::string commit = sample.commit("more");
  const auto repository = Repository::open(sample.folder());

  std::map<std::string, TreeEntry> entries;
  repository->for_each_entry(commit,
                             [&](const TreeEntry& entry) { entries.emplace(entry.path, entry); });
  REQUIRE(entries.size() == 4);
  CHECK(entries.at("csrc/kernel.cu").kind == TreeEntry::Kind::file);
  CHECK(entries.at("run.sh").kind == TreeEntry::Kind::executable);
  CHECK(entries.at("link.cu").kind == TreeEntry::Kind::link);
  CHECK(repository->read_blob(entries.at("link.cu").oid) == "csrc/kernel.cu");
  CHECK(repository->read_blob(entries.at("setup.py").oid) == "print('two')\n");
  CHECK_FALSE(repository->read_blob(std::string(40, '1')).has_value());
}

TEST_CASE("a repository without a config file opens") {
  const TempDir world;
  const SampleRepository sample(world.path() / "sample");
  const fs::path bare = sample.bare("bare.git");
  fs::remove(bare / "config");
  const auto repository = Repository::open(bare);
  REQUIRE(repository);
  CHECK(repository->resolve("main") == sample.second());
  CHECK_FALSE(repository->origin_url().has_value());
}

TEST_CASE("extensions of partial clones are no hindrance") {
  const TempDir world;
  const SampleRepository sample(world.path() / "sample");
  git(sample.folder(), {"config", "core.repositoryformatversion", "1"});
  git(sample.folder(), {"config", "extensions.partialClone", "origin"});
  CHECK(Repository::open(sample.folder())->resolve("main") == sample.second());
  git(sample.folder(), {"config", "extensions.unheardOf", "true"});
  CHECK_THROWS_MATCHES(Repository::open(sample.folder()), Error,
                       says("cannot open the repository").hints(""));
}

TEST_CASE("the state of a work tree") {
  const TempDir world;
  SampleRepository sample(world.path() / "sample");
  const auto ignore = [](const fs::path& path) { return *path.begin() == "build"; };
  const auto state = [&] { return Repository::open(sample.folder())->work_tree_state(ignore); };
  CHECK(state().commit == sample.second());
  CHECK_FALSE(state().dirty);
  sample.write("build/x.o", "x");
  CHECK_FALSE(state().dirty);
  sample.write("new.cu", "x");
  CHECK(state().dirty);
  fs::remove(sample.folder() / "new.cu");
  CHECK_FALSE(state().dirty);
  sample.write("setup.py", "print('three')\n");
  CHECK(state().dirty);
}

}  // namespace sagebuild
