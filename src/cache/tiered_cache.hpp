#pragma once
// The ActionCache that builds use: joins the folder, direct mode, the log of keys and the remote.
// Each part is thread-safe by itself, so that threads hash, copy and look up beside each other.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "cache/direct_mode.hpp"
#include "cache/file_digests.hpp"
#include "cache/key_log.hpp"
#include "cache/local_store.hpp"
#include "cache/remote_store.hpp"
#include "sagebuild/cache/cache.hpp"

namespace sagebuild {

class TieredCache : public ActionCache {
 public:
  TieredCache(CacheSettings settings, Reporter& report);

  std::optional<ActionResult> lookup(const ActionKey& key) override;
  bool materialize(const ActionResult& result, const Paths& destinations) override;
  ActionResult store(const ActionKey& key, const Paths& outputs, ActionResult result) override;
  std::optional<ActionResult> lookup_by_files(const ActionKey& key,
                                              const SearchScope& scope) override;
  ActionResult store_by_files(const ActionKey& key, const SearchScope& scope,
                              const std::vector<std::filesystem::path>& files_read,
                              Clock::time_point started, const Paths& outputs,
                              ActionResult result) override;
  Digest file_digest(const std::filesystem::path& path) override;
  void flush() override;
  CacheCounters counters() const override;

 private:
  struct Found {
    std::optional<ActionResult> result;
    bool is_remote = false;
  };
  std::optional<ActionResult> counted(const ActionKey& key, Found found);
  std::optional<std::string> reason_of_miss(const ActionKey& key) const;
  Found find_result(const Digest& key);
  std::optional<ActionResult> local_result(const Digest& key);
  std::optional<ActionResult> remote_result(const Digest& key);
  std::optional<Digest> match(const Digest& key, const std::optional<std::string>& body,
                              const SearchScope& scope);
  bool fetch(const ResultFile& file, const std::filesystem::path& destination);
  bool keep(const Digest& key, const Paths& outputs, const ActionResult& result);
  void keep_manifest(const Digest& key, FileSet set);
  std::optional<std::string> remote_body(const Digest& key);
  // Runs `write`; if the folder cannot be written, says so once and writes no more in this run.
  template <class Function>
  bool writing(Function write);
  void pass_on_complaints();

  CacheSettings settings_;
  Reporter& report_;
  LocalStore store_;
  KeyLog keys_;
  FileDigests digests_;
  FolderNames names_;
  DirectiveReader directives_;
  std::unique_ptr<RemoteStore> remote_;
  std::atomic<bool> writable_ = true;
  std::mutex manifests_;                   // held while one is read and written again
  mutable std::mutex mutex_;               // guards what follows
  std::map<Digest, std::string> reasons_;  // why a direct lookup missed
  // As fetched, to be merged when one is stored
  std::map<Digest, Manifest> remote_manifests_;
  CacheCounters counters_;
};

}  // namespace sagebuild
