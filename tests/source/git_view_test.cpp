#include "sagebuild/source/git_view.hpp"

#include "support/catch.hpp"
#include "support/git_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// What setup.py files and their version tools ask.
const std::vector<std::vector<std::string>> kQuestions = {
    {"describe", "--tags"},
    {"describe", "--dirty", "--tags", "--long", "--match", "v[0-9]*"},
    {"rev-parse", "HEAD"},
    {"rev-list", "--count", "HEAD"},
    {"log", "-1", "--format=%cI %h"},
    {"status", "--porcelain", "--untracked-files=no"},
    {"ls-files"},
    {"tag"}};

// The sample's files at its second commit, and a view of it.
struct Tree {
  TempDir world;
  SampleRepository sample{world.path() / "sample"};
  fs::path folder = world.path() / "tree";

  void make(bool is_dirty) const {
    copy_tree(sample.folder(), folder, [](const fs::path& path) { return path != ".git"; });
    make_git_view(Repository::open(sample.folder()).value(), sample.second(), folder, is_dirty);
  }
  std::string says(const std::vector<std::string>& question) const { return git(folder, question); }
  std::string expected(const std::vector<std::string>& question) const {
    return git(sample.folder(), question);
  }
};

}  // namespace

TEST_CASE("git says in a view what it says in the clone, whatever is patched in it") {
  const Tree tree;
  tree.make(false);
  write_file(tree.folder / "setup.py", "patched\n");
  fs::remove(tree.folder / "csrc/kernel.cu");  // a partial repository may lack some
  write_file(tree.folder / "build/made", "");
  for (const auto& question : kQuestions) {
    INFO(join(question, " "));
    CHECK(tree.says(question) == tree.expected(question));
  }
  CHECK(tree.says({"describe", "--tags", "--long"}).starts_with("v1-1-g"));
}

TEST_CASE("local changes are changes in a view, too, and our patches are none") {
  const Tree tree;
  write_file(tree.sample.folder() / "csrc/kernel.cu", "// edited\n");
  tree.make(true);
  for (const auto& question : kQuestions) {
    INFO(join(question, " "));
    CHECK(tree.says(question) == tree.expected(question));
  }
  CHECK(tree.says({"describe", "--dirty", "--tags"}).ends_with("-dirty"));
  write_file(tree.folder / "csrc/kernel.cu", "// kernel\n");
  write_file(tree.folder / "setup.py", "patched\n");
  hide_from_git(tree.folder, {"setup.py", "new.py"});
  CHECK_FALSE(tree.says({"describe", "--dirty", "--tags"}).ends_with("-dirty"));
}

TEST_CASE("a new tag changes what a view says") {
  const Tree tree;
  tree.make(false);
  const std::string before = git_view_text(tree.folder);
  CHECK(before.find(tree.sample.second()) != std::string::npos);
  git(tree.sample.folder(), {"tag", "v2"});
  fs::remove_all(tree.folder / ".git");
  CHECK(git_view_text(tree.folder).empty());
  make_git_view(Repository::open(tree.sample.folder()).value(), tree.sample.second(), tree.folder,
                false);
  CHECK(git_view_text(tree.folder) != before);
  CHECK(tree.says({"describe", "--tags"}) == "v2");
}

TEST_CASE("a setup.py that updates its submodules finds nothing to do") {
  Tree tree;
  SampleRepository inner(tree.world.path() / "inner");
  git(tree.sample.folder(), {"-c", "protocol.file.allow=always", "submodule", "-q", "add", "--name",
                             "The \"inner\" one", inner.folder().string(), "third/inner"});
  const std::string commit = tree.sample.commit("with a submodule");
  copy_tree(tree.sample.folder(), tree.folder,
            [](const fs::path& path) { return path.filename() != ".git"; });
  make_git_view(Repository::open(tree.sample.folder()).value(), commit, tree.folder, false);
  tree.says({"submodule", "update", "--init", "third/inner"});
  tree.says({"submodule", "update", "--init", "--recursive"});
  CHECK(read_file(tree.folder / "third/inner/setup.py") == "print('two')\n");
  CHECK(tree.says({"status", "--porcelain"}).empty());
}

TEST_CASE("a repository without tags, and a work tree of another repository, can be viewed") {
  const Tree tree;
  git(tree.sample.folder(), {"tag", "-d", "v1"});
  const fs::path other = tree.world.path() / "other";
  git(tree.sample.folder(), {"worktree", "add", "-q", other.string(), "feature/x"});
  copy_tree(other, tree.folder, [](const fs::path& path) { return path != ".git"; });
  make_git_view(Repository::open(other).value(), tree.sample.first(), tree.folder, false);
  CHECK(tree.says({"rev-parse", "HEAD"}) == tree.sample.first());
  CHECK_THROWS_AS(tree.says({"describe", "--tags"}), Error);
  CHECK(tree.says({"describe", "--always"}) == tree.sample.first().substr(0, 7));
}

}  // namespace sagebuild
