#include "sagebuild/app/shelf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/hub_session.hpp"
#include "sagebuild/app/wheel_argument.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/shelf.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {
namespace {

struct Head {
  std::string commit;
  RemoteTree tree;
};

Head head_of(HubApi& api, const std::string& branch) {
  const auto commit = api.head(branch);
  if (!commit)
    throw Error(ErrorKind::failed,
                fmt::format("'{}' has no branch '{}'", shown(api.repo()), branch));
  return {*commit, api.tree(*commit)};
}

bool is_index_file(const std::string& path) {
  return std::ranges::find(kIndexFiles, path) != std::end(kIndexFiles);
}

// The paths that a name stands for: itself, the files of that name in any folder, or what a glob
// matches. The index files are not among them.
std::vector<std::string> paths_of(const RemoteTree& tree, const std::string& name,
                                  const RepoId& repo) {
  if (is_index_file(name)) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is made from the wheels", name), {},
                "`sagebuild hub reindex` makes it anew");
  }
  if (tree.contains(name)) return {name};
  std::vector<std::string> paths;
  for (const auto& [path, file] : tree) {
    if (!is_index_file(path) && matches_glob(path, name)) paths.push_back(path);
  }
  if (!paths.empty()) return paths;
  std::vector<std::string> names;
  for (const auto& [path, file] : tree) names.emplace_back(name_of_path(path));
  const auto near = nearest(name, names);
  throw Error(ErrorKind::failed, fmt::format("there is no '{}' in '{}'", name, shown(repo)), {},
              near ? fmt::format("did you mean '{}'?", *near)
                   : fmt::format("`sagebuild hub ls --repo {}` lists the wheels", shown(repo)));
}

// Installers read a wheel's name before its content: another one would promise what is not in it.
void require_same_wheel(const std::string& from, const std::string& to, bool force) {
  if (!is_wheel_path(from) && !is_wheel_path(to)) return;
  if (!parse_wheel_name(name_of_path(to)))
    throw Error(ErrorKind::usage, fmt::format("'{}' is no name of a wheel", to), {},
                "a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl");
  const std::string truth = true_wheel_name(std::string(name_of_path(from)));
  if (force || name_of_path(to) == name_of_path(from) || name_of_path(to) == truth) return;
  if (!parse_wheel_name(truth)) return;
  throw Error(ErrorKind::usage, "a wheel's name is its identity and stays",
              {fmt::format("'{}' would become '{}'", name_of_path(from), name_of_path(to))},
              "give a folder ('cu130/'), build the wheel under that name, or say --force");
}

}  // namespace

Shelf list_shelf(const HubSettings& settings, Reporter& report) {
  HubSession session(settings, report);
  HubApi& api = session.api();
  const Head head = head_of(api, settings.branch);
  Shelf shelf{shown(api.repo()), head.commit, api.is_private(), {}};
  const PresentFiles present = present_index(api, head.commit, head.tree);
  const auto old = present.find(kWheelsJson);
  const WheelRows rows = rows_of(wheels_of_tree(api, head.commit, head.tree),
                                 old == present.end() ? std::string() : old->second.value_or(""));
  std::vector<std::string> paths;
  for (const auto& [path, row] : rows) paths.push_back(path);
  const auto dates = api.dates(head.commit, paths);
  for (const nlohmann::json* row : newest_first(rows)) {
    shelf.wheels.push_back(*row);
    const auto date = dates.find(text_of_row(*row, "file"));
    if (date != dates.end()) shelf.wheels.back()["date"] = date->second;
  }
  return shelf;
}

PublishOutcome remove_from_shelf(
    const HubSettings& settings, const std::vector<std::string>& names,
    const std::function<void(const std::vector<std::string>& paths)>& confirm, Reporter& report) {
  HubSession session(settings, report);
  const Head head = head_of(session.api(), settings.open_pull ? "main" : settings.branch);
  std::set<std::string> paths;
  for (const std::string& name : names) {
    for (std::string& path : paths_of(head.tree, name, session.api().repo()))
      paths.insert(std::move(path));
  }
  const std::vector<std::string> listed(paths.begin(), paths.end());
  if (!settings.dry_run) confirm(listed);
  PublishRequest request = commit_request(
      settings, listed.size() == 1 ? "Remove " + listed.front()
                                   : fmt::format("Remove {}", counted(listed.size(), "file")));
  for (const std::string& path : listed) request.description += "- " + path + "\n";
  for (const std::string& path : listed) request.removed[path] = head.tree.at(path);
  return publish(session.api(), request, report);
}

PublishOutcome move_on_shelf(const HubSettings& settings, const std::string& from, std::string to,
                             Reporter& report) {
  HubSession session(settings, report);
  const Head head = head_of(session.api(), settings.open_pull ? "main" : settings.branch);
  const std::vector<std::string> found = paths_of(head.tree, from, session.api().repo());
  if (found.size() > 1)
    throw Error(ErrorKind::usage, fmt::format("'{}' fits {} files", from, found.size()), found,
                "name one of them");
  if (to.ends_with('/')) to += name_of_path(found.front());
  require_repo_path(to);
  if (is_index_file(to))
    throw Error(ErrorKind::usage, fmt::format("'{}' is made from the wheels", to));
  if (to == found.front()) throw Error(ErrorKind::usage, fmt::format("'{}' is there already", to));
  require_same_wheel(found.front(), to, settings.force);
  PublishRequest request =
      commit_request(settings, fmt::format("Move {} to {}", found.front(), to));
  request.moved = {{found.front(), to, head.tree.at(found.front())}};
  return publish(session.api(), request, report);
}

PublishOutcome reindex_shelf(const HubSettings& settings, Reporter& report) {
  HubSession session(settings, report);
  head_of(session.api(), settings.branch);  // a mistyped branch is not made
  PublishRequest request = commit_request(settings, "Rebuild the index of the wheels");
  request.reindex = true;
  return publish(session.api(), request, report);
}

}  // namespace sagebuild
