#include "archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

struct ArchiveFree {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

constexpr std::size_t kBlockSize = 1U << 16U;
// No source file is near it; a member that claims more is an attack or not a source.
constexpr std::size_t kLargestMember = 1U << 30U;

std::string reason_of(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "libarchive gives no reason" : text;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorKind::usage, fmt::format("'{}' is not a source archive", path.string()),
              {reason}, "give a .tar.gz, .tar.xz or .zip, a folder, or a git URL");
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorKind::failed, fmt::format("cannot unpack '{}'", path.string()), {reason},
              "the archive is damaged or incomplete: get it again");
}

std::string content_of(archive* handle, const std::filesystem::path& path) {
  std::string content;
  std::string block(kBlockSize, '\0');
  while (true) {
    const la_ssize_t count = archive_read_data(handle, block.data(), block.size());
    if (count < 0) fail(path, reason_of(handle));
    if (count == 0) return content;
    content.append(block, 0, static_cast<std::size_t>(count));
    if (content.size() > kLargestMember) fail(path, "a member is larger than 1 GB");
    throw_if_interrupted();
  }
}

// In the C locale libarchive has no plain form of a non-ASCII name that an archive gives in UTF-8.
std::string name_of(archive_entry* entry, const std::filesystem::path& path) {
  const char* name = archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = archive_entry_pathname(entry);
  if (name == nullptr) fail(path, "a member has no readable name");
  std::string_view text = name;
  while (take_prefix(text, "./")) {
  }
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

void unpack_member(archive* handle, archive_entry* entry, const std::filesystem::path& path,
                   TreeWriter& tree) {
  const std::string name = name_of(entry, path);
  const char* twin = archive_entry_hardlink_utf8(entry);
  if (twin == nullptr) twin = archive_entry_hardlink(entry);
  if (twin != nullptr) return tree.same_as(name, twin);
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return tree.file(name, content_of(handle, path), (archive_entry_perm(entry) & S_IXUSR) != 0);
    case AE_IFDIR:
      if (!name.empty() && name != ".") tree.folder(name);
      return;
    case AE_IFLNK: {
      const char* target = archive_entry_symlink_utf8(entry);
      if (target == nullptr) target = archive_entry_symlink(entry);
      return tree.link(name, target == nullptr ? "" : target);
    }
    default:
      fail(path, fmt::format("its member '{}' is a device, pipe or socket", name));
  }
}

using Archive = std::unique_ptr<archive, ArchiveFree>;

Archive open_archive(const std::filesystem::path& path) {
  Archive handle(archive_read_new());
  // Named one by one: "all" would also start programs (lrzip, lzop) for formats that the library
  // cannot read by itself.
  archive_read_support_filter_gzip(handle.get());
  archive_read_support_filter_bzip2(handle.get());
  archive_read_support_filter_xz(handle.get());
  archive_read_support_filter_zstd(handle.get());
  archive_read_support_format_tar(handle.get());
  archive_read_support_format_zip(handle.get());
  if (archive_read_open_filename(handle.get(), path.c_str(), kBlockSize) != ARCHIVE_OK) {
    // What no format claims is refused here, what looks like one and is none at the first member.
    const std::string reason = reason_of(handle.get());
    if (reason.starts_with("Unrecognized archive format")) refuse(path, reason);
    fail(path, reason);
  }
  return handle;
}

}  // namespace

void require_archive(const std::filesystem::path& path) {
  const Archive handle = open_archive(path);
  archive_entry* entry = nullptr;
  if (archive_read_next_header(handle.get(), &entry) < ARCHIVE_WARN)
    refuse(path, reason_of(handle.get()));
}

void unpack_archive(const std::filesystem::path& path, TreeWriter& tree) {
  const Archive handle = open_archive(path);
  std::size_t members = 0;
  while (true) {
    throw_if_interrupted();
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(handle.get(), &entry);
    if (code == ARCHIVE_EOF) break;
    if (code < ARCHIVE_WARN && members == 0) refuse(path, reason_of(handle.get()));
    if (code < ARCHIVE_WARN) fail(path, reason_of(handle.get()));
    ++members;
    unpack_member(handle.get(), entry, path, tree);
  }
  if (members == 0) fail(path, "it is empty");
}

}  // namespace sagebuild
