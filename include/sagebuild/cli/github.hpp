#pragma once
// What a run tells GitHub Actions beside its lines: groups, annotations and the job's summary.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "sagebuild/base/error.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

bool on_github();  // GITHUB_ACTIONS is "true"

// Where in the repository something is wrong. GitHub counts paths from the repository's top.
struct FilePlace {
  std::string file;  // empty: not known
  unsigned line = 0;
};

// "::error title=a step failed,file=csrc/x.cu,line=3::text", escaped as GitHub reads it, with a
// newline. `kind` is error, warning or notice.
std::string annotation(std::string_view kind, std::string_view title, std::string_view text,
                       const FilePlace& place = {});

// The first place of a compiler's error in `output` ("PATH(3): error", "PATH:3:7: error") whose
// file lies below the current folder: by the longest end of PATH that is one, since compilers see a
// copy of the source.
FilePlace place_of_error(std::string_view output);

// `text`, which may name files of others, with nothing that GitHub takes for a command: a line that
// begins with "::", or "##[" anywhere. As it is where GITHUB_ACTIONS is not "true".
std::string without_commands(std::string text);

// Stands in front of the console: what runs long is folded into groups, warnings, findings and
// failed steps become annotations, and what others printed cannot become commands. Commands go to
// standard error, which GitHub reads too, so that standard output stays data.
class GithubReporter : public Reporter {
 public:
  explicit GithubReporter(Reporter& console) : console_(console) {}
  ~GithubReporter() override;

  void stage(std::string_view text) override;
  void note(std::string_view text) override;
  void warning(std::string_view text) override;
  void detail(std::string_view text) override;
  void finding(const Finding& finding, std::string_view file) override;
  void transfer(const TransferProgress& progress) override;
  void transferred(const TransferProgress& progress, std::string_view text) override;
  void step_started(const StepProgress& progress) override;
  void step_finished(const StepProgress& progress) override;
  void part_finished(const StepProgress& progress) override;
  void waiting(const StepProgress& progress) override;
  void step_failed(std::string_view label, std::string_view command, std::string_view output,
                   std::string_view log) override;

 private:
  void open_group();
  void close_group();

  std::mutex mutex_;  // one over all calls, so that groups and lines keep their order
  Reporter& console_;
  std::string stage_;
  bool in_group_ = false;
};

// The error that ended the command as an annotation. `shown` is what the console prints of it; it
// may hold the output of others and is printed so that none of it is a command.
void print_github_error(const Error& error, std::string_view shown);

}  // namespace sagebuild
