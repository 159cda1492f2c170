// `sagebuild hub`: ls, rm, mv, reindex.

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "sagebuild/app/shelf.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/upload_options.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;
constexpr int kTickMilliseconds = 100;
using Words = std::shared_ptr<std::vector<std::string>>;

std::vector<SettingSpec> specs_of(std::vector<std::vector<SettingSpec>> groups) {
  std::vector<SettingSpec> specs;
  for (const auto& group : groups) specs.insert(specs.end(), group.begin(), group.end());
  return specs;
}

const SettingSpec kDryRun = {"dry-run", "say what would change, and change nothing", "", {}, true};

Row row_of(const nlohmann::json& wheel) {
  Row row;
  for (const char* key : {"version", "torch", "cuda", "python", "architectures", "platform"})
    row.push_back(text_of_row(wheel, key));
  row.push_back(human_size(wheel.value("size", 0ULL)));
  row.push_back(text_of_row(wheel, "date").substr(0, 10));  // the day
  row.push_back(text_of_row(wheel, "file"));
  return row;
}

void print_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_last = i + 1 == row.size();
      line += is_last ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    fmt::print("{}\n", printable_line(line));
  }
}

int run_list(const Cli& cli, const Settings& settings, Reporter& report) {
  const Shelf shelf = list_shelf(hub_settings(settings, named_repo(settings)), report);
  if (cli.global().json) {
    fmt::print("{}\n", json_lines(Json{{"schema", "sagebuild.shelf/1"},
                                       {"repo", shelf.repo},
                                       {"commit", shelf.commit},
                                       {"private", shelf.is_private},
                                       {"wheels", shelf.wheels}}));
    return 0;
  }
  if (shelf.wheels.empty()) {
    report.stage(fmt::format("there is no wheel in '{}'", shelf.repo));
    return 0;
  }
  std::vector<Row> rows = {
      {"version", "torch", "CUDA", "Python", "GPUs", "platform", "size", "date", "file"}};
  for (const nlohmann::json& wheel : shelf.wheels) rows.push_back(row_of(wheel));
  print_table(rows);
  return 0;
}

int print_change(const Cli& cli, const PublishOutcome& outcome, const std::string& what) {
  if (cli.global().json) {
    fmt::print("{}\n", json_lines(Json{{"schema", "sagebuild.hub/1"},
                                       {"result", word_of(outcome.result)},
                                       {"repo", outcome.repo},
                                       {"commit", outcome.commit},
                                       {"pull_request", outcome.pull_url},
                                       {"removed", outcome.removed},
                                       {"index_files", outcome.index_files}}));
    return 0;
  }
  const bool is_dry = outcome.result == PublishOutcome::Result::dry_run;
  if (outcome.result == PublishOutcome::Result::unchanged)
    fmt::print("nothing to do in '{}'\n", outcome.repo);
  else if (!what.empty())
    fmt::print("{}{}\n", is_dry ? "would be done: " : "", printable_line(what));
  if (!outcome.index_files.empty())
    fmt::print("index files {}: {}\n", is_dry ? "that would change" : "changed",
               join(outcome.index_files, ", "));
  if (!outcome.commit.empty()) fmt::print("commit: {}\n", outcome.commit);
  if (!outcome.pull_url.empty()) fmt::print("pull request: {}\n", outcome.pull_url);
  return 0;
}

// What is removed is gone for everybody who installs it: somebody has to say yes.
void ask(const std::vector<std::string>& paths, const std::string& repo, Reporter& report) {
  report.stage(fmt::format("to be removed from '{}':", repo));
  for (const std::string& path : paths) report.note(printable_line(path));
  if (!is_terminal(STDIN_FILENO) || !is_terminal(STDERR_FILENO)) {
    throw Error(ErrorKind::usage, fmt::format("{} would be removed", counted(paths.size(), "file")),
                {"there is no terminal to ask at"}, "say --yes, or --dry-run to look first");
  }
  std::fputs("remove? [y/N] ", stderr);
  std::string answer;
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (poll(&input, 1, kTickMilliseconds) <= 0) throw_if_interrupted();
  std::getline(std::cin, answer);
  if (lower(trimmed(answer)) != "y" && lower(trimmed(answer)) != "yes")
    throw Error(ErrorKind::failed, "nothing was removed", {"the answer was no"});
}

int run_remove(const Cli& cli, const Settings& settings, const Words& names, Reporter& report) {
  if (names->empty())
    throw Error(ErrorKind::usage, "no wheel is named", {},
                "sagebuild hub rm --repo OWNER/NAME WHEEL...");
  const HubSettings chosen = hub_settings(settings, named_repo(settings));
  const auto confirm = [&](const std::vector<std::string>& paths) {
    if (!settings.enabled("yes")) ask(paths, shown(chosen.repo), report);
  };
  const auto outcome = remove_from_shelf(chosen, *names, confirm, report);
  return print_change(cli, outcome, "removed: " + join(outcome.removed, ", "));
}

int run_move(const Cli& cli, const Settings& settings, const Words& names, Reporter& report) {
  if (names->size() != 2)
    throw Error(ErrorKind::usage, "mv takes two names", {},
                "sagebuild hub mv --repo OWNER/NAME OLD NEW; NEW may be a folder: 'cu130/'");
  const HubSettings chosen = hub_settings(settings, named_repo(settings));
  const auto outcome = move_on_shelf(chosen, names->at(0), names->at(1), report);
  return print_change(cli, outcome, fmt::format("moved: {} to {}", names->at(0), names->at(1)));
}

}  // namespace

void add_hub_commands(Cli& cli) {
  CLI::App& group = cli.add_group("hub", "list, remove and rename wheels on the Hub");
  cli.add_below(group, "ls", "list the wheels of a repository, newest version first",
                specs_of({hub_repo_specs(), hub_access_specs()}),
                {"sagebuild hub ls --repo me/wheels", "sagebuild hub ls --repo me/wheels --json"},
                [&cli](const Settings& settings, Reporter& report) {
                  return run_list(cli, settings, report);
                });
  const auto removed = std::make_shared<std::vector<std::string>>();
  cli.add_below(group, "rm", "remove wheels and their rows in the index files, in one commit",
                specs_of({hub_repo_specs(),
                          hub_commit_specs(),
                          {kDryRun, {"yes", "do not ask", "", {}, true}},
                          hub_access_specs()}),
                {"sagebuild hub rm --repo me/wheels sage-1.0-cp311-cp311-linux_x86_64.whl",
                 "sagebuild hub rm --repo me/wheels --dry-run 'sage-1.*'"},
                [&cli, removed](const Settings& settings, Reporter& report) {
                  return run_remove(cli, settings, removed, report);
                })
      .add_option("WHEEL", *removed, "paths, file names or globs");
  const auto moved = std::make_shared<std::vector<std::string>>();
  cli.add_below(group, "mv", "give a wheel another place, or its true name, in one commit",
                specs_of({hub_repo_specs(),
                          hub_commit_specs(),
                          {kDryRun, {"force", "another name for the same bytes", "", {}, true}},
                          hub_access_specs()}),
                {"sagebuild hub mv --repo me/wheels sage-1.0-cp311-cp311-linux_x86_64.whl cu130/"},
                [&cli, moved](const Settings& settings, Reporter& report) {
                  return run_move(cli, settings, moved, report);
                })
      .add_option("NAMES", *moved, "the present and the new path; a final '/' names a folder");
  cli.add_below(group, "reindex",
                "make wheels.json, SHA256SUMS and the table in README.md from what is there",
                specs_of({hub_repo_specs(), hub_commit_specs(), {kDryRun}, hub_access_specs()}),
                {"sagebuild hub reindex --repo me/wheels"},
                [&cli](const Settings& settings, Reporter& report) {
                  return print_change(
                      cli, reindex_shelf(hub_settings(settings, named_repo(settings)), report), "");
                });
}

}  // namespace sagebuild
