// Folders, local repositories and archives.
#include "sagebuild/source/fetch.hpp"
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

}  // namespace sagebuild
