// Commits and archives made to write outside their tree.
#include <sys/stat.h>

#include "sagebuild/source/fetch.hpp"
#include "source/archive.hpp"
#include "support/catch.hpp"
#include "support/fetch_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

namespace {

// Commits whose trees git itself would refuse to make.
class Forge {
 public:
  explicit Forge(fs::path folder) : folder_(std::move(folder)) {
    git(folder_, {"init", "-q", "--bare", "forged.git"});
  }

  std::string blob(const std::string& content) const { return write("blob", content); }

  struct Entry {
    std::string mode;
    std::string name;
    std::string oid;
  };
  std::string tree(const std::vector<Entry>& entries) const {
    std::string bytes;
    for (const Entry& entry : entries) {
      bytes += entry.mode + " " + entry.name + '\0';
      for (std::size_t i = 0; i < entry.oid.size(); i += 2) {
        bytes += static_cast<char>(*to_integer(std::string_view(entry.oid).substr(i, 2), 16));
      }
    }
    return write("tree", bytes);
  }
  // Makes it the head of main.
  fs::path commit(const std::string& tree) const {
    git(repository(),
        {"update-ref", "refs/heads/main", git(repository(), {"commit-tree", "-m", "x", tree})});
    git(repository(), {"symbolic-ref", "HEAD", "refs/heads/main"});
    return repository();
  }

 private:
  fs::path repository() const { return folder_ / "forged.git"; }
  std::string write(const std::string& type, const std::string& content) const {
    return git(repository(), {"hash-object", "-t", type, "--literally", "-w", "--stdin"}, content);
  }
  fs::path folder_;
};

// tarfile writes what GNU tar would not. `body` fills the archive `a`; add(name, ...) makes one
// member.
fs::path forged_tar(const fs::path& folder, const std::string& body) {
  const std::string script = R"(
import io, sys, tarfile
a = tarfile.open(sys.argv[1], "w:gz")
def add(name, data=b"x", **fields):
    member = tarfile.TarInfo(name)
    member.size = len(data) if not fields else 0
    for key, value in fields.items():
        setattr(member, key, value)
    a.addfile(member, io.BytesIO(data))
)" + body + "\na.close()\n";
  Command command;
  command.argv = {"python3", "-c", script, (folder / "forged.tar.gz").string()};
  run_checked(command, "tarfile failed");
  return folder / "forged.tar.gz";
}

}  // namespace

TEST_CASE("paths of a commit that climb out are refused") {
  FetchWorld world;
  const Forge forge(world.folder.path());
  const std::string blob = forge.blob("evil");
  const std::string inner = forge.tree({{"100644", "x", blob}});
  const std::vector<Forge::Entry> bad = {
      {"40000", "..", inner},      {"40000", ".git", inner},
      {"40000", ".GIT", inner},    {"40000", ".", inner},
      {"100644", "../evil", blob}, {"100644", "/tmp/sagebuild-evil", blob},
      {"100644", "..", blob},      {"160000", "..", std::string(40, '1')},
      {"120000", "..", blob},
  };
  for (const Forge::Entry& entry : bad) {
    INFO(entry.mode << " " << entry.name);
    const fs::path repository = forge.commit(forge.tree({{"40000", "a", forge.tree({entry})}}));
    CHECK_THROWS_MATCHES(world.fetch_from(repository.string()), Error,
                         says("refused the path 'a/"));
    CHECK(world.nothing_left());
  }
  CHECK_FALSE(fs::exists("/tmp/sagebuild-evil"));
}

TEST_CASE("a name that a tree has twice is refused") {
  FetchWorld world;
  const TempDir outside("outside");
  const Forge forge(world.folder.path());
  const std::string blob = forge.blob("evil");
  const std::string link = forge.blob(outside.path().string());
  const std::string inner = forge.tree({{"100644", "x", blob}});
  // The classic: a link, then a folder of the same name through it.
  CHECK_THROWS_AS(
      world.fetch_from(
          forge.commit(forge.tree({{"120000", "a", link}, {"40000", "a", inner}})).string()),
      Error);
  CHECK_THROWS_MATCHES(
      world.fetch_from(
          forge.commit(forge.tree({{"100644", "a", blob}, {"100644", "a", blob}})).string()),
      Error, says("it is there twice"));
  CHECK(fs::is_empty(outside.path()));
  CHECK(world.nothing_left());
}

TEST_CASE("links that leave the tree are refused, others are kept") {
  FetchWorld world;
  const auto fetch_with = [&](const std::vector<std::pair<std::string, std::string>>& links) {
    for (const auto& [path, target] : links) {
      make_folders((world.sample.folder() / path).parent_path());
      fs::remove(world.sample.folder() / path);
      fs::create_symlink(target, world.sample.folder() / path);
    }
    world.sample.commit("links");
    world.fetch_from("file://" + world.sample.folder().string());
  };
  SECTION("good ones") {
    fetch_with({{"a", "setup.py"},
                {"csrc/b", "../setup.py"},
                {"c", "absent"},
                {"d", "d"},
                {"e/f", "../csrc"}});
    CHECK(world.content("csrc/b") == "print('two')\n");
    CHECK(fs::read_symlink(world.options.destination / "c") == "absent");
    CHECK(world.has("e/f/kernel.cu"));
  }
  SECTION("absolute") {
    CHECK_THROWS_MATCHES(fetch_with({{"a", "/etc/passwd"}}), Error, says("'a'").hints("outside"));
  }
  SECTION("climbing") {
    CHECK_THROWS_MATCHES(fetch_with({{"csrc/a", "../../x"}}), Error,
                         says("a link out of the tree"));
  }
  SECTION("climbing after descending") {
    CHECK_THROWS_MATCHES(fetch_with({{"a", "csrc/../../x"}}), Error, says("a link out"));
  }
  SECTION("in two steps") {
    CHECK_THROWS_MATCHES(fetch_with({{"a/b/up", "../.."}, {"out", "a/b/up/.."}}), Error,
                         says("leads out of the tree"));
  }
  if (fs::exists(world.options.destination)) return;
  CHECK(world.nothing_left());
}

TEST_CASE("archive members that climb out are refused") {
  FetchWorld world;
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"add('p/../../evil')", "climbs with '..'"},
      {"add('/tmp/sagebuild-evil')", "it is absolute"},
      {"add('p//x')", "an empty part"},
      {"add('p/.git/config')", "'.git'"},
      {"add('p/l', type=tarfile.SYMTYPE, linkname='/tmp')\nadd('p/l/sagebuild-evil')",
       "absolute link, to '/tmp'"},
      {"add('p/l', type=tarfile.SYMTYPE, linkname='../x')\nadd('p/x')", "a link out of the tree"},
      {"add('p/h', type=tarfile.LNKTYPE, linkname='/etc/passwd')", "it is absolute"},
      {"add('p/h', type=tarfile.LNKTYPE, linkname='p/absent')", "a file that is not there"},
      {"add('p/x')\nadd('p/x')", "it is there twice"},
      {"add('p/fifo', type=tarfile.FIFOTYPE)", "device, pipe or socket"},
      {"add('p/l', type=tarfile.SYMTYPE, linkname='q')\nadd('p/l/m', type=tarfile.SYMTYPE, "
       "linkname='x')",
       "it is there twice"},
  };
  for (const auto& [body, reason] : bad) {
    INFO(body);
    CHECK_THROWS_MATCHES(world.fetch_from(forged_tar(world.folder.path(), body).string()), Error,
                         says(reason));
    CHECK(world.nothing_left());
  }
  CHECK_FALSE(fs::exists("/tmp/sagebuild-evil"));
}

TEST_CASE("an archive of many members, and a commit, are refused when they are too large in all") {
  const TempDir folder;
  const fs::path archive = forged_tar(
      folder.path(),
      "add('a/b/c', b'x' * 100)\nadd('a/b/d', b'x' * 100)\nadd('a/e', type=tarfile.LNKTYPE, "
      "linkname='a/b/c')\nadd('l', type=tarfile.SYMTYPE, linkname='a')\nadd('f', "
      "type=tarfile.DIRTYPE)");
  // Two files, a hard link, a link, three folders; the hard link is a copy, the link's text is a
  // byte.
  const auto unpack = [&](TreeLimits limits) {
    const TempDir place;
    TreeWriter tree(place.path() / "tree", limits);
    unpack_archive(archive, tree);
    tree.finish();
  };
  CHECK_NOTHROW(unpack({301, 7}));
  CHECK_THROWS_MATCHES(unpack({300, 7}), Error,
                       says("too large together").hints("give the folder"));
  CHECK_THROWS_MATCHES(unpack({301, 6}), Error, says("too many files"));
  CHECK(TreeLimits{}.bytes < 20'000'000'000);
  CHECK(TreeLimits{}.entries < 1'000'000);
}

TEST_CASE("archives are unpacked, a single top folder is stripped") {
  FetchWorld world;
  SECTION("an sdist") {
    const Checkout checkout =
        world.fetch_from(forged_tar(world.folder.path(),
                                    "add('p-1.0/setup.py', b'#')\nadd('p-1.0/run', "
                                    "b'#!')\nadd('p-1.0/l', type=tarfile.SYMTYPE, "
                                    "linkname='setup.py')\n"
                                    "add('p-1.0/h', type=tarfile.LNKTYPE, "
                                    "linkname='p-1.0/setup.py')\nadd('p-1.0/\\u00e9')\n"
                                    "add('p-1.0/empty', type=tarfile.DIRTYPE)")
                             .string());
    CHECK(checkout.commit.empty());
    CHECK(checkout.dirty);
    CHECK(world.content("setup.py") == "#");
    CHECK(world.content("h") == "#");
    CHECK(fs::read_symlink(world.options.destination / "l") == "setup.py");
    CHECK(world.has("\u00e9"));
    CHECK(fs::is_directory(world.options.destination / "empty"));
  }
  SECTION("more than one at the top") {
    world.fetch_from(
        forged_tar(world.folder.path(), "add('setup.py')\nadd('./csrc/x.cu')").string());
    CHECK(world.has("setup.py"));
    CHECK(world.has("csrc/x.cu"));
  }
  SECTION("what git archive writes") {
    for (const std::string name : {"x.tar.gz", "x.zip", "x.tar"}) {
      git(world.sample.folder(),
          {"archive", "--prefix=top/", "-o", (world.folder.path() / name).string(), "main"});
      world.fetch_from((world.folder.path() / name).string());
      CHECK(world.content("setup.py") == "print('two')\n");
    }
  }
}

TEST_CASE("damaged archives and other files") {
  FetchWorld world;
  git(world.sample.folder(),
      {"archive", "-o", (world.folder.path() / "x.tar.gz").string(), "main"});
  const std::string whole = read_file(world.folder.path() / "x.tar.gz");
  const fs::path bad = world.folder.path() / "bad.tar.gz";
  for (const std::string& content :
       {std::string("no archive at all, just text\n"), std::string(),
        whole.substr(0, whole.size() / 2), std::string("\x1f\x8b\x08\0\0\0", 6)}) {
    write_file(bad, content);
    CHECK_THROWS_MATCHES(world.fetch_from(bad.string()), Error, says("bad.tar.gz"));
    CHECK(world.nothing_left());
  }
  CHECK_THROWS_MATCHES(world.fetch_from((world.folder.path() / "x.tar.gz").string(), "main"), Error,
                       says("has no ref").hints("leave out --ref"));
}

}  // namespace sagebuild
