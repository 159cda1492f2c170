#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/upload_options.hpp"

namespace sagebuild {
namespace {

using Files = std::vector<std::string>;
using Result = PublishOutcome::Result;

const char* word_of(Result result) {
  switch (result) {
    case Result::committed:
      return "committed";
    case Result::pull_request:
      return "pull_request";
    case Result::unchanged:
      return "unchanged";
    case Result::dry_run:
      return "dry_run";
  }
  return "";
}

}  // namespace

std::vector<SettingSpec> shared_upload_specs() {
  return {
      {"create", "make the repository if it is missing", "", {}, true},
      {"private", "with --create: only you and those you let in see it", "", {}, true},
      {"branch", "commit to this branch; made from main if it is missing", "main"},
      {"pr", "open a pull request instead of committing", "", {}, true},
      {"path-in-repo", "folder in the repository"},
      {"force", "replace a published wheel of the same name that has other content", "", {}, true},
      {"unverified", "take a wheel that `sagebuild verify` finds errors in", "", {}, true},
      {"token-file",
       "read the Hub's token from this file; else HF_TOKEN, HF_TOKEN_PATH or the login file"},
      {"retry-delay-ms", "wait before the first retry; doubled with each", "500"},
      {"stall-limit-ms", "give up a transfer that moves no byte for so long", "90000"},
      {"connect-limit-ms", "give up a connection that is not made in this time", "20000"},
  };
}

UploadSettings upload_settings(const Settings& settings, std::string_view repo,
                               std::vector<std::filesystem::path> files) {
  UploadSettings made;
  made.repo = parse_repo_id(repo);
  made.endpoint = hub_endpoint();
  made.files = std::move(files);
  made.folder = settings.text("path-in-repo");
  while (made.folder.ends_with('/')) made.folder.pop_back();
  if (!made.folder.empty()) require_repo_path(made.folder);
  made.branch = settings.text("branch");
  made.open_pull = settings.enabled("pr");
  made.create = settings.enabled("create");
  made.is_private = settings.enabled("private");
  made.force = settings.enabled("force");
  made.unverified = settings.enabled("unverified");
  if (const auto file = settings.optional_text("token-file")) made.token_file = *file;
  if (made.open_pull && made.branch != "main") {
    throw Error(ErrorKind::usage, "--pr and --branch exclude each other", {},
                "a pull request is always against main");
  }
  if (made.is_private && !made.create) {
    throw Error(ErrorKind::usage, "--private needs --create", {},
                "an existing repository is not made private by an upload");
  }
  made.http.retry.first = std::chrono::milliseconds(settings.number("retry-delay-ms").value());
  made.http.stall = std::chrono::milliseconds(settings.number("stall-limit-ms").value());
  made.http.connect_timeout =
      std::chrono::milliseconds(settings.number("connect-limit-ms").value());
  return made;
}

nlohmann::ordered_json upload_document(const UploadOutcome& outcome) {
  const PublishOutcome& published = outcome.published;
  auto files = nlohmann::ordered_json::array();
  for (const PublishedWheel& wheel : outcome.wheels) {
    files.push_back({{"file", wheel.file.repo_path},
                     {"sha256", wheel.file.sha256.hex()},
                     {"size", wheel.file.size},
                     {"was_present", wheel.file.was_present},
                     {"url", wheel.url},
                     {"pip", wheel.pip},
                     {"uv", wheel.uv},
                     {"dockerfile", wheel.dockerfile}});
  }
  return {{"schema", "sagebuild.upload/1"},
          {"result", word_of(published.result)},
          {"repo", published.repo},
          {"commit", published.commit},
          {"pull_request", published.pull_url},
          {"files", files},
          {"index_files", published.index_files}};
}

void print_upload(const UploadOutcome& outcome) {
  const PublishOutcome& published = outcome.published;
  for (const PublishedWheel& wheel : outcome.wheels) {
    const char* state = wheel.file.was_present                ? "is there already"
                        : published.result == Result::dry_run ? "would be sent"
                                                              : "published";
    fmt::print("{}  {}  sha256 {}  {}\n", wheel.file.repo_path, human_size(wheel.file.size),
               wheel.file.sha256.hex(), state);
    if (wheel.url.empty()) continue;
    fmt::print("  {}\n  {}\n  {}\n  {}\n", wheel.url, wheel.pip, wheel.uv, wheel.dockerfile);
  }
  for (const std::string& file : published.index_files) {
    fmt::print("{}  {}\n", file,
               published.result == Result::dry_run ? "would be updated" : "updated");
  }
  if (published.result == Result::unchanged)
    fmt::print("nothing to do: '{}' has it all\n", published.repo);
  if (!published.pull_url.empty()) fmt::print("pull request: {}\n", published.pull_url);
}

void add_upload_command(Cli& cli) {
  const auto files = std::make_shared<Files>();
  std::vector<SettingSpec> specs = shared_upload_specs();
  specs.insert(specs.begin(), {"repo", "the repository on the Hub, OWNER/NAME"});
  specs.push_back({"dry-run", "say what would be sent, and send nothing", "", {}, true});
  const auto run = [&cli, files](const Settings& settings, Reporter& report) {
    const auto repo = settings.optional_text("repo");
    if (!repo)
      throw Error(ErrorKind::usage, "--repo is missing", {},
                  "name the repository: --repo OWNER/NAME");
    std::vector<std::filesystem::path> wheels(files->begin(), files->end());
    UploadSettings chosen =
        upload_settings(settings, *repo, wheels.empty() ? wheels_of_last_build("dist") : wheels);
    chosen.dry_run = settings.enabled("dry-run");
    const UploadOutcome outcome = upload(chosen, report);
    if (cli.global().json)
      fmt::print("{}\n", upload_document(outcome).dump(2));
    else
      print_upload(outcome);
    return 0;
  };
  CLI::App& command =
      cli.add("upload", "publish wheels on the Hub in one commit", std::move(specs),
              {"sagebuild upload --repo me/wheels",
               "sagebuild upload --repo me/wheels --create --private dist/*.whl",
               "sagebuild upload --repo me/wheels --pr --path-in-repo cu130 dist/*.whl"},
              run);
  command.add_option("FILE", *files, "wheels; none: those of the last build in dist/");
}

}  // namespace sagebuild
