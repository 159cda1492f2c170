#include "cache/local_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

fs::path spread(const fs::path& root, std::string_view folder, const Digest& digest) {
  const std::string hex = digest.hex();
  return root / folder / hex.substr(0, 2) / hex;
}

// mtime = now. A read-only folder keeps its old times, which costs it nothing but its order of
// eviction.
void mark_used(const fs::path& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

// For those who may read it.
void make_executable(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0)
    ::chmod(path.c_str(), status.st_mode | (status.st_mode & 0444) >> 2);
}

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Null if it is absent or may not be read.
Stream open_to_read(const fs::path& path) { return {std::fopen(path.c_str(), "rbe"), std::fclose}; }

// As the public one, from an open file.
bool copy_checked(std::FILE& from, const ResultFile& expected, const fs::path& to) {
  AtomicFile out(to);
  Sha256 hasher;
  std::vector<char> buffer(1 << 18);
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), &from)) {
    const std::string_view bytes(buffer.data(), count);
    hasher.update(bytes);
    out.write(bytes);
  }
  if (std::ferror(&from) != 0 || hasher.finish() != expected.digest) return false;
  if (expected.executable) make_executable(out.temporary());
  out.commit();
  return true;
}

}  // namespace

fs::path LocalStore::entry_path(const Digest& key) const { return spread(root_, "ac", key); }
fs::path LocalStore::blob_path(const Digest& digest) const { return spread(root_, "cas", digest); }

std::optional<std::string> LocalStore::entry(const Digest& key) {
  const fs::path path = entry_path(key);
  std::optional<std::string> text;
  try {
    text = read_file_if_exists(path);
  } catch (const Error&) {
    return std::nullopt;  // unreadable: no business of a build
  }
  if (!text) return std::nullopt;
  std::optional<std::string> body = unsealed(*text);
  if (!body) {
    remove_entry(key);
    return std::nullopt;
  }
  mark_used(path);
  return body;
}

void LocalStore::put_entry(const Digest& key, std::string_view body) {
  write_file(entry_path(key), sealed(body));
}

void LocalStore::remove_entry(const Digest& key) {
  ++damaged_;
  remove_quietly(entry_path(key));
}

bool LocalStore::has_blob(const ResultFile& file) {
  const fs::path path = blob_path(file.digest);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  if (static_cast<std::uint64_t>(status.st_size) != file.size) {
    ++damaged_;
    remove_quietly(path);
    return false;
  }
  mark_used(path);
  return true;
}

bool LocalStore::put_blob(const fs::path& file, const ResultFile& described) {
  if (has_blob(described)) return true;
  // In the store no file is executable: one content, one file.
  return copy_checked(file, {described.digest, described.size, false}, blob_path(described.digest));
}

bool LocalStore::copy_blob(const ResultFile& file, const fs::path& destination) {
  if (!has_blob(file)) return false;
  const Stream in = open_to_read(blob_path(file.digest));
  if (!in) return false;  // evicted by another process since: no damage
  if (copy_checked(*in, file, destination)) return true;
  ++damaged_;
  remove_quietly(blob_path(file.digest));
  return false;
}

ResultFile result_file(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
                {errno_text(errno)});
  }
  return {sha256_file(path), static_cast<std::uint64_t>(status.st_size),
          (status.st_mode & S_IXUSR) != 0};
}

bool copy_checked(const fs::path& from, const ResultFile& expected, const fs::path& to) {
  const Stream in = open_to_read(from);
  return in && copy_checked(*in, expected, to);
}

}  // namespace sagebuild
