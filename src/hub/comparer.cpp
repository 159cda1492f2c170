#include "hub/comparer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"

namespace sagebuild {

Changes Comparer::compare(const View& view, const std::vector<Item>& items) {
  Changes changes;
  present_.clear();
  for (const Item& item : items) add_file(view, item, changes);
  if (!looked_ && !present_.empty() && present_.size() < items.size())
    report_.note(
        fmt::format("{} of {} there already", present_.size(), counted(items.size(), "file")));
  for (const std::string& path : request_.removed) {
    if (require_there(view, path)) changes.removed.push_back(path);
  }
  for (const auto& [from, to] : request_.moved) add_move(view, from, to, changes);
  looked_ = true;
  if (changes_wheels()) add_index(view, items, changes);
  return changes;
}

void Comparer::add_file(const View& view, const Item& item, Changes& changes) {
  const std::string& path = item.file.repo_path;
  const auto remote = view.tree.find(path);
  if (remote == view.tree.end()) {
    changes.files.push_back(item);
  } else if (has_same_content(remote->second, item)) {
    present_.insert(path);
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

// False if it went while this run was at work: by an earlier commit of ours whose answer got lost,
// or by somebody else's.
bool Comparer::require_there(const View& view, const std::string& path) const {
  if (view.tree.contains(path)) return true;
  if (looked_) return false;
  throw Error(ErrorKind::failed, fmt::format("there is no '{}' in '{}'", path, shown(api_.repo())),
              {}, fmt::format("`sagebuild hub ls --repo {}` lists the wheels", shown(api_.repo())));
}

void Comparer::add_move(const View& view, const std::string& from, const std::string& to,
                        Changes& changes) {
  if (!require_there(view, from)) return;
  const RemoteFile& file = view.tree.at(from);
  Item item{{{}, to, {{}, file.size}, {}}, {}, file.lfs.has_value(), file.lfs.has_value()};
  if (!file.lfs) item.content = api_.download(view.commit, from, file);
  item.file.id.sha256 = file.lfs ? *file.lfs : sha256(item.content);
  const auto there = view.tree.find(to);
  if (there != view.tree.end() && !has_same_content(there->second, item) && !request_.force) {
    throw Error(ErrorKind::failed,
                fmt::format("'{}' is in '{}' already, with other content", to, shown(api_.repo())),
                {}, "remove it first, or replace it with --force");
  }
  changes.files.push_back(std::move(item));
  changes.removed.push_back(from);
}

bool Comparer::changes_wheels() const {
  const auto is_wheel = [](const auto& path) { return is_wheel_path(path); };
  return request_.reindex || std::ranges::any_of(request_.removed, is_wheel) ||
         std::ranges::any_of(request_.files, is_wheel, &PublishFile::repo_path) ||
         std::ranges::any_of(request_.moved, [&](const auto& move) {
           return is_wheel(move.first) || is_wheel(move.second);
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
  for (const auto& [from, to] : request_.moved) {
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
