// Whose folders are trusted. Owners can be changed by root alone, so as anybody else only the modes
// are tested.

#include "sagebuild/sys/trust.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

struct World {
  TempDir temp{"trust"};
  fs::path cache = temp.path() / "home/cache";
  fs::path deep = cache / "actions/ac/4f";

  World() {
    make_folders(deep);
    for (fs::path path = deep; path != temp.path(); path = path.parent_path()) mode(path, 0755);
  }
  static void mode(const fs::path& path, mode_t mode) { REQUIRE(::chmod(path.c_str(), mode) == 0); }
  std::string fault() const { return others_can_write(cache, 3).value_or(""); }
};

}  // namespace

TEST_CASE("a folder of one's own is trusted, also one that is not there yet, and below /tmp") {
  World world;
  CHECK(world.fault().empty());
  CHECK_FALSE(others_can_write(world.cache / "not/yet", 3));
  CHECK_FALSE(others_can_write("/tmp/sagebuild-that-nobody-made", 3));
}

TEST_CASE("a folder that others can write to is named: itself, above, below, behind a link") {
  World world;
  for (const fs::path& path :
       {world.cache, world.cache.parent_path(), world.cache / "actions", world.deep}) {
    World::mode(path, 0777);
    CHECK(world.fault() == "everybody can write to '" + path.string() + "'");
    World::mode(path, 0755);
  }
  const fs::path other = world.temp.path() / "other";
  make_folders(other);
  World::mode(other, 0777);
  fs::create_directory_symlink(other, world.cache / "envs");
  CHECK(world.fault() == "everybody can write to '" + other.string() + "'");
  World::mode(other, 0755);
  CHECK(world.fault().empty());
  // What is to come would lie in it.
  World::mode(world.cache, 0777);
  CHECK_FALSE(others_can_write(world.cache / "not/yet", 3).value_or("").empty());
}

TEST_CASE("a sticky bit protects what lies in a folder, and not the folder itself") {
  World world;
  World::mode(world.cache.parent_path(), 01777);
  CHECK(world.fault().empty());
  World::mode(world.cache, 01777);
  CHECK(world.fault() == "everybody can write to '" + world.cache.string() + "'");
}

TEST_CASE("another user's folder is named, root's and that of the user behind sudo are trusted") {
  if (::geteuid() != 0) SKIP_HERE("only root can give folders away");
  World world;
  const uid_t other = 54321;
  for (const fs::path& path : {world.cache.parent_path(), world.cache, world.deep}) {
    REQUIRE(::chown(path.c_str(), other, 0) == 0);
    CHECK(world.fault() == "'" + path.string() + "' belongs to the user '54321'");
    ::setenv("SUDO_UID", "54321", 1);
    CHECK(world.fault().empty());
    ::unsetenv("SUDO_UID");
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
  }
  World::mode(world.cache, 0775);
  CHECK(world.fault().empty());  // the group root is root's own
  REQUIRE(::chown(world.cache.c_str(), 0, 54322) == 0);
  CHECK(world.fault() == "the group '54322' can write to '" + world.cache.string() + "'");
}

}  // namespace sagebuild
