#include "sagebuild/cli/github.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/finding.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// As @actions/core escapes: of the text percent and line ends, of a property its separators too.
std::string escaped(std::string_view text, bool is_property) {
  std::string safe = replaced(printable(redacted(text)), "%", "%25");
  safe = replaced(replaced(std::move(safe), "\r", "%0D"), "\n", "%0A");
  return is_property ? replaced(replaced(std::move(safe), ":", "%3A"), ",", "%2C") : safe;
}

void print(std::string_view text) { std::fputs(std::string(text).c_str(), stderr); }

// While one is alive GitHub takes no line for a command.
class StoppedCommands {
 public:
  StoppedCommands() {
    std::random_device random;
    token_ = fmt::format("sagebuild-{:08x}{:08x}", random(), random());
    print(fmt::format("::stop-commands::{}\n", token_));
  }
  ~StoppedCommands() { print(fmt::format("::{}::\n", token_)); }
  StoppedCommands(const StoppedCommands&) = delete;
  StoppedCommands& operator=(const StoppedCommands&) = delete;

 private:
  std::string token_;
};

// Its label names a file of the project's.
StepProgress shown(StepProgress progress) {
  progress.label = without_commands(std::move(progress.label));
  return progress;
}

// A line that GitHub might take for a command of the old or the new kind.
bool may_hold_command(std::string_view text) {
  return text.find("##[") != std::string_view::npos || trimmed(text).starts_with("::") ||
         text.find('\n') != std::string_view::npos;
}

// "csrc/x.cu" of "/tmp/sagebuild.x/tree/csrc/x.cu" where the current folder has that file.
std::string file_here(std::string_view path) {
  while (!path.empty()) {
    if (path.front() != '/' && is_file(fs::path(path))) break;
    const auto slash = path.find('/');
    if (slash == std::string_view::npos) return "";
    path.remove_prefix(slash + 1);
  }
  if (path.empty()) return "";
  const fs::path top = environment_value("GITHUB_WORKSPACE").value_or("");
  const fs::path whole = absolute_path(fs::path(path));
  const fs::path inside = top.empty() ? fs::path() : whole.lexically_relative(top);
  return inside.empty() || *inside.begin() == ".." ? std::string(path) : inside.string();
}

// "PATH(3): error ..." or "PATH:3:7: error ..."
std::optional<FilePlace> place_in_line(std::string_view line) {
  const auto word = line.find(" error");
  if (word == std::string_view::npos || word == 0 || line[word - 1] != ':') return std::nullopt;
  std::string_view place = trimmed(line.substr(0, word - 1));
  if (place.ends_with(')')) place.remove_suffix(1);
  const auto mark = place.find_first_of("(:");
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view rest = place.substr(mark + 1);
  const auto number = to_integer(rest.substr(0, rest.find_first_not_of("0123456789")));
  const std::string file = file_here(place.substr(0, mark));
  if (!number || *number < 1 || file.empty()) return std::nullopt;
  return FilePlace{file, static_cast<unsigned>(*number)};
}

}  // namespace

std::string without_commands(std::string text) {
  if (!on_github()) return text;
  std::string safe;
  for (const std::string_view line : lines_of(text)) {
    const auto begin = std::min(line.find_first_not_of(" \t\v\f\r"), line.size());
    if (line.substr(begin).starts_with("::"))
      safe += fmt::format("{} {}\n", line.substr(0, begin + 1), line.substr(begin + 1));
    else
      safe += fmt::format("{}\n", line);
  }
  if (!text.ends_with('\n') && !safe.empty()) safe.pop_back();
  return replaced(std::move(safe), "##[", "# #[");
}

bool on_github() { return environment_value("GITHUB_ACTIONS") == "true"; }

std::string annotation(std::string_view kind, std::string_view title, std::string_view text,
                       const FilePlace& place) {
  std::string properties;
  const auto add = [&](std::string_view name, std::string_view value) {
    properties +=
        fmt::format("{}{}={}", properties.empty() ? " " : ",", name, escaped(value, true));
  };
  if (!title.empty()) add("title", title);
  if (!place.file.empty()) add("file", place.file);
  if (place.line != 0) add("line", std::to_string(place.line));
  return fmt::format("::{}{}::{}\n", kind, properties, escaped(text, false));
}

FilePlace place_of_error(std::string_view output) {
  for (const std::string_view line : lines_of(output))
    if (const auto place = place_in_line(line)) return *place;
  return {};
}

GithubReporter::~GithubReporter() { close_group(); }

void GithubReporter::open_group() {
  if (in_group_) return;
  print(fmt::format("::group::{}\n", escaped(stage_.empty() ? "progress" : stage_, false)));
  in_group_ = true;
}

void GithubReporter::close_group() {
  if (in_group_) print("::endgroup::\n");
  in_group_ = false;
}

void GithubReporter::stage(std::string_view text) {
  const std::lock_guard lock(mutex_);
  close_group();
  stage_ = text;
  console_.stage(without_commands(std::string(text)));
}

void GithubReporter::note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  console_.note(without_commands(std::string(text)));
}

// Instead of the console's line: GitHub shows the annotation in the log as "Warning: ...".
void GithubReporter::warning(std::string_view text) {
  const std::lock_guard lock(mutex_);
  log_line(fmt::format("warning: {}", text));
  print(annotation("warning", "", text));
}

// May hold what a setup.py printed.
void GithubReporter::detail(std::string_view text) {
  const std::lock_guard lock(mutex_);
  std::optional<StoppedCommands> stopped;
  if (may_hold_command(text)) stopped.emplace();
  console_.detail(text);
}

void GithubReporter::finding(const Finding& finding, std::string_view file) {
  const std::lock_guard lock(mutex_);
  const std::string kind =
      finding.severity == Severity::note ? "notice" : name_of(finding.severity);
  const FindingKind* known = finding_kind(finding.code);
  print(annotation(kind, known ? fmt::format("{} {}", finding.code, known->title) : finding.code,
                   fmt::format("{}: {}", finding.subject, finding.message),
                   {std::string(file), 0}));
}

void GithubReporter::transfer(const TransferProgress& progress) {
  const std::lock_guard lock(mutex_);
  console_.transfer(progress);
}

void GithubReporter::transferred(const TransferProgress& progress, std::string_view text) {
  const std::lock_guard lock(mutex_);
  open_group();
  console_.transferred(progress, without_commands(std::string(text)));
}

void GithubReporter::step_started(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  console_.step_started(shown(progress));
}

void GithubReporter::step_finished(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  console_.step_finished(shown(progress));
}

void GithubReporter::part_finished(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  open_group();
  console_.part_finished(shown(progress));
}

void GithubReporter::waiting(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  open_group();
  console_.waiting(shown(progress));
}

void GithubReporter::step_failed(std::string_view label, std::string_view command,
                                 std::string_view output, std::string_view log) {
  const std::lock_guard lock(mutex_);
  close_group();  // a failure is not folded away
  {
    const StoppedCommands stopped;
    console_.step_failed(label, command, output, log);
  }
  constexpr std::size_t kShown = 2000;  // bytes: GitHub shows no more than the beginning
  print(annotation("error", fmt::format("failed: {}", label), output.substr(0, kShown),
                   place_of_error(output)));
}

void print_github_error(const Error& error, std::string_view shown) {
  {
    const StoppedCommands stopped;
    print(shown);
  }
  std::string text = error.message;
  for (const std::string& cause : error.causes) text += "\n" + cause;
  if (!error.hint.empty()) text += "\nhint: " + error.hint;
  print(annotation("error", fmt::format("sagebuild: exit code {}", static_cast<int>(error.kind)),
                   text, place_of_error(text)));
}

}  // namespace sagebuild
