#include "cache/direct_mode.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::size_t kNameAt = 65;  // behind 64 hex digits and a space

// `path` relative to `folder`, or nothing if it is not below it. By text: a link in between is part of the name.
std::optional<std::string_view> below(std::string_view path, std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  if (folder.empty() || !take_prefix(path, folder) || !take_prefix(path, "/")) return std::nullopt;
  return path;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

struct FoundAs {
  std::string_view relative;
  std::size_t folder;     // index of the include folder
  std::string_view path;  // the file itself
};
using ByFirstName = std::unordered_map<std::string_view, std::vector<FoundAs>>;

// A file below no given folder was found through one that is built into the compiler, or by its full name: then any end
// of its path may be how it was asked for.
ByFirstName ways_found(const std::vector<std::string>& files, const std::vector<std::string>& folders) {
  ByFirstName ways;
  const auto add = [&](std::string_view relative, std::size_t folder, std::string_view file) {
    ways[relative.substr(0, relative.find('/'))].push_back({relative, folder, file});
  };
  for (const std::string_view file : files) {
    bool is_below = false;
    for (std::size_t i = 0; i < folders.size(); ++i) {
      const auto relative = below(file, folders[i]);
      if (relative) add(*relative, i, file);
      is_below = is_below || relative;
    }
    if (is_below) continue;
    for (auto at = file.find('/'); at != std::string_view::npos; at = file.find('/', at + 1)) {
      add(file.substr(at + 1), folders.size(), file);
    }
  }
  return ways;
}

// Adds the paths in `folder` that would be found before a file of an include folder with an index above `position`.
void add_earlier(const std::string& folder, std::size_t position, const ByFirstName& ways, FolderNames& names,
                 std::set<std::string>& found) {
  for (const std::string& name : names.of(folder)) {
    const auto way = ways.find(name);
    if (way == ways.end()) continue;
    for (const FoundAs& as : way->second) {
      if (as.folder < position) continue;
      std::string candidate = fmt::format("{}/{}", folder, as.relative);
      if (candidate != as.path && exists(candidate)) found.insert(std::move(candidate));
    }
  }
}

std::string change_text(const std::vector<std::string_view>& changed, bool is_there) {
  const std::string others = changed.size() > 1 ? fmt::format(", and {} more", changed.size() - 1) : "";
  return fmt::format("file '{}' {}{}", changed.front(), is_there ? "changed" : "is gone", others);
}

std::string earlier_text(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  std::vector<std::string> appeared;
  std::ranges::set_difference(now, before, std::back_inserter(appeared));
  if (appeared.empty()) return "a file that was found earlier on the include path is gone";
  return fmt::format("'{}' appeared, and is found earlier on the include path", appeared.front());
}

}  // namespace

std::string name_of(const fs::path& path, const SearchScope& scope) {
  const std::string text = path.string();
  std::string best = text;
  std::size_t deepest = 0;
  for (const auto& [name, root] : scope.roots) {
    const auto rest = below(text, root.native());
    if (!rest || root.native().size() <= deepest) continue;
    deepest = root.native().size();
    best = fmt::format("{{{}}}/{}", name, *rest);
  }
  return best;
}

std::vector<std::string> names_of(const std::vector<std::string>& paths, const SearchScope& scope) {
  std::vector<std::string> names;
  for (const std::string& path : paths) names.push_back(name_of(path, scope));
  std::ranges::sort(names);
  return names;
}

std::optional<fs::path> path_of(std::string_view name, const SearchScope& scope) {
  if (!name.starts_with('{')) return fs::path(name);
  const auto end = name.find("}/");
  if (end == std::string_view::npos) return std::nullopt;
  const auto root = scope.roots.find(std::string(name.substr(1, end - 1)));
  if (root == scope.roots.end()) return std::nullopt;
  return root->second / name.substr(end + 2);
}

const std::set<std::string, std::less<>>& FolderNames::of(const std::string& folder) {
  struct stat status {};
  const bool there = ::stat(folder.c_str(), &status) == 0;
  Listing& listing = listings_[folder];
  const std::int64_t change = there ? latest_change(status) : 0;
  if (listing.change == change && listing.inode == status.st_ino) return listing.names;
  // A folder that changed just now may change again without another time stamp.
  const std::chrono::nanoseconds now = (FileDigests::Clock::now() - kStampLag).time_since_epoch();
  listing = {change < now.count() ? change : -1, status.st_ino, {}};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    listing.names.insert(entry.path().filename().string());
  return listing.names;
}

std::vector<std::string> found_earlier(const std::vector<std::string>& files, const SearchScope& scope,
                                       FolderNames& names) {
  std::vector<std::string> folders;
  for (const fs::path& folder : scope.include_folders) {
    std::string text = folder.string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    folders.push_back(std::move(text));
  }
  const ByFirstName ways = ways_found(files, folders);
  std::set<std::string> found;
  for (std::size_t i = 0; i < folders.size(); ++i) add_earlier(folders[i], i + 1, ways, names, found);
  std::set<std::string> holders;
  for (const std::string& file : files) holders.insert(file.substr(0, file.rfind('/')));
  for (const std::string& holder : holders) add_earlier(holder, 0, ways, names, found);
  return {found.begin(), found.end()};
}

Digest FileSet::result_key(const Digest& manifest, const FileSet& set) {
  Sha256 hasher;
  hasher.field("sagebuild direct").field(manifest.hex());
  for (const auto& [name, digest] : set.files) hasher.field(name).field(digest.hex());
  hasher.field("earlier");
  for (const std::string& name : set.earlier) hasher.field(name);
  return hasher.finish();
}

void Manifest::add(FileSet set) {
  std::erase_if(sets, [&](const FileSet& other) { return other.result == set.result; });
  sets.insert(sets.begin(), std::move(set));
  if (sets.size() > kMostSets) sets.resize(kMostSets);
}

// Every file stands once, as "DIGEST NAME": sixteen sets of 1,800 headers differ in a few lines. One text per file is
// read three times as fast as an array of two.
std::string Manifest::body(const Digest& key) const {
  std::map<std::string, std::size_t> numbers;
  json files = json::array(), listed = json::array();
  for (const FileSet& set : sets) {
    json members = json::array();
    for (const auto& [name, digest] : set.files) {
      std::string text = fmt::format("{} {}", digest.hex(), name);
      const auto [entry, is_new] = numbers.try_emplace(std::move(text), numbers.size());
      if (is_new) files.push_back(entry->first);
      members.push_back(entry->second);
    }
    listed.push_back({{"files", members}, {"earlier", set.earlier}, {"result", set.result.hex()}});
  }
  const json body = {{"key", key.hex()}, {"files", files}, {"sets", listed}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Manifest> Manifest::from_body(const Digest& key, std::string_view body) {
  try {
    const json value = json::parse(body);
    if (value.at("key").get<std::string>() != key.hex()) return std::nullopt;
    std::vector<std::pair<std::string, Digest>> files;
    for (const json& file : value.at("files")) {
      const auto& text = file.get_ref<const std::string&>();
      files.emplace_back(text.substr(std::min(kNameAt, text.size())), digest_from_hex(text.substr(0, kNameAt - 1)));
    }
    Manifest manifest;
    for (const json& listed : value.at("sets")) {
      FileSet set;
      for (const json& number : listed.at("files")) set.files.push_back(files.at(number.get<std::size_t>()));
      set.earlier = listed.at("earlier").get<std::vector<std::string>>();
      set.result = digest_from_hex(listed.at("result").get<std::string>());
      manifest.sets.push_back(std::move(set));
    }
    return manifest;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const std::out_of_range&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Digest> matching_result(const Manifest& manifest, const SearchScope& scope, FileDigests& digests,
                                      FolderNames& names, std::string& reason) {
  std::map<std::string_view, std::optional<FileContent>> now;
  const auto content_now = [&](std::string_view name) -> const std::optional<FileContent>& {
    const auto [entry, is_new] = now.try_emplace(name);
    if (is_new) {
      if (const auto path = path_of(name, scope)) entry->second = digests.of_existing(*path);
    }
    return entry->second;
  };
  const auto is_same = [&](const auto& file) {
    const auto& content = content_now(file.first);
    return content && (file.second == content->bytes || (!scope.comments_count && file.second == content->code));
  };
  std::size_t fewest = SIZE_MAX;
  for (const FileSet& set : manifest.sets) {
    std::vector<std::string_view> changed;
    for (const auto& file : set.files) {
      if (!is_same(file)) changed.push_back(file.first);
    }
    if (!changed.empty()) {
      if (changed.size() < fewest) reason = change_text(changed, content_now(changed.front()).has_value());
      fewest = std::min(fewest, changed.size());
      continue;
    }
    std::vector<std::string> paths;
    for (const auto& [name, digest] : set.files) paths.push_back(path_of(name, scope)->string());
    const auto earlier = names_of(found_earlier(paths, scope, names), scope);
    if (earlier == set.earlier) return set.result;
    fewest = 0;
    reason = earlier_text(set.earlier, earlier);
  }
  return std::nullopt;
}

}  // namespace sagebuild
