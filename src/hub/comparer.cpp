#include "hub/comparer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"

namespace sagebuild {
namespace {

// The Hub may put into LFS what lay in git itself; then only the size can be compared.
bool is_moved(const RemoteFile& before, const RemoteFile& after) {
  if (before.lfs.has_value() != after.lfs.has_value()) return before.size == after.size;
  return before == after;
}

}  // namespace

Changes Comparer::compare(const View& view, const std::vector<Item>& items) {
  Changes changes;
  for (const Item& item : items) add_file(view, item, changes);
  if (!looked_ && !present_.empty() && present_.size() < items.size())
    report_.note(
        fmt::format("{} of {} there already", present_.size(), counted(items.size(), "file")));
  for (const auto& [path, chosen] : request_.removed) add_removal(view, path, chosen, changes);
  for (const MovedFile& move : request_.moved) add_move(view, move, changes);
  looked_ = true;
  if (changes_wheels()) add_index(view, items, changes);
  require_room(view, changes);
  return changes;
}

void Comparer::add_file(const View& view, const Item& item, Changes& changes) {
  const std::string& path = item.file.repo_path;
  const auto remote = view.tree.find(path);
  if (remote == view.tree.end()) {
    present_.erase(path);
    changes.files.push_back(item);
  } else if (has_same_content(remote->second, item)) {
    if (!looked_) present_.insert(path);  // later it may be what this run itself put there
  } else if (request_.force) {
    report_.warning(fmt::format("replacing '{}', which has other content", path));
    changes.files.push_back(item);
  } else {
    throw Error(
        ErrorKind::failed,
        fmt::format("'{}' is in '{}' already, with other content", path, shown(api_.repo())),
        {looked_ ? "somebody put it there while this upload ran"
                 : "a wheel's name is its identity: installers would mix the two"},
        "build it under another version label, or replace the published file with --force");
  }
}

// One that is gone was removed by an earlier commit of ours, whose answer got lost, or by somebody
// else: nothing is left to do.
void Comparer::add_removal(const View& view, const std::string& path, const RemoteFile& chosen,
                           Changes& changes) const {
  const auto there = view.tree.find(path);
  if (there == view.tree.end()) return;
  if (there->second != chosen) {
    throw Error(ErrorKind::failed,
                fmt::format("'{}' in '{}' has other content by now", path, shown(api_.repo())),
                {"somebody replaced it after it was chosen to be removed"},
                "look at it, and run the same command again if it shall go");
  }
  changes.removed.push_back(path);
}

void Comparer::add_move(const View& view, const MovedFile& move, Changes& changes) {
  const auto& [from, to, chosen] = move;
  const auto there = view.tree.find(to);
  if (!view.tree.contains(from)) {
    if (there != view.tree.end() && is_moved(chosen, there->second))
      return;  // by an earlier commit of ours
    throw Error(ErrorKind::failed,
                fmt::format("there is no '{}' in '{}' any more", from, shown(api_.repo())),
                {"somebody removed it while this ran, and nothing was moved"},
                fmt::format("`sagebuild hub ls --repo {}` lists the wheels", shown(api_.repo())));
  }
  const RemoteFile& file = view.tree.at(from);
  Item item{{{}, to, {{}, file.size}, {}}, {}, file.lfs.has_value(), file.lfs.has_value()};
  if (!file.lfs) item.content = api_.download(view.commit, from, file);
  item.file.id.sha256 = file.lfs ? *file.lfs : sha256(item.content);
  // Whoever gives a file another name with --force does not say that the one of that name may go.
  if (there != view.tree.end() && !has_same_content(there->second, item)) {
    throw Error(ErrorKind::failed,
                fmt::format("'{}' is in '{}' already, with other content", to, shown(api_.repo())),
                {}, "remove it first with `sagebuild hub rm`");
  }
  changes.files.push_back(std::move(item));
  changes.removed.push_back(from);
}

// A path is a file or a folder: git would drop the file for what is put below it.
void Comparer::require_room(const View& view, const Changes& changes) const {
  RemoteTree after = view.tree;
  for (const std::string& path : changes.removed) after.erase(path);
  for (const Item& item : changes.files) after[item.file.repo_path] = {};
  const auto refuse = [&](const std::string& file, const std::string& below) {
    throw Error(ErrorKind::failed,
                fmt::format("'{}' cannot be put into '{}'", below, shown(api_.repo())),
                {fmt::format("'{}' would be a file and a folder", file)}, "choose another folder");
  };
  for (const Item& item : changes.files) {
    const std::string& path = item.file.repo_path;
    for (auto end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
      if (after.contains(path.substr(0, end))) refuse(path.substr(0, end), path);
    }
    const auto below = after.lower_bound(path + "/");
    if (below != after.end() && below->first.starts_with(path + "/")) refuse(path, path);
  }
}

bool Comparer::changes_wheels() const {
  const auto is_wheel = [](const auto& path) { return is_wheel_path(path); };
  return request_.reindex ||
         std::ranges::any_of(request_.removed, is_wheel, &RemoteTree::value_type::first) ||
         std::ranges::any_of(request_.files, is_wheel, &PublishFile::repo_path) ||
         std::ranges::any_of(request_.moved, [&](const auto& move) {
           return is_wheel(move.from) || is_wheel(move.to);
         });
}

void Comparer::add_index(const View& view, const std::vector<Item>& items, Changes& changes) {
  RemoteTree after = view.tree;
  for (const std::string& path : changes.removed) after.erase(path);
  ShelfWheels known;
  for (const auto* some : {&items, &std::as_const(changes.files)}) {
    for (const Item& item : *some) {
      after[item.file.repo_path] = {};
      known[item.file.repo_path] = item.file.id;
    }
  }
  const PresentFiles present = present_index(api_, view.commit, view.tree);
  const Index index =
      make_index(wheels_of_tree(api_, view.commit, after, known), new_rows(present, known), present,
                 {canonical_endpoint(), api_.repo(), request_.open_pull ? "main" : request_.branch},
                 request_.index);
  for (const std::string& warning : index.warnings) {
    if (warned_.insert(warning).second) report_.warning(warning);
  }
  for (const auto& [path, content] : index.files) {
    Item item{{{}, path, {sha256(content), content.size()}, {}}, content};
    const auto remote = view.tree.find(path);
    if (remote == view.tree.end() || !has_same_content(remote->second, item))
      changes.files.push_back(std::move(item));
  }
}

// What is known of the wheels that come, and of those that get another name.
WheelRows Comparer::new_rows(const PresentFiles& present, const ShelfWheels& known) const {
  WheelRows rows;
  for (const PublishFile& file : request_.files) {
    if (is_wheel_path(file.repo_path))
      rows[file.repo_path] = file.facts.is_null() ? row_from_name(file.repo_path) : file.facts;
  }
  const auto old_json = present.find(kWheelsJson);
  if (old_json == present.end() || !old_json->second) return rows;
  for (const auto& [from, to, file] : request_.moved) {
    const auto wheel = known.find(to);
    if (wheel == known.end() || !is_wheel_path(to)) continue;
    nlohmann::json row = rows_of({{from, wheel->second}}, *old_json->second).at(from);
    const nlohmann::json named = row_from_name(to);
    for (const char* key : {"name", "version", "python", "abi", "platform"}) {
      if (named.contains(key)) row[key] = named[key];
    }
    rows[to] = std::move(row);
  }
  return rows;
}

}  // namespace sagebuild
