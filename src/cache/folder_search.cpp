#include "cache/folder_search.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "cache/file_digests.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

std::string without_end_slash(const fs::path& folder) {
  std::string text = folder.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

std::string joined(const std::string& folder, std::string_view name) {
  return fmt::format("{}{}{}", folder, folder.ends_with('/') ? "" : "/", name);
}

// The path as it counts: nothing where a preprocessor goes on to search, a reason behind it where
// it would stop.
std::optional<std::string> seen_at(std::string path, bool folders_count = false) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return fmt::format("{} ({})", path, errno_text(errno));
  }
  if (S_ISDIR(status.st_mode) && !folders_count) return std::nullopt;
  if (::access(path.c_str(), R_OK) != 0) return fmt::format("{} ({})", path, errno_text(errno));
  return path;
}

std::string first_name(std::string_view relative) {
  return lower(relative.substr(0, relative.find('/')));
}

// Whether a name that begins so may be found in the folder.
bool may_hold(const FolderNames::Listing& listing, const std::string& name) {
  return !listing.complete || name == "." || name == ".." || listing.names.contains(name);
}

struct FoundAs {
  std::string_view relative;
  std::string_view path;  // the file itself
};
using ByFirstName = std::unordered_map<std::string, std::vector<FoundAs>>;

// The names by which files may have been found. A compiler may name the folder by its real path,
// too. A file below none, or by a way that its text does not show, may have been asked for by any
// end of its path.
ByFirstName ways_found(const std::vector<std::string>& files,
                       const std::vector<std::string>& folders) {
  std::set<std::string> places(folders.begin(), folders.end());
  for (const std::string& folder : folders) {
    std::error_code ignored;
    const fs::path real = fs::canonical(folder, ignored);
    if (!real.empty()) places.insert(real.string());
  }
  ByFirstName ways;
  const auto add = [&](std::string_view relative, std::string_view file) {
    ways[first_name(relative)].push_back({relative, file});
  };
  for (const std::string_view file : files) {
    const bool is_plain =
        std::ranges::none_of(std::array<std::string_view, 3>{"/./", "/../", "//"},
                             [&](auto part) { return file.find(part) != std::string_view::npos; });
    bool is_below = false;
    for (const std::string& place : places) {
      const auto relative = below(file, place);
      if (relative) add(*relative, file);
      is_below = is_below || relative;
    }
    if (is_below && is_plain) continue;
    for (auto at = file.find('/'); at != std::string_view::npos; at = file.find('/', at + 1)) {
      add(file.substr(at + 1), file);
    }
  }
  return ways;
}

void add_found(const std::string& folder, const ByFirstName& ways, FolderNames& names,
               std::set<std::string>& found) {
  // A folder that is not there holds none of the thousand headers that another of its name does.
  std::unordered_map<std::string_view, bool> is_there;
  const auto may_be_in = [&](std::string_view subfolder) {
    const auto [entry, is_new] = is_there.try_emplace(subfolder);
    if (is_new) entry->second = seen_at(joined(folder, subfolder), true).has_value();
    return entry->second;
  };
  const auto add = [&](const std::vector<FoundAs>& all) {
    for (const FoundAs& as : all) {
      const auto slash = as.relative.rfind('/');
      if (slash != std::string_view::npos && !may_be_in(as.relative.substr(0, slash))) continue;
      std::string candidate = joined(folder, as.relative);
      if (candidate == as.path) continue;
      auto seen = seen_at(candidate);
      if (!seen) continue;
      // The compiler may have named a file by its real path, so that the link by which it was found
      // shows here alone.
      std::error_code ignored;
      if (fs::equivalent(candidate, as.path, ignored)) *seen += " (the same file)";
      found.insert(std::move(*seen));
    }
  };
  const auto listing = names.of(folder);
  if (!listing->complete) {
    for (const auto& way : ways) add(way.second);
    return;
  }
  for (const auto& own : {listing->names, std::set<std::string, std::less<>>{".", ".."}}) {
    for (const std::string& name : own) {
      if (const auto way = ways.find(name); way != ways.end()) add(way->second);
    }
  }
}

std::set<std::string> holders_of(const std::vector<std::string>& files) {
  std::set<std::string> holders;
  for (const std::string& file : files)
    holders.insert(file.substr(0, std::max<std::size_t>(file.rfind('/'), 1)));
  return holders;
}

}  // namespace

std::optional<std::string_view> below(std::string_view path, std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  if (folder.empty() || !take_prefix(path, folder) || !take_prefix(path, "/")) return std::nullopt;
  return path;
}

std::shared_ptr<const FolderNames::Listing> FolderNames::of(const std::string& folder) {
  struct stat status {};
  const bool there = ::stat(folder.c_str(), &status) == 0;
  const std::int64_t change = there ? latest_change(status) : 0;
  {
    const std::lock_guard lock(mutex_);
    const Known& known = known_[folder];
    if (known.change == change && known.inode == status.st_ino && known.device == status.st_dev)
      return known.listing;
  }
  // A folder that changed just now may change again without another time stamp.
  const std::chrono::nanoseconds now = (FileDigests::Clock::now() - kStampLag).time_since_epoch();
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    listing.names.insert(lower(entry->path().filename().string()));
  listing.complete = !error || !there || !S_ISDIR(status.st_mode);
  const std::int64_t holds_for = listing.complete && change < now.count() ? change : -1;
  const auto shared = std::make_shared<const Listing>(std::move(listing));
  const std::lock_guard lock(mutex_);
  known_[folder] = {shared, holds_for, status.st_dev, status.st_ino};
  return shared;
}

std::vector<std::string> found_elsewhere(const std::vector<std::string>& files,
                                         const SearchScope& scope, FolderNames& names) {
  std::vector<std::string> folders;
  std::ranges::transform(scope.include_folders, std::back_inserter(folders), without_end_slash);
  std::set<std::string> places(folders.begin(), folders.end());
  if (scope.preprocessed) places.merge(holders_of(files));
  if (places.empty()) return {};
  const ByFirstName ways = ways_found(files, folders);
  std::set<std::string> found;
  for (const std::string& place : places) add_found(place, ways, names, found);
  return {found.begin(), found.end()};
}

std::vector<std::string> found_of_asked(const std::vector<std::string>& asked,
                                        const std::vector<std::string>& files,
                                        const SearchScope& scope, FolderNames& names) {
  std::vector<std::string> found;
  const auto look = [&](const std::string& folder, std::string_view name) {
    if (!may_hold(*names.of(folder), first_name(name))) return;
    if (auto seen = seen_at(joined(folder, name))) found.push_back(std::move(*seen));
  };
  const std::set<std::string> holders = holders_of(files);
  for (const std::string_view operand : asked) {
    const std::string_view name = operand.substr(1);
    if (name.starts_with('/')) {
      if (auto seen = seen_at(std::string(name), true)) found.push_back(std::move(*seen));
      continue;
    }
    for (const fs::path& folder : scope.include_folders) look(without_end_slash(folder), name);
    if (!operand.starts_with('"')) continue;
    for (const std::string& holder : holders) look(holder, name);
  }
  return found;
}

}  // namespace sagebuild
