#include "sagebuild/cache/maintenance.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "cache/direct_mode.hpp"
#include "cache/entry.hpp"
#include "cache/key_log.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

using namespace std::chrono_literals;

// What the cache makes in its folder.
constexpr std::array kFolders = {"ac", "cas", "keys", "history", "digests"};

constexpr auto kOrphanAge = 1h;

// Names that the cache gives: digests, whole or their beginning, and while they are written
// ".DIGEST.XXXXXX". What has another name is somebody else's, and is neither counted nor removed.
bool is_name_of_ours(std::string_view name) {
  constexpr std::size_t kSuffix = 7;
  if (take_prefix(name, ".")) {
    if (name.size() <= kSuffix || name[name.size() - kSuffix] != '.') return false;
    name.remove_suffix(kSuffix);
  }
  return (name.size() == 64 || name.size() == 16) &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Where a folder is a link, somebody wanted it to be elsewhere, but who knows what else lies there:
// nothing is removed through it. (A link above the folder is how one moves the cache to another
// disk.)
void require_no_links(const fs::path& root) {
  std::vector<fs::path> folders = {root};
  for (const char* folder : kFolders) folders.push_back(root / folder);
  for (const fs::path& folder : folders) {
    std::error_code error;
    const fs::path target = fs::read_symlink(folder, error);
    if (error) continue;
    throw Error(
        ErrorKind::failed, fmt::format("cannot clean the cache: '{}' is a link", folder.string()),
        {fmt::format("it leads to '{}', and nothing is removed through a link", target.string())},
        "remove the link; to keep the cache elsewhere, name that place with SAGEBUILD_CACHE_DIR");
  }
}

struct Stored {
  fs::path path;
  std::string folder;  // one of kFolders
  std::uint64_t size = 0;
  std::chrono::nanoseconds used{};
  // AtomicFile's temporary names start with a dot.
  bool is_temporary() const { return path.filename().native().starts_with('.'); }
};

// Files may go while we look: other processes clean up too.
std::vector<Stored> stored_files(const fs::path& root) {
  std::vector<Stored> files;
  for (const char* folder : kFolders) {
    // An error where that cannot be told: nothing is not what is there
    if (!is_folder(root / folder)) continue;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(root / folder, error), end; !error && entry != end;
         entry.increment(error)) {
      struct stat status {};
      if (!is_name_of_ours(entry->path().filename().native())) continue;
      if (::lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      files.push_back({entry->path(), folder, static_cast<std::uint64_t>(status.st_size),
                       std::chrono::seconds(status.st_mtim.tv_sec) +
                           std::chrono::nanoseconds(status.st_mtim.tv_nsec)});
    }
  }
  return files;
}

bool removed(const fs::path& path) {
  std::error_code error;
  return fs::remove(path, error) && !error;
}

// A clock that went backwards makes young files old or leaves them in the future; both only cost a
// running write.
bool is_orphan(const Stored& file, std::chrono::nanoseconds now) {
  return file.is_temporary() && (now - file.used > kOrphanAge || file.used - now > kOrphanAge);
}

std::optional<std::string> body_of(const fs::path& path) {
  try {
    return unsealed(read_file(path));
  } catch (const Error&) {
    return std::nullopt;
  }
}

struct Checked {
  bool good = false;
  bool complete = true;
};

Checked check_entry(const fs::path& root, const fs::path& path) {
  const auto body = body_of(path);
  if (!body) return {};
  const Digest key = digest_from_hex(path.filename().string());
  if (Manifest::from_body(key, *body)) return {true, true};
  const auto result = result_from_body(key, *body);
  if (!result) return {};
  const bool complete = std::ranges::all_of(result->files, [&](const auto& file) {
    const std::string hex = file.second.digest.hex();
    std::error_code error;
    return fs::file_size(root / "cas" / hex.substr(0, 2) / hex, error) == file.second.size &&
           !error;
  });
  return {true, complete};
}

Checked check(const fs::path& root, const Stored& file) {
  try {
    if (file.folder == "ac") return check_entry(root, file.path);
    if (file.folder == "cas") return {sha256_file(file.path).hex() == file.path.filename(), true};
    return {body_of(file.path).has_value(), true};
  } catch (const Error&) {  // the name is no digest, or the file cannot be read
    return {};
  }
}

}  // namespace

CacheStat cache_stat(const fs::path& folder) {
  CacheStat stat;
  for (const Stored& file : stored_files(folder)) {
    const bool is_entry = file.folder == "ac", is_blob = file.folder == "cas";
    if (file.is_temporary() || (!is_entry && !is_blob)) {
      stat.other_bytes += file.size;
      continue;
    }
    ++(is_entry ? stat.entries : stat.blobs);
    (is_entry ? stat.entry_bytes : stat.blob_bytes) += file.size;
  }
  return stat;
}

CacheCleaning cache_gc(const fs::path& folder, std::uint64_t limit) {
  require_no_links(folder);
  CacheCleaning cleaning;
  std::vector<Stored> files = stored_files(folder);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  for (const Stored& file : files) cleaning.remaining_bytes += file.size;
  const auto remove = [&](const Stored& file) {
    if (!removed(file.path)) return;
    ++cleaning.removed_files;
    cleaning.removed_bytes += file.size;
    cleaning.remaining_bytes -= file.size;
  };
  for (const Stored& file : files) {
    if (!is_orphan(file, now)) continue;
    remove(file);
    ++cleaning.orphans;
  }
  std::erase_if(files, [](const Stored& file) { return file.is_temporary(); });
  std::ranges::sort(files, {}, &Stored::used);
  for (const Stored& file : files) {
    if (cleaning.remaining_bytes <= limit) break;
    remove(file);
  }
  return cleaning;
}

CacheCleaning cache_clear(const fs::path& folder) {
  require_no_links(folder);
  CacheCleaning cleaning;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  for (const Stored& file : stored_files(folder)) {
    const bool is_running_write = file.is_temporary() && !is_orphan(file, now);
    if (is_running_write || !removed(file.path)) {
      cleaning.remaining_bytes += file.size;
      continue;
    }
    ++cleaning.removed_files;
    cleaning.removed_bytes += file.size;
  }
  return cleaning;
}

CacheVerification cache_verify(const fs::path& folder) {
  require_no_links(folder);
  CacheVerification verification;
  for (const Stored& file : stored_files(folder)) {
    if (file.is_temporary()) continue;
    ++verification.checked;
    const Checked checked = check(folder, file);
    if (!checked.complete) ++verification.incomplete;
    if (checked.good || !is_there(file.path)) continue;  // evicted meanwhile
    verification.damaged.push_back(file.path.lexically_relative(folder).string());
    removed(file.path);
  }
  std::ranges::sort(verification.damaged);
  return verification;
}

std::vector<KeyDifference> cache_explain(const fs::path& folder, std::string_view pattern) {
  std::vector<KeyDifference> differences;
  for (const auto& keys : KeyLog(folder).all()) {
    const KeyDescription& newest = keys.front();
    if (newest.subject.find(pattern) == std::string::npos) continue;
    const KeyDescription* before = nearest_earlier(keys, newest);
    if (before != nullptr)
      differences.push_back({newest.kind, newest.subject, difference(*before, newest)});
  }
  return differences;
}

}  // namespace sagebuild
