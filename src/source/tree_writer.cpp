#include "tree_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

constexpr std::string_view kRefusedHint =
    "a source that writes outside its own folder is not built; report it to its authors";

[[noreturn]] void refuse(std::string_view path, std::string_view reason) {
  throw Error(ErrorKind::failed, fmt::format("refused the path '{}' in the source", path),
              {std::string(reason)}, std::string(kRefusedHint));
}

[[noreturn]] void refuse_size(std::string_view reason) {
  throw Error(ErrorKind::failed, "refused the source", {std::string(reason)},
              "if that is right, unpack or clone it yourself, and give the folder");
}

void require_inside(std::string_view path) {
  if (path.empty()) refuse(path, "it is empty");
  if (path.starts_with('/')) refuse(path, "it is absolute");
  if (path.find('\0') != std::string_view::npos) refuse(path, "it has a zero byte");
  if (path.find("//") != std::string_view::npos) refuse(path, "it has an empty part");
  for (const std::string_view part : split(path, "/")) {
    if (part == "..") refuse(path, "it climbs with '..'");
    if (part == ".") refuse(path, "it has '.' as a part");
    // Git itself refuses this in every spelling: a tree with its own .git would configure the tools
    // that look for one.
    if (lower(part) == ".git") refuse(path, "it has '.git' as a part");
  }
}

void write_all(int descriptor, std::string_view content, const fs::path& place) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int number = errno;
      throw Error(ErrorKind::failed, fmt::format("cannot write '{}'", place.string()),
                  {errno_text(number)},
                  number == ENOSPC || number == EDQUOT
                      ? "the disk is full: make room, or use another folder"
                      : "");
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Counts how deep a link's text goes, without looking at the disk.
bool climbs_out(const fs::path& link, const fs::path& target) {
  int depth = 0;
  for (const fs::path& part : link.parent_path() / target) {
    if (part == "..")
      --depth;
    else if (part != "." && !part.empty())
      ++depth;
    if (depth < 0) return true;
  }
  return false;
}

}  // namespace

TreeWriter::TreeWriter(fs::path root, TreeLimits limits) : root_(std::move(root)), left_(limits) {
  make_folders(root_);
}

void TreeWriter::count(std::uint64_t bytes) {
  if (left_.entries == 0) refuse_size("it has too many files, folders and links");
  if (left_.bytes < bytes) refuse_size("its files are too large together");
  --left_.entries;
  left_.bytes -= bytes;
}

fs::path TreeWriter::place_for(std::string_view path) {
  require_inside(path);
  for (fs::path above = fs::path(path).parent_path();
       !above.empty() && folders_.insert(above).second; above = above.parent_path()) {
    count(0);
  }
  fs::path place = root_ / path;
  make_folders(place.parent_path());
  return place;
}

void TreeWriter::file(std::string_view path, std::string_view content, bool executable) {
  count(content.size());
  const fs::path place = place_for(path);
  const int descriptor =
      ::open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    if (errno == EEXIST) refuse(path, "it is there twice");
    throw Error(ErrorKind::failed, fmt::format("cannot make '{}'", place.string()),
                {errno_text(errno)});
  }
  const ScopeExit close_file([descriptor] { ::close(descriptor); });
  write_all(descriptor, content, place);
  // Not left to the umask: the same commit gives the same tree everywhere.
  ::fchmod(descriptor, executable ? 0755 : 0644);
}

void TreeWriter::folder(std::string_view path) {
  const fs::path place = place_for(path);
  if (folders_.insert(path).second) count(0);
  make_folders(place);
}

void TreeWriter::same_as(std::string_view path, std::string_view earlier) {
  require_inside(earlier);
  const fs::path from = root_ / earlier;
  struct ::stat status {};
  if (::lstat(from.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse(path, "it links to a file that is not there");
  file(path, read_file(from), (status.st_mode & 0100U) != 0);
}

void TreeWriter::link(std::string_view path, std::string_view target) {
  count(target.size());
  require_inside(path);
  links_.push_back({std::string(path), std::string(target)});
}

void TreeWriter::make_link(const Link& link, const fs::path& tree) const {
  const fs::path place = root_ / link.path;
  const fs::path inside = place.lexically_relative(tree);
  if (link.target.empty() || link.target.starts_with('/')) {
    refuse(link.path, "it is an empty or absolute link, to '" + link.target + "'");
  }
  if (link.target.find('\0') != std::string::npos)
    refuse(link.path, "it is a link with a zero byte");
  if (climbs_out(inside, link.target))
    refuse(link.path, "it is a link out of the tree, to '" + link.target + "'");
  if (::symlink(link.target.c_str(), place.c_str()) != 0) {
    if (errno == EEXIST) refuse(link.path, "it is there twice");
    throw Error(ErrorKind::failed, fmt::format("cannot make the link '{}'", place.string()),
                {errno_text(errno)});
  }
}

fs::path TreeWriter::finish(bool strip_top) {
  // All folders before the first link: then no link stands where a folder is looked for.
  for (const Link& link : links_) place_for(link.path);
  const fs::path tree = strip_top ? only_folder_or(root_) : root_;
  for (const Link& link : links_) make_link(link, tree);
  // Text alone does not show where a chain of links ends.
  const fs::path real_tree = real_path(tree);
  for (const Link& link : links_) {
    std::error_code circle;
    const fs::path end = fs::weakly_canonical(root_ / link.path, circle);
    if (!circle && !is_below(end, real_tree))
      refuse(link.path, "it is a link that leads out of the tree");
  }
  return tree;
}

fs::path TreeWriter::only_folder_or(const fs::path& fallback) const {
  const std::vector<fs::path> entries = entries_of(root_);
  if (entries.size() != 1 || !is_folder(entries.front())) return fallback;
  const bool link_beside = std::ranges::any_of(
      links_, [&](const Link& link) { return !is_below(root_ / link.path, entries.front()); });
  return link_beside ? fallback : entries.front();
}

}  // namespace sagebuild
