#include "wheel/zip_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/file_bytes.hpp"

namespace sagebuild {
namespace {

// APPNOTE.TXT 6.3.10: 4.3.7 local header, 4.3.9 data descriptor, 4.3.12 directory, 4.3.14 to 4.3.16
// end records, 4.5.3 sizes of 64 bits.
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;
constexpr std::size_t kEnd64Size = 56, kLocatorSize = 20;
constexpr std::uint32_t kIn64 = 0xffffffff;
constexpr unsigned kEncrypted = 0x1, kDescriptor = 0x8, kUtf8 = 0x800;
constexpr unsigned kStored = 0, kDeflated = 8;
constexpr std::uint32_t kFileType = 0170000, kSymlink = 0120000;
constexpr unsigned kUnix = 3;

constexpr std::uint64_t kMostEntries = 200'000;
constexpr std::uint64_t kLongestDirectory = std::uint64_t{64} << 20;
constexpr std::uint64_t kMostUnpacked = std::uint64_t{32} << 30;
constexpr std::uint64_t kFreeUnpacked = std::uint64_t{1} << 30;
constexpr std::uint64_t kMostRatio = 100;

struct Entry {
  std::string_view name;
  unsigned flags = 0;
  unsigned method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0;
  std::uint64_t unpacked = 0;
  std::uint64_t offset = 0;  // of its local header
  std::uint32_t mode = 0;
};

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t count = 0;
  std::uint64_t end = 0;  // where the end records begin
};

class Layout {
 public:
  explicit Layout(const std::filesystem::path& path) : file_(path) {}

  std::vector<std::string> run() {
    const Directory directory = find_directory();
    text_ = file_.read(directory.offset, static_cast<std::size_t>(directory.size));
    read_directory(directory);
    check_names();
    check_local_headers(directory);
    return std::move(faults_);
  }

 private:
  [[noreturn]] void fail(std::string reason) const {
    throw Error(ErrorKind::failed, fmt::format("cannot read the wheel '{}'", file_.name()),
                {std::move(reason)});
  }
  void fault(std::string text) { faults_.push_back(std::move(text)); }

  // The end record stands at the end, before a comment of up to 65535 bytes.
  Directory find_directory() {
    if (file_.size() < kEndSize) fail("it is no zip archive: it is too short");
    const std::uint64_t tail = std::min<std::uint64_t>(file_.size(), kEndSize + 0xffff);
    const std::uint64_t base = file_.size() - tail;
    const std::string bytes = file_.read(base, static_cast<std::size_t>(tail));
    const auto magic = std::string_view("PK\x05\x06", 4);
    const auto found = bytes.rfind(magic, bytes.size() - kEndSize);
    if (found == std::string::npos)
      fail("it is no zip archive, or its end is missing: there is no end record");
    const std::string_view end = std::string_view(bytes).substr(found);
    const std::size_t comment = value_at<std::uint16_t>(end, 20);
    if (kEndSize + comment > end.size()) fail("it ends within its end record");
    if (kEndSize + comment < end.size())
      fault(fmt::format("{} bytes follow the end of the archive", end.size() - kEndSize - comment));
    if (comment > 0) fault("the archive has a comment, which can hide another archive");
    if (bytes.rfind(magic, found == 0 ? 0 : found - 1) < found)
      fault("the archive has more than one end record");
    Directory directory{value_at<std::uint32_t>(end, 16), value_at<std::uint32_t>(end, 12),
                        value_at<std::uint16_t>(end, 10), base + found};
    if (value_at<std::uint16_t>(end, 4) != 0 || value_at<std::uint16_t>(end, 6) != 0 ||
        value_at<std::uint16_t>(end, 8) != value_at<std::uint16_t>(end, 10))
      fail("it is one of several parts of an archive");
    if (directory.end >= kLocatorSize) read_end64(directory);
    if (directory.count > kMostEntries)
      fail(fmt::format("it says {} entries; more than {} are not read", directory.count,
                       kMostEntries));
    if (directory.size > kLongestDirectory)
      fail(fmt::format("its directory is of {}; more than {} is not read",
                       human_size(directory.size), human_size(kLongestDirectory)));
    if (directory.offset > directory.end || directory.size > directory.end - directory.offset)
      fail("its directory lies outside of it");
    if (directory.offset + directory.size != directory.end)
      fault(fmt::format("{} bytes stand between the directory and the end record",
                        directory.end - directory.offset - directory.size));
    return directory;
  }

  void read_end64(Directory& directory) {
    const std::string locator = file_.read(directory.end - kLocatorSize, kLocatorSize);
    if (value_at<std::uint32_t>(locator, 0) != kLocator) return;
    const auto at = value_at<std::uint64_t>(locator, 8);
    if (at > file_.size() || kEnd64Size > file_.size() - at)
      fail("the place of its second end record is wrong");
    const std::string end = file_.read(at, kEnd64Size);
    if (value_at<std::uint32_t>(end, 0) != kEnd64)
      fail("the place of its second end record is wrong");
    const Directory wide{value_at<std::uint64_t>(end, 48), value_at<std::uint64_t>(end, 40),
                         value_at<std::uint64_t>(end, 32), at};
    if (at + 12 + value_at<std::uint64_t>(end, 4) != directory.end - kLocatorSize)
      fault("something stands between the two end records");
    const bool agree = (directory.count == 0xffff || directory.count == wide.count) &&
                       (directory.size == kIn64 || directory.size == wide.size) &&
                       (directory.offset == kIn64 || directory.offset == wide.offset);
    if (!agree) fault("the two end records disagree");
    directory = wide;
  }

  // Sizes of 64 bits stand in an extra field, those alone that did not fit.
  static bool read_wide(std::string_view extra, Entry& entry) {
    while (extra.size() >= 4) {
      const auto tag = value_at<std::uint16_t>(extra, 0);
      const std::size_t size = value_at<std::uint16_t>(extra, 2);
      if (size > extra.size() - 4) return false;
      std::string_view body = extra.substr(4, size);
      extra.remove_prefix(4 + size);
      if (tag != 1) continue;
      for (std::uint64_t* value : {&entry.unpacked, &entry.packed, &entry.offset}) {
        if (*value != kIn64) continue;
        if (body.size() < 8) return false;
        *value = value_at<std::uint64_t>(body, 0);
        body.remove_prefix(8);
      }
    }
    return extra.empty();
  }

  void read_directory(const Directory& directory) {
    std::string_view rest = text_;
    std::uint64_t unpacked = 0;
    while (rest.size() >= kCentralSize && value_at<std::uint32_t>(rest, 0) == kCentral) {
      const std::size_t name = value_at<std::uint16_t>(rest, 28);
      const std::size_t extra = value_at<std::uint16_t>(rest, 30);
      const std::size_t comment = value_at<std::uint16_t>(rest, 32);
      if (kCentralSize + name + extra + comment > rest.size()) break;
      Entry entry{
          rest.substr(kCentralSize, name),
          value_at<std::uint16_t>(rest, 8),
          value_at<std::uint16_t>(rest, 10),
          value_at<std::uint32_t>(rest, 16),
          value_at<std::uint32_t>(rest, 20),
          value_at<std::uint32_t>(rest, 24),
          value_at<std::uint32_t>(rest, 42),
          value_at<std::uint8_t>(rest, 5) == kUnix ? value_at<std::uint32_t>(rest, 38) >> 16U : 0};
      if (!read_wide(rest.substr(kCentralSize + name, extra), entry))
        fault(fmt::format("'{}' has a damaged extra field", entry.name));
      unpacked += std::min(entry.unpacked, kMostUnpacked);
      entries_.push_back(entry);
      if (entries_.size() > kMostEntries) fail("it has entries without end");
      rest.remove_prefix(kCentralSize + name + extra + comment);
    }
    if (!rest.empty() || entries_.size() != directory.count)
      fail(fmt::format("its directory is damaged: it says {} entries, and {} can be read",
                       directory.count, entries_.size()));
    if (unpacked > kMostUnpacked ||
        (unpacked > kFreeUnpacked && unpacked / kMostRatio > file_.size()))
      fail(fmt::format("it says that it unpacks to {}, and is {} itself", human_size(unpacked),
                       human_size(file_.size())));
  }

  void check_names() {
    std::set<std::string_view> names;
    std::set<std::string> folded;
    for (const Entry& entry : entries_) {
      const std::string_view name = entry.name;
      const auto parts = split(name, "/");
      const bool climbs =
          name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos ||
          name.find("//") != std::string_view::npos || name.find(':') == 1 ||
          std::ranges::any_of(parts, [](auto part) { return part == "." || part == ".."; });
      if (climbs) fault(fmt::format("'{}' would be unpacked outside its place", name));
      if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < ' '; }))
        fault(fmt::format("'{}' has control characters in its name", name));
      if (first_bad_utf8(name)) fault(fmt::format("the name '{}' is no UTF-8", name));
      if (!names.insert(name).second)
        fault(fmt::format("'{}' is in the archive twice", name));
      else if (!folded.insert(lower(name)).second)
        fault(fmt::format("'{}' differs from another name only in case", name));
      if ((entry.mode & kFileType) == kSymlink) fault(fmt::format("'{}' is a symbolic link", name));
      if ((entry.flags & kEncrypted) != 0) fault(fmt::format("'{}' is encrypted", name));
      if (entry.method != kStored && entry.method != kDeflated)
        fault(fmt::format("'{}' is compressed by method {}, which pip may not know", name,
                          entry.method));
      else if (entry.method == kStored && entry.packed != entry.unpacked)
        fault(fmt::format("'{}' is stored, and says two sizes", name));
    }
  }

  // Local headers in the order of the file: each begins where the one before ends.
  void check_local_headers(const Directory& directory) {
    std::vector<const Entry*> sorted;
    for (const Entry& entry : entries_) sorted.push_back(&entry);
    std::ranges::sort(sorted, {}, [](const Entry* entry) { return entry->offset; });
    std::uint64_t at = 0;
    for (const Entry* entry : sorted) {
      const std::uint64_t end = directory.offset;
      if (entry->offset > end || kLocalSize > end - entry->offset)
        fail(fmt::format("'{}' lies outside of it", entry->name));
      if (entry->offset < at) fail(fmt::format("'{}' lies over another entry", entry->name));
      if (entry->offset > at)
        fault(fmt::format("{} bytes before '{}' belong to no entry", entry->offset - at,
                          entry->name));
      at = check_local(*entry, end);
    }
    if (at != directory.offset)
      fault(fmt::format("{} bytes before the directory belong to no entry", directory.offset - at));
  }

  // Gives where the entry ends.
  std::uint64_t check_local(const Entry& entry, std::uint64_t end) {
    const std::string fixed = file_.read(entry.offset, kLocalSize);
    if (value_at<std::uint32_t>(fixed, 0) != kLocal)
      fail(fmt::format("'{}' has no header of its own", entry.name));
    const std::size_t name_size = value_at<std::uint16_t>(fixed, 26);
    const std::size_t extra_size = value_at<std::uint16_t>(fixed, 28);
    const std::uint64_t begin = entry.offset + kLocalSize + name_size + extra_size;
    if (begin > end || entry.packed > end - begin)
      fail(fmt::format("'{}' reaches outside of it", entry.name));
    const std::string names = file_.read(entry.offset + kLocalSize, name_size + extra_size);
    Entry local{std::string_view(names).substr(0, name_size),
                value_at<std::uint16_t>(fixed, 6),
                value_at<std::uint16_t>(fixed, 8),
                value_at<std::uint32_t>(fixed, 14),
                value_at<std::uint32_t>(fixed, 18),
                value_at<std::uint32_t>(fixed, 22)};
    const bool wide = read_wide(std::string_view(names).substr(name_size), local);
    const bool later = (entry.flags & kDescriptor) != 0;
    const bool sizes_agree =
        (later && local.crc == 0 && local.packed == 0 && local.unpacked == 0) ||
        (local.crc == entry.crc && local.packed == entry.packed &&
         local.unpacked == entry.unpacked);
    // Writers differ in whether the local header says that its name is UTF-8.
    const bool agree = local.name == entry.name && local.method == entry.method &&
                       ((local.flags ^ entry.flags) & ~kUtf8) == 0 && sizes_agree;
    if (!wide || (!agree && !(later && local.name == entry.name && local.packed == kIn64)))
      fault(fmt::format("'{}' is another entry in the archive's directory than in its place",
                        entry.name));
    std::uint64_t at = begin + entry.packed;
    if (later) at = behind_descriptor(entry, at, end);
    return at;
  }

  // 12 bytes, 4 more with a mark, 8 more with wide sizes.
  std::uint64_t behind_descriptor(const Entry& entry, std::uint64_t at, std::uint64_t end) {
    const std::string bytes =
        file_.read(at, static_cast<std::size_t>(std::min<std::uint64_t>(24, end - at)));
    constexpr std::uint32_t kMark = 0x08074b50;
    const std::size_t mark = value_at<std::uint32_t>(bytes, 0) == kMark ? 4 : 0;
    if (value_at<std::uint32_t>(bytes, mark) == entry.crc) {
      if (bytes.size() >= mark + 20 && value_at<std::uint64_t>(bytes, mark + 4) == entry.packed &&
          value_at<std::uint64_t>(bytes, mark + 12) == entry.unpacked)
        return at + mark + 20;
      if (bytes.size() >= mark + 12 && value_at<std::uint32_t>(bytes, mark + 4) == entry.packed &&
          value_at<std::uint32_t>(bytes, mark + 8) == entry.unpacked)
        return at + mark + 12;
    }
    fault(fmt::format("'{}' is another entry in the archive's directory than in its place",
                      entry.name));
    return at;
  }

  FileBytes file_;
  std::string text_;  // the directory
  std::vector<Entry> entries_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> zip_faults(const std::filesystem::path& path) {
  return Layout(path).run();
}

}  // namespace sagebuild
