#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/job_summary.hpp"
#include "sagebuild/cli/upload_options.hpp"

namespace sagebuild {
namespace {

using Files = std::vector<std::string>;
using Result = PublishOutcome::Result;

// One wheel is shown with everything that can be copied; of more than that many, only one line
// each.
constexpr std::size_t kShownWhole = 1;

void append(std::vector<SettingSpec>& specs, std::vector<SettingSpec> more) {
  for (SettingSpec& spec : more) specs.push_back(std::move(spec));
}

// --type says what a prefix of the name may say as well.
RepoId typed_repo(const Settings& settings, std::string_view name) {
  RepoId repo = parse_repo_id(name);
  const auto type = settings.optional_text("type");
  if (!type) return repo;
  if (*type != "model" && *type != "dataset" && *type != "space")
    throw Error(ErrorKind::usage, fmt::format("'{}' is no type of a repository", *type), {},
                "--type is model, dataset or space");
  if (repo.kind != "model" && repo.kind != *type)
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is a {}, and --type says {}", name, repo.kind, *type));
  repo.kind = *type;
  return repo;
}

// --revision is --branch as the Hub's own client calls it.
std::string named_branch(const Settings& settings) {
  const auto branch = settings.find("branch"), revision = settings.find("revision");
  if (!revision) return branch ? branch->text : "main";
  if (branch->origin != "default" && branch->text != revision->text)
    throw Error(ErrorKind::usage, "--branch and --revision name two branches", {},
                "they are the same setting: give one of them");
  return revision->text;
}

}  // namespace

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

std::vector<SettingSpec> hub_access_specs() {
  return {
      {"branch", "the branch; an upload makes a missing one from main", "main"},
      {"token-file",
       "read the Hub's token from this file; else HF_OIDC_RESOURCE, HF_TOKEN, HF_TOKEN_PATH or the "
       "login file"},
      {"retry-delay-ms", "wait before the first retry; doubled with each", "500"},
      {"stall-limit-ms", "give up a transfer that moves no byte for so long", "90000"},
      {"connect-limit-ms", "give up a connection that is not made in this time", "20000"},
  };
}

std::vector<SettingSpec> hub_repo_specs() {
  return {
      {"repo", "the repository on the Hub, OWNER/NAME"},
      {"type", "what it is: model, dataset or space; or datasets/OWNER/NAME [model]"},
      {"revision", "the same as --branch"},
  };
}

std::vector<SettingSpec> hub_commit_specs() {
  return {
      {"pr", "open a pull request instead of committing", "", {}, true},
      {"commit-message", "summary of the commit, and after a line end its description"},
      {"no-readme", "leave README.md alone", "", {}, true},
      {"force-index",
       "replace a wheels.json or SHA256SUMS that is not sagebuild's; drop damaged markers in "
       "README.md",
       "",
       {},
       true},
  };
}

std::vector<SettingSpec> shared_upload_specs() {
  std::vector<SettingSpec> specs = {
      {"create", "make the repository if it is missing", "", {}, true},
      {"private", "when it is made: only you and those you let in see it", "", {}, true},
      {"public-ok", "go on although a private one was asked for and it is public", "", {}, true},
      {"sdk", "of a Space that is made", "static"},
      {"path-in-repo", "folder in the repository"},
      {"force", "replace a published wheel of the same name that has other content", "", {}, true},
      {"unverified",
       "take a wheel that `sagebuild verify` finds errors in, if its archive and RECORD are sound",
       "",
       {},
       true},
  };
  append(specs, hub_commit_specs());
  append(specs, hub_access_specs());
  return specs;
}

std::string named_repo(const Settings& settings) {
  if (const auto repo = settings.optional_text("repo")) return *repo;
  throw Error(ErrorKind::usage, "--repo is missing", {}, "name the repository: --repo OWNER/NAME");
}

HubSettings hub_settings(const Settings& settings, std::string_view repo) {
  HubSettings made;
  made.repo = typed_repo(settings, repo);
  made.endpoint = hub_endpoint();
  made.branch = named_branch(settings);
  made.open_pull = settings.enabled("pr");
  made.force = settings.enabled("force");
  made.dry_run = settings.enabled("dry-run");
  made.commit_message = settings.text("commit-message");
  made.index.with_readme = !settings.enabled("no-readme");
  made.index.force = settings.enabled("force-index");
  if (const auto file = settings.optional_text("token-file")) made.token_file = *file;
  if (made.open_pull && made.branch != "main") {
    throw Error(
        ErrorKind::usage,
        fmt::format("{} and {} exclude each other", settings.flag("pr"), settings.flag("branch")),
        {}, "a pull request is always against main");
  }
  if (!made.open_pull) require_branch_name(made.branch);
  const bool has_control = std::ranges::any_of(made.commit_message, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
  });
  const std::string_view message = made.commit_message;
  if ((!message.empty() && trimmed(message.substr(0, message.find('\n'))).empty()) || has_control ||
      first_bad_utf8(message))
    throw Error(ErrorKind::usage,
                fmt::format("{} has no summary, control characters, or is no UTF-8",
                            settings.flag("commit-message")),
                {}, "its first line is the summary");
  made.http.retry.first = std::chrono::milliseconds(settings.number("retry-delay-ms").value());
  made.http.stall = std::chrono::milliseconds(settings.number("stall-limit-ms").value());
  made.http.connect_timeout =
      std::chrono::milliseconds(settings.number("connect-limit-ms").value());
  return made;
}

UploadSettings upload_settings(const Settings& settings, std::string_view repo,
                               std::vector<std::filesystem::path> files) {
  UploadSettings made;
  static_cast<HubSettings&>(made) = hub_settings(settings, repo);
  made.files = std::move(files);
  made.include = settings.list("include");
  made.exclude = settings.list("exclude");
  made.folder = settings.text("path-in-repo");
  while (made.folder.ends_with('/')) made.folder.pop_back();
  if (!made.folder.empty()) require_repo_path(made.folder);
  made.create = settings.enabled("create");
  made.is_private = settings.enabled("private");
  made.public_ok = settings.enabled("public-ok");
  made.unverified = settings.enabled("unverified");
  made.fix_names = settings.enabled("fix-names");
  made.sdk = settings.text("sdk");
  constexpr std::string_view kSdks[] = {"static", "gradio", "docker", "streamlit"};
  if (std::ranges::find(kSdks, made.sdk) == std::end(kSdks))
    throw Error(ErrorKind::usage, fmt::format("'{}' is no sdk of a Space", made.sdk), {},
                settings.flag("sdk") + " is static, gradio, docker or streamlit");
  if (made.is_private && !made.create) {
    throw Error(ErrorKind::usage,
                fmt::format("{} needs {}", settings.flag("private"), settings.flag("create")), {},
                "an existing repository is not made private by an upload");
  }
  return made;
}

nlohmann::ordered_json upload_document(const UploadOutcome& outcome) {
  const PublishOutcome& published = outcome.published;
  auto files = nlohmann::ordered_json::array();
  std::uint64_t bytes = 0;
  for (const PublishedWheel& wheel : outcome.wheels) {
    bytes += wheel.file.size;
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
          {"private", published.is_private},
          {"commit", published.commit},
          {"repo_url", outcome.repo_url},
          {"commit_url", outcome.commit_url},
          {"pull_request", published.pull_url},
          {"bytes_sent", published.bytes_sent},
          {"bytes_skipped", bytes - std::min(bytes, published.bytes_sent)},
          {"seconds", outcome.seconds},
          {"files", files},
          {"index_files", published.index_files}};
}

void print_upload(const UploadOutcome& outcome) {
  const PublishOutcome& published = outcome.published;
  const bool is_dry = published.result == Result::dry_run;
  std::uint64_t bytes = 0;
  std::size_t there = 0;
  for (const PublishedWheel& wheel : outcome.wheels) {
    bytes += wheel.file.size;
    there += wheel.file.was_present ? 1 : 0;
    if (wheel.url.empty() || outcome.wheels.size() <= kShownWhole) {
      fmt::print("{}  {}  sha256 {}  {}\n", wheel.file.repo_path, human_size(wheel.file.size),
                 wheel.file.sha256.hex(),
                 wheel.file.was_present ? "is there already"
                 : is_dry               ? "would be sent"
                                        : "published");
    }
    if (wheel.url.empty()) continue;
    if (outcome.wheels.size() <= kShownWhole)
      fmt::print("  {}\n  {}\n  {}\n  {}\n", wheel.url, wheel.pip, wheel.uv, wheel.dockerfile);
    else
      fmt::print("{}\n", wheel.pip);
  }
  if (!published.index_files.empty())
    fmt::print("index files {}: {}\n", is_dry ? "that would change" : "changed",
               join(published.index_files, ", "));
  if (published.is_private) fmt::print("private: the lines above need a token in HF_TOKEN\n");
  fmt::print("repository: {}\n", outcome.repo_url);
  if (!outcome.commit_url.empty()) fmt::print("commit: {}\n", outcome.commit_url);
  if (!published.pull_url.empty()) fmt::print("pull request: {}\n", published.pull_url);
  if (is_dry) return;
  const std::uint64_t skipped = bytes - std::min(bytes, published.bytes_sent);
  fmt::print("sent {} in {}", human_size(published.bytes_sent), human_time(outcome.seconds));
  if (skipped > 0) fmt::print("; {} not sent again", human_size(skipped));
  if (there > 0)
    fmt::print(" ({} of {} there already)", there, counted(outcome.wheels.size(), "file"));
  fmt::print("\n");
  if (published.result == Result::unchanged)
    fmt::print("nothing to do: '{}' has it all\n", published.repo);
}

void add_upload_command(Cli& cli) {
  const auto files = std::make_shared<Files>();
  std::vector<SettingSpec> specs = hub_repo_specs();
  append(specs, shared_upload_specs());
  append(specs,
         {{"include", "take only files that this glob fits", "", {}, false, true},
          {"exclude", "leave files out that this glob fits", "", {}, false, true},
          {"fix-names",
           "publish a wheel whose name a download has changed (%2B, \" (1)\") under its "
           "true name",
           "",
           {},
           true},
          {"dry-run", "say what would be sent, and send nothing", "", {}, true},
          {"output", "where `build` left the wheels that are meant without a FILE", "dist"}});
  const auto run = [&cli, files](const Settings& settings, Reporter& report) {
    std::vector<std::filesystem::path> wheels(files->begin(), files->end());
    const std::string repo = named_repo(settings);
    const UploadSettings chosen = upload_settings(
        settings, repo,
        wheels.empty() ? wheels_of_last_build(settings.text("output")) : std::move(wheels));
    const UploadOutcome outcome = upload(chosen, report);
    append_job_summary(summary_of_upload(outcome));
    if (cli.global().json)
      fmt::print("{}\n", json_lines(upload_document(outcome)));
    else
      print_upload(outcome);
    return 0;
  };
  CLI::App& command =
      cli.add("upload", "publish wheels on the Hub in one commit", std::move(specs),
              {"sagebuild upload --repo me/wheels",
               "sagebuild upload --repo me/wheels --create --private dist/*.whl",
               "sagebuild upload --repo me/wheels --pr --path-in-repo cu130 dist/*.whl",
               "sagebuild upload --repo me/wheels --type dataset --exclude '*-cp39-*' wheels/"},
              run);
  command.add_option("FILE", *files,
                     "wheels, and folders with wheels; none: those of the last build");
}

}  // namespace sagebuild
