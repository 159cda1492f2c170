#include "cache/direct_mode.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::size_t kNameAt = 65;  // behind 64 hex digits and a space

// Without what seen_at and add_found put behind it.
fs::path bare_path(std::string_view seen) {
  if (seen.ends_with(')')) seen = seen.substr(0, seen.rfind(" ("));
  return seen;
}

std::string change_text(const std::vector<std::string_view>& changed, bool is_there) {
  const std::string others =
      changed.size() > 1 ? fmt::format(", and {} more", changed.size() - 1) : "";
  return fmt::format("file '{}' {}{}", changed.front(), is_there ? "changed" : "is gone", others);
}

// Of two sorted lists that differ.
std::string appeared_text(std::vector<std::string> before, std::vector<std::string> now,
                          std::string_view where) {
  std::ranges::sort(before);
  std::ranges::sort(now);
  std::vector<std::string> appeared, gone;
  std::ranges::set_difference(now, before, std::back_inserter(appeared));
  std::ranges::set_difference(before, now, std::back_inserter(gone));
  if (!appeared.empty()) return fmt::format("'{}' appeared, {}", appeared.front(), where);
  if (!gone.empty()) return fmt::format("'{}' is gone, {}", gone.front(), where);
  return "the search finds its files in another order";
}

// With the names of the scope, marked as those between <> are.
std::vector<std::string> with_asked_of(const SearchScope& scope, std::vector<std::string> asked) {
  for (const std::string& name : scope.asked) {
    std::string marked = "<" + name;
    if (std::ranges::find(asked, marked) == asked.end()) asked.push_back(std::move(marked));
  }
  return asked;
}

std::vector<std::string> known_names(const std::vector<std::string>& paths,
                                     const SearchScope& scope) {
  std::vector<std::string> names;
  for (const std::string& path : paths) names.push_back(mapped_path(path, scope.roots));
  return names;
}

// A file that was written after `started` may not be what the run read. A link that leads nowhere
// has times of its own. Of a folder that was asked for by name, what counts is that it is there.
bool changed_since(const fs::path& path, ActionCache::Clock::time_point started,
                   bool folders_count = true) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 && ::lstat(path.c_str(), &status) != 0) return true;
  if (S_ISDIR(status.st_mode) && !folders_count) return false;
  return latest_change(status) >=
         std::chrono::nanoseconds((started - kStampLag).time_since_epoch()).count();
}

}  // namespace

Digest FileSet::result_key(const Digest& manifest, const FileSet& set) {
  Sha256 hasher;
  hasher.field("sagebuild direct 2").field(manifest.hex());
  for (const auto& [name, digest] : set.files) hasher.field(name).field(digest.hex());
  hasher.field("elsewhere");
  for (const std::string& name : set.elsewhere) hasher.field(name);
  hasher.field("asked");
  for (const std::string& name : set.asked) hasher.field(name);
  hasher.field("present");
  for (const std::string& name : set.present) hasher.field(name);
  return hasher.finish();
}

std::optional<FileSet> file_set(const Digest& manifest, const SearchScope& scope,
                                const std::vector<fs::path>& files_read,
                                ActionCache::Clock::time_point started, FileDigests& digests,
                                FolderNames& names, DirectiveReader& directives,
                                std::string& reason) {
  std::vector<std::string> paths;
  std::vector<FileContent> contents;
  std::vector<const std::vector<std::string>*> texts;
  for (const fs::path& path : files_read) {
    const auto content = changed_since(path, started) ? std::nullopt : digests.of_existing(path);
    const auto* text = content && scope.preprocessed ? directives.of(path, *content) : nullptr;
    if (!content || (scope.preprocessed && text == nullptr)) {
      reason = fmt::format("'{}' changed while it was read", path.string());
      return std::nullopt;
    }
    paths.push_back(path.string());
    contents.push_back(*content);
    if (text != nullptr) texts.push_back(text);
  }
  const IncludeQuestions questions = questions_in(texts);
  if (questions.computed_in) {
    reason = fmt::format("'{}' computes the name that it asks for with __has_include",
                         paths[*questions.computed_in]);
    return std::nullopt;
  }
  // What is embedded is data, comments and all, and which file that is cannot be told.
  const bool by_bytes =
      scope.comments_count || std::ranges::any_of(contents, &FileContent::may_embed);
  FileSet set;
  for (std::size_t i = 0; i < paths.size(); ++i)
    set.files.emplace_back(mapped_path(paths[i], scope.roots),
                           by_bytes ? contents[i].bytes : contents[i].code);
  set.asked = with_asked_of(scope, questions.names);
  const auto elsewhere = found_elsewhere(paths, scope, names);
  const auto present = found_of_asked(set.asked, paths, scope, names);
  for (const auto& others : {elsewhere, present}) {
    const auto late = std::ranges::find_if(
        others, [&](const auto& path) { return changed_since(bare_path(path), started, false); });
    if (late == others.end()) continue;
    reason = fmt::format("'{}' appeared or changed during the run", *late);
    return std::nullopt;
  }
  set.elsewhere = known_names(elsewhere, scope);
  set.present = known_names(present, scope);
  set.result = FileSet::result_key(manifest, set);
  return set;
}

void Manifest::add(FileSet set) {
  std::erase_if(sets, [&](const FileSet& other) { return other.result == set.result; });
  sets.insert(sets.begin(), std::move(set));
  if (sets.size() > kMostSets) sets.resize(kMostSets);
}

// Every file stands once, as "DIGEST NAME": sixteen sets of 1,800 headers differ in a few lines.
// One text per file is read three times as fast as an array of two.
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
    listed.push_back({{"files", members},
                      {"elsewhere", set.elsewhere},
                      {"asked", set.asked},
                      {"present", set.present},
                      {"result", set.result.hex()}});
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
      files.emplace_back(text.substr(std::min(kNameAt, text.size())),
                         digest_from_hex(text.substr(0, kNameAt - 1)));
    }
    Manifest manifest;
    for (const json& listed : value.at("sets")) {
      FileSet set;
      for (const json& number : listed.at("files"))
        set.files.push_back(files.at(number.get<std::size_t>()));
      set.elsewhere = listed.at("elsewhere").get<std::vector<std::string>>();
      set.asked = listed.at("asked").get<std::vector<std::string>>();
      set.present = listed.at("present").get<std::vector<std::string>>();
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

std::optional<Digest> matching_result(const Manifest& manifest, const SearchScope& scope,
                                      FileDigests& digests, FolderNames& names,
                                      std::string& reason) {
  std::map<std::string_view, std::optional<FileContent>> now;
  const auto content_now = [&](std::string_view name) -> const std::optional<FileContent>& {
    const auto [entry, is_new] = now.try_emplace(name);
    if (is_new) {
      if (const auto path = unmapped_path(name, scope.roots))
        entry->second = digests.of_existing(*path);
    }
    return entry->second;
  };
  const auto is_same = [&](const auto& file) {
    const auto& content = content_now(file.first);
    return content && (file.second == content->bytes ||
                       (!scope.comments_count && file.second == content->code));
  };
  std::size_t fewest = SIZE_MAX;
  for (const FileSet& set : manifest.sets) {
    std::vector<std::string_view> changed;
    for (const auto& file : set.files) {
      if (!is_same(file)) changed.push_back(file.first);
    }
    if (!changed.empty()) {
      if (changed.size() < fewest)
        reason = change_text(changed, content_now(changed.front()).has_value());
      fewest = std::min(fewest, changed.size());
      continue;
    }
    std::vector<std::string> paths;
    for (const auto& [name, digest] : set.files)
      paths.push_back(unmapped_path(name, scope.roots)->string());
    const auto elsewhere = known_names(found_elsewhere(paths, scope, names), scope);
    const auto asked = with_asked_of(scope, set.asked);
    const auto present = known_names(found_of_asked(asked, paths, scope, names), scope);
    if (elsewhere == set.elsewhere && present == set.present) return set.result;
    fewest = 0;
    reason = elsewhere != set.elsewhere
                 ? appeared_text(set.elsewhere, elsewhere,
                                 "and the search may find it in place of another")
                 : appeared_text(set.present, present, "where the run looked for it");
  }
  return std::nullopt;
}

}  // namespace sagebuild
