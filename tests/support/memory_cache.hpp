#pragma once
// An action cache that lives as long as the object, and counts: for tests of folders that only see
// the interface.

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cache/direct_mode.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

class MemoryCache : public ActionCache {
 public:
  // Keys that were looked up or stored, as "kind: subject", in order.
  std::vector<std::string> hits, misses;

  std::optional<ActionResult> lookup(const ActionKey& key) override {
    const std::lock_guard lock(mutex_);
    return noted(key, find(key.digest()));
  }

  bool materialize(const ActionResult& result, const Paths& destinations) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, path] : destinations) {
      if (!result.files.contains(name)) return false;
      make_folders(path.parent_path());
      write_file(path, blobs_.at(result.files.at(name).digest));
    }
    return true;
  }

  ActionResult store(const ActionKey& key, const Paths& outputs, ActionResult result) override {
    const std::lock_guard lock(mutex_);
    return results_[key.digest()] = with_files(outputs, std::move(result));
  }

  std::optional<ActionResult> lookup_by_files(const ActionKey& key,
                                              const SearchScope& scope) override {
    const std::lock_guard lock(mutex_);
    std::string reason;
    const auto found = matching_result(manifests_[key.digest()], scope, digests_, names_, reason);
    return noted(key, found ? find(*found) : std::nullopt);
  }

  // Files that were changed a moment ago count as read before: tests write them as they go.
  ActionResult store_by_files(const ActionKey& key, const SearchScope& scope,
                              const std::vector<std::filesystem::path>& files_read,
                              Clock::time_point, const Paths& outputs,
                              ActionResult result) override {
    const std::lock_guard lock(mutex_);
    result = with_files(outputs, std::move(result));
    const auto later = Clock::now() + std::chrono::hours(1);
    std::string reason;
    auto set =
        file_set(key.digest(), scope, files_read, later, digests_, names_, directives_, reason);
    if (!set) return result;
    results_[set->result] = result;
    manifests_[key.digest()].add(std::move(*set));
    return result;
  }

  Digest file_digest(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    return digests_.of(path);
  }
  void flush() override {}
  CacheCounters counters() const override { return {}; }

 private:
  std::optional<ActionResult> find(const Digest& key) const {
    const auto found = results_.find(key);
    return found == results_.end() ? std::nullopt : std::optional(found->second);
  }

  std::optional<ActionResult> noted(const ActionKey& key, std::optional<ActionResult> result) {
    (result ? hits : misses).push_back(key.kind() + ": " + key.subject());
    return result;
  }

  ActionResult with_files(const Paths& outputs, ActionResult result) {
    for (const auto& [name, path] : outputs) {
      const std::string content = read_file(path);
      result.files[name] = {sha256(content), content.size(), false};
      blobs_[sha256(content)] = content;
    }
    return result;
  }

  std::mutex mutex_;  // one over all calls
  std::map<Digest, ActionResult> results_;
  std::map<Digest, Manifest> manifests_;
  FileDigests digests_{std::filesystem::path()};
  FolderNames names_;
  DirectiveReader directives_;
  std::map<Digest, std::string> blobs_;
};

}  // namespace sagebuild
