#include "cache/tiered_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/cache/maintenance.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

// Device and inode numbers mean something on one machine only, and the folder may be shared.
fs::path digests_file(const fs::path& root) {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return root / "digests" / sha256(name.data()).hex().substr(0, 16);
}

ActionResult with_files(ActionResult result, const ActionCache::Paths& outputs) {
  for (const auto& [name, path] : outputs) result.files[name] = result_file(path);
  return result;
}

class NoCache : public ActionCache {
 public:
  std::optional<ActionResult> lookup(const ActionKey&) override { return std::nullopt; }
  bool materialize(const ActionResult&, const Paths& destinations) override {
    return destinations.empty();
  }
  ActionResult store(const ActionKey&, const Paths& outputs, ActionResult result) override {
    return with_files(std::move(result), outputs);
  }
  std::optional<ActionResult> lookup_by_files(const ActionKey&, const SearchScope&) override {
    return std::nullopt;
  }
  ActionResult store_by_files(const ActionKey&, const SearchScope&, const std::vector<fs::path>&,
                              Clock::time_point, const Paths& outputs,
                              ActionResult result) override {
    return with_files(std::move(result), outputs);
  }
  Digest file_digest(const fs::path& path) override { return digests_.of(path); }
  void flush() override {}
  CacheCounters counters() const override { return {}; }

 private:
  FileDigests digests_{fs::path()};
};

}  // namespace

TieredCache::TieredCache(CacheSettings settings, Reporter& report)
    : settings_(std::move(settings)),
      report_(report),
      store_(settings_.folder),
      keys_(settings_.folder),
      digests_(digests_file(settings_.folder)) {
  if (settings_.remote) remote_ = std::make_unique<RemoteStore>(std::move(*settings_.remote));
}

template <class Function>
bool TieredCache::writing(Function write) {
  if (!writable_) return false;
  try {
    write();
    return true;
  } catch (const Error& error) {
    if (writable_.exchange(false))
      report_.warning(
          fmt::format("the cache in '{}' cannot be written, so nothing is stored in this run: {}{}",
                      settings_.folder.string(), error.message,
                      error.causes.empty() ? "" : ": " + error.causes.front()));
    return false;
  }
}

void TieredCache::pass_on_complaints() {
  if (!remote_) return;
  for (const std::string& text : remote_->take_complaints()) report_.warning(text);
}

std::optional<ActionResult> TieredCache::counted(const ActionKey& key, Found found) {
  pass_on_complaints();
  {
    const std::lock_guard lock(mutex_);
    ++(found.result ? counters_.hits : counters_.misses);
    if (found.is_remote) ++counters_.remote_hits;
    if (found.result) counters_.cpu_seconds_saved += found.result->cpu_seconds;
  }
  const auto reason = !found.result && settings_.explain ? reason_of_miss(key) : std::nullopt;
  if (reason) report_.note(fmt::format("{} {}: {}", key.kind(), key.subject(), *reason));
  return std::move(found.result);
}

std::optional<ActionResult> TieredCache::lookup(const ActionKey& key) {
  Found found = find_result(key.digest());
  // So that the next miss of this subject can be explained here, too.
  if (found.is_remote) writing([&] { keys_.put(key); });
  return counted(key, std::move(found));
}

TieredCache::Found TieredCache::find_result(const Digest& key) {
  if (auto result = local_result(key)) return {std::move(result), false};
  auto result = remote_result(key);
  const bool is_remote = result.has_value();
  return {std::move(result), is_remote};
}

std::optional<ActionResult> TieredCache::local_result(const Digest& key) {
  const auto body = store_.entry(key);
  if (!body) return std::nullopt;
  auto result = result_from_body(key, *body);
  if (!result) {
    store_.remove_entry(key);
    return std::nullopt;
  }
  bool complete = true;
  for (const auto& [name, file] : result->files) complete = store_.has_blob(file) && complete;
  // With a remote, what is missing here may be there; materialize will see.
  return complete || remote_ ? result : std::nullopt;
}

std::optional<std::string> TieredCache::remote_body(const Digest& key) {
  const auto text = remote_ ? remote_->entry(key) : std::nullopt;
  return text ? unsealed(*text) : std::nullopt;
}

std::optional<ActionResult> TieredCache::remote_result(const Digest& key) {
  const auto body = remote_body(key);
  auto result = body ? result_from_body(key, *body) : std::nullopt;
  if (!result) return std::nullopt;
  writing([&] { store_.put_entry(key, *body); });
  return result;
}

bool TieredCache::materialize(const ActionResult& result, const Paths& destinations) {
  const bool all = std::ranges::all_of(destinations, [&](const auto& wanted) {
    const auto file = result.files.find(wanted.first);
    return file != result.files.end() && fetch(file->second, wanted.second);
  });
  pass_on_complaints();
  if (all) return true;
  const std::lock_guard lock(mutex_);
  if (counters_.hits > 0) {  // so it was no hit after all
    --counters_.hits;
    ++counters_.misses;
    counters_.cpu_seconds_saved -= result.cpu_seconds;
  }
  return false;
}

bool TieredCache::fetch(const ResultFile& file, const fs::path& destination) {
  if (store_.copy_blob(file, destination)) return true;
  if (!remote_) return false;
  // Beside its place, so that it can be had when the folder cannot be written.
  const TempDir scratch(".sagebuild", destination.parent_path());
  const fs::path fetched = scratch.path() / "blob";
  if (!remote_->fetch(file, fetched)) return false;
  writing([&] { store_.put_blob(fetched, file); });
  return copy_checked(fetched, file, destination);
}

ActionResult TieredCache::store(const ActionKey& key, const Paths& outputs, ActionResult result) {
  result = with_files(std::move(result), outputs);
  if (keep(key.digest(), outputs, result)) writing([&] { keys_.put(key); });
  pass_on_complaints();
  return result;
}

bool TieredCache::keep(const Digest& key, const Paths& outputs, const ActionResult& result) {
  const std::string body = result_body(key, result);
  bool unchanged = true;
  const bool written = writing([&] {
    for (const auto& [name, path] : outputs)
      unchanged = unchanged && store_.put_blob(path, result.files.at(name));
    if (unchanged) store_.put_entry(key, body);
  });
  if (!written || !unchanged) return false;
  {
    const std::lock_guard lock(mutex_);
    ++counters_.stored;
  }
  if (!remote_) return true;
  std::vector<RemoteStore::Blob> blobs;
  for (const auto& [name, file] : result.files)
    blobs.push_back({file, store_.blob_path(file.digest)});
  remote_->upload(key, wire_form(result, sealed(body)), std::move(blobs));
  return true;
}

std::optional<ActionResult> TieredCache::lookup_by_files(const ActionKey& key,
                                                         const SearchScope& scope) {
  const Digest digest = key.digest();
  auto found = match(digest, store_.entry(digest), scope);
  if (!found) {
    const auto body = remote_body(digest);
    if (auto manifest = body ? Manifest::from_body(digest, *body) : std::nullopt) {
      {
        const std::lock_guard lock(mutex_);
        remote_manifests_[digest] = std::move(*manifest);
      }
      found = match(digest, body, scope);
    }
  }
  return counted(key, found ? find_result(*found) : Found{});
}

std::optional<Digest> TieredCache::match(const Digest& key, const std::optional<std::string>& body,
                                         const SearchScope& scope) {
  if (!body) return std::nullopt;
  const auto manifest = Manifest::from_body(key, *body);
  if (!manifest) return std::nullopt;
  std::string reason;
  const auto found = matching_result(*manifest, scope, digests_, names_, reason);
  if (found) return found;
  const std::lock_guard lock(mutex_);
  reasons_[key] = reason;
  return std::nullopt;
}

ActionResult TieredCache::store_by_files(const ActionKey& key, const SearchScope& scope,
                                         const std::vector<fs::path>& files_read,
                                         Clock::time_point started, const Paths& outputs,
                                         ActionResult result) {
  result = with_files(std::move(result), outputs);
  const Digest manifest_key = key.digest();
  std::string reason;
  auto set =
      file_set(manifest_key, scope, files_read, started, digests_, names_, directives_, reason);
  if (!set) {
    report_.detail(fmt::format("not stored: {}", reason));
    return result;
  }
  if (!keep(set->result, outputs, result)) return result;
  writing([&] { keys_.put(key); });
  keep_manifest(manifest_key, std::move(*set));
  pass_on_complaints();
  return result;
}

// Two processes that do this at once: one set is lost, and comes back with its next miss.
void TieredCache::keep_manifest(const Digest& key, FileSet set) {
  const std::lock_guard one_at_a_time(manifests_);
  const auto body = store_.entry(key);
  Manifest manifest = (body ? Manifest::from_body(key, *body) : std::nullopt).value_or(Manifest{});
  {
    const std::lock_guard lock(mutex_);
    if (auto remote = remote_manifests_.extract(key))
      for (FileSet& other : remote.mapped().sets) manifest.add(std::move(other));
  }
  manifest.add(std::move(set));
  const std::string merged = manifest.body(key);
  if (writing([&] { store_.put_entry(key, merged); }) && remote_)
    remote_->upload(key, wire_form({}, sealed(merged)), {});
}

Digest TieredCache::file_digest(const fs::path& path) { return digests_.of(path); }

std::optional<std::string> TieredCache::reason_of_miss(const ActionKey& key) const {
  const KeyDescription now = described(key);
  {
    const std::lock_guard lock(mutex_);
    if (const auto reason = reasons_.find(key.digest()); reason != reasons_.end())
      return reason->second;
  }
  const auto earlier = keys_.of_subject(key.kind(), key.subject());
  if (std::ranges::find(earlier, now.key, &KeyDescription::key) != earlier.end()) {
    return "was stored before, but is evicted or damaged";
  }
  const KeyDescription* nearest_one = nearest_earlier(earlier, now);
  if (nearest_one == nullptr) return std::nullopt;
  return difference(*nearest_one, now);
}

void TieredCache::flush() {
  if (remote_) remote_->finish();
  pass_on_complaints();
  writing([&] { digests_.save(); });
  const CacheCounters now = counters();
  // A tenth of room, so that not every run has to clean.
  if (now.stored + now.remote_hits == 0) return;
  try {
    if (cache_stat(settings_.folder).total_bytes() > settings_.limit)
      cache_gc(settings_.folder, settings_.limit / 10 * 9);
  } catch (const Error& error) {  // the build is done, and nothing is lost but room
    report_.warning(fmt::format("the cache is not cleaned, and may be larger than its limit: {}",
                                error.message));
  }
}

CacheCounters TieredCache::counters() const {
  const std::lock_guard lock(mutex_);
  CacheCounters counters = counters_;
  counters.corrupt = store_.damaged();
  return counters;
}

std::unique_ptr<ActionCache> open_cache(CacheSettings settings, Reporter& report) {
  return std::make_unique<TieredCache>(std::move(settings), report);
}

std::unique_ptr<ActionCache> no_cache() { return std::make_unique<NoCache>(); }

}  // namespace sagebuild
