#include "cache/file_digests.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "cache/code_text.hpp"
#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

using namespace std::chrono_literals;

// Above this many, only those that the run used are kept. A build reads some 2,000 headers.
constexpr std::size_t kMostKnown = 50000;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t since_1970(FileDigests::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// The memory is written and read by this machine alone, so numbers go as they lie in memory.
// To be raised with each change of Record or of code_text
constexpr std::string_view kLayout = "files 3\n";
struct Record {
  std::array<std::uint64_t, 3> file;
  std::array<std::int64_t, 2> times;
  std::array<std::uint8_t, 32> bytes, code;
  std::uint64_t flags;
};
static_assert(sizeof(Record) == 112);
constexpr std::uint64_t kAsCode = 1, kMayEmbed = 2;

// The names in a folder, without what Python makes when it only reads.
FileContent folder_content(const std::filesystem::path& path) {
  std::set<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    names.insert(entry->path().filename().string());
  if (error)
    throw Error(ErrorKind::failed, fmt::format("cannot list '{}'", path.string()),
                {error.message()});
  names.erase("__pycache__");
  Sha256 hasher;
  hasher.field("sagebuild folder");
  for (const std::string& name : names) hasher.field(name);
  const Digest digest = hasher.finish();
  return {digest, digest};
}

FileContent read_content(const std::filesystem::path& path, bool as_code) {
  if (!as_code) {
    const Digest bytes = sha256_file(path);
    return {bytes, bytes};
  }
  const std::string text = read_file(path);
  return {sha256(text), code_digest(text), may_embed(text)};
}

}  // namespace

std::int64_t latest_change(const struct stat& status) {
  const std::int64_t latest = std::max(nanoseconds(status.st_mtim), nanoseconds(status.st_ctim));
  // Both without a fraction: the file system counts in seconds (or in two, as FAT does).
  const bool coarse = status.st_mtim.tv_nsec == 0 && status.st_ctim.tv_nsec == 0;
  return latest + (coarse ? std::chrono::nanoseconds(2s).count() : 0);
}

FileDigests::FileDigests(std::filesystem::path memory, std::function<Clock::time_point()> now)
    : memory_(std::move(memory)), now_(std::move(now)) {
  load();
}

FileContent FileDigests::content(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
                {errno_text(errno)});
  }
  const Identity identity = {status.st_dev, status.st_ino,
                             static_cast<std::uint64_t>(status.st_size),
                             nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
  const bool is_folder = S_ISDIR(status.st_mode);
  const bool as_code = !is_folder && is_code(path);
  if (const auto known = known_content(identity, as_code)) return *known;
  const auto before = now_();
  const FileContent content = is_folder ? folder_content(path) : read_content(path, as_code);
  const std::lock_guard lock(mutex_);
  ++hashed_;
  if (latest_change(status) < since_1970(before - kStampLag)) {
    known_[identity] = {content, as_code, true};
    changed_ = true;
  }
  return content;
}

std::optional<FileContent> FileDigests::known_content(const Identity& identity, bool as_code) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(identity);
  if (found == known_.end() || (as_code && !found->second.as_code)) return std::nullopt;
  found->second.used = true;
  const FileContent& content = found->second.content;
  return as_code ? content : FileContent{content.bytes, content.bytes};
}

std::size_t FileDigests::hashed() const {
  const std::lock_guard lock(mutex_);
  return hashed_;
}

std::optional<FileContent> FileDigests::of_existing(const std::filesystem::path& path) {
  try {
    return content(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void FileDigests::load() {
  std::optional<std::string> body;
  try {
    if (const auto text = read_file_if_exists(memory_)) body = unsealed(*text);
  } catch (const Error&) {
    return;
  }
  std::string_view records = body ? *body : std::string_view();
  if (!take_prefix(records, kLayout) || records.size() % sizeof(Record) != 0) return;
  for (; !records.empty(); records.remove_prefix(sizeof(Record))) {
    Record record;
    std::memcpy(&record, records.data(), sizeof(Record));
    const FileContent content = {{record.bytes}, {record.code}, (record.flags & kMayEmbed) != 0};
    known_.emplace(
        Identity{record.file[0], record.file[1], record.file[2], record.times[0], record.times[1]},
        Known{content, (record.flags & kAsCode) != 0});
  }
}

// Another run may have saved meanwhile; what it learned is then lost, which costs a few hashes.
void FileDigests::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_) return;
  const bool too_many = known_.size() > kMostKnown;
  std::string body(kLayout);
  for (const auto& [identity, known] : known_) {
    if (too_many && !known.used) continue;
    const auto& [device, inode, size, mtime, ctime] = identity;
    const auto& [bytes, code, may_embed] = known.content;
    const std::uint64_t flags = (known.as_code ? kAsCode : 0) | (may_embed ? kMayEmbed : 0);
    const Record record = {{device, inode, size}, {mtime, ctime}, bytes.bytes, code.bytes, flags};
    body.append(reinterpret_cast<const char*>(&record), sizeof(Record));
  }
  write_file(memory_, sealed(body));
  changed_ = false;
}

}  // namespace sagebuild
