// The real project: SAGEBUILD_UPSTREAM_GIT is the path of a git folder of SageAttention (a partial
// one will do).
#include <cstdio>
#include <cstdlib>

#include "sagebuild/source/fetch.hpp"
#include "support/catch.hpp"
#include "support/git_world.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {

TEST_CASE("SageAttention's main commit is checked out", "[.upstream]") {
  const char* upstream = std::getenv("SAGEBUILD_UPSTREAM_GIT");
  REQUIRE(upstream != nullptr);
  const TempDir world;
  RecordingReporter report;
  const std::string commit = "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5";
  const FetchOptions options{.cache = world.path() / "cache",
                             .destination = world.path() / "tree",
                             .may_miss = {"assets/*"},
                             .allow_foreign_owner = true};
  const Checkout checkout = fetch({upstream, commit}, options, report);
  CHECK(checkout.commit == commit);
  for (const char* path : {"setup.py", "csrc/fused/fused.cu", "csrc/qattn/pybind_sm89.cpp",
                           "sageattention/__init__.py"}) {
    INFO(path);
    CHECK(std::filesystem::file_size(checkout.root / path) > 0);
  }
  for (const std::string& path : checkout.missing) CHECK(path.starts_with("assets/"));
  // Git's own idea of what the tree holds.
  const std::string names =
      git(world.path(), {"--git-dir", upstream, "ls-tree", "-r", "--name-only", commit});
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(checkout.root))
    files += entry.is_directory() ? 0U : 1U;
  CHECK(files + checkout.missing.size() == lines_of(names).size());
  std::fprintf(stderr, "upstream: %zu files written, %zu left out\n", files,
               checkout.missing.size());
  for (const std::string& warning : report.warnings)
    std::fprintf(stderr, "upstream: %s\n", warning.c_str());
}

}  // namespace sagebuild
