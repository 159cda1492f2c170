#pragma once
// A cache in a folder of its own, a folder for outputs, and a child process to fail in.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sagebuild/cache/cache.hpp"
#include "sagebuild/cache/maintenance.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {

namespace fs = std::filesystem;

struct CacheWorld {
  TempDir temp{"sagebuild-cache-test"};
  fs::path folder = temp.path() / "cache";
  fs::path work = temp.path() / "work";
  RecordingReporter report;
  std::unique_ptr<ActionCache> cache;

  explicit CacheWorld(std::uint64_t limit = 20'000'000'000) {
    make_folders(work);
    reopen(limit);
  }
  void reopen(std::uint64_t limit = 20'000'000'000) {
    CacheSettings settings{folder, limit};
    settings.explain = true;
    cache = open_cache(std::move(settings), report);
  }
  // What was said of the last miss whose subject was stored before.
  std::string last_reason() const { return report.notes.empty() ? "" : report.notes.back(); }

  fs::path file(const std::string& name, std::string_view content) const {
    write_file(work / name, content);
    return work / name;
  }
  // All stored files below a folder of the cache, sorted.
  std::vector<fs::path> stored(std::string_view below) const {
    std::vector<fs::path> found;
    if (!fs::exists(folder / below)) return found;
    for (const auto& entry : fs::recursive_directory_iterator(folder / below)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }
};

inline ActionKey key_of(const std::string& value) {
  return ActionKey("ptxas", "demo a.cu sm_90a").add("arch", "sm_90a").add("ptx", sha256(value));
}

// Stores `content` as the one output, "out", of the key of the same text.
inline ActionResult store_text(ActionCache& cache, const fs::path& work,
                               const std::string& content) {
  const fs::path path = work / fmt::format("out-{}", sha256(content).hex().substr(0, 8));
  write_file(path, content);
  return cache.store(key_of(content), {{"out", path}}, {});
}

// The content that the cache gives for the key of `content`, or nothing.
inline std::optional<std::string> cached_text(ActionCache& cache, const fs::path& work,
                                              const std::string& content) {
  const auto result = cache.lookup(key_of(content));
  const fs::path place = work / "materialised";
  fs::remove(place);
  if (!result || !cache.materialize(*result, {{"out", place}})) return std::nullopt;
  return read_file(place);
}

inline void set_age(const fs::path& path, std::chrono::seconds age) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - age);
}

inline int status_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Runs `body` in a child and gives its exit status: what it returns, or 200 and what it threw on
// standard error.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 200;
    try {
      status = body();
    } catch (const std::exception& error) {
      fmt::print(stderr, "in the child: {}\n", error.what());
    }
    _exit(status);
  }
  return status_of(child);
}

}  // namespace sagebuild
