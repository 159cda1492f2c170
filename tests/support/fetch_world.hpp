#pragma once
// A sample repository and a place to fetch to.

#include "sagebuild/source/fetch.hpp"
#include "support/git_world.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {

struct FetchWorld {
  TempDir folder;
  SampleRepository sample{folder.path() / "sample"};
  RecordingReporter report;
  FetchOptions options{.cache = folder.path() / "cache",
                       .destination = folder.path() / "out" / "tree",
                       .may_miss = {}};

  Checkout fetch_from(const std::string& location, const std::string& ref = "",
                      bool offline = false) {
    std::filesystem::remove_all(options.destination);
    return fetch({location, ref, offline}, options, report);
  }
  std::string content(const std::string& path) const {
    return read_file(options.destination / path);
  }
  bool has(const std::string& path) const {
    return std::filesystem::exists(options.destination / path);
  }
  // No destination, and no half of it beside it.
  bool nothing_left() const {
    namespace fs = std::filesystem;
    const fs::path parent = options.destination.parent_path();
    return !fs::exists(options.destination) && (!fs::exists(parent) || fs::is_empty(parent));
  }
};

}  // namespace sagebuild
