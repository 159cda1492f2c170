#pragma once
// How engines and app tell what happens. They report, they do not print: cli has a console and a
// JSON reporter, tests a list. Stages, notes, warnings and details may come from any thread: steps
// say them while they do their work inside the process.

#include <cstdint>
#include <string>
#include <string_view>

namespace sagebuild {

struct Finding;  // sagebuild/model/finding.hpp

// One transfer, however many files it has: done and total are bytes over all of them.
struct TransferProgress {
  std::string what;         // its stage: "fetching thu-ml/SageAttention", "hashing", "sending"
  std::uint64_t done = 0;   // bytes
  std::uint64_t total = 0;  // 0: unknown
  std::uint64_t objects_done = 0;
  std::uint64_t objects_total = 0;
  std::string item = {};  // the file that is on its way: "x.whl"; empty: none in particular
};

// Counted are the parts of the build, sources and modules: how many steps they come to is not known
// before.
struct StepProgress {
  std::size_t done = 0;
  std::size_t total = 0;
  std::string label;         // of the step or part that just started or ended
  double seconds = 0;        // of that step, when it ended; of a part the CPU time of all its steps
  double seconds_left = -1;  // whole build; below 0: unknown
};

class Reporter {
 public:
  virtual ~Reporter() = default;

  virtual void stage(std::string_view text) = 0;  // "fetching ...": one line as each stage begins
  // Worth knowing: where the arch list came from
  virtual void note(std::string_view text) = 0;
  // The result may not be what the user wants
  virtual void warning(std::string_view text) = 0;
  virtual void detail(std::string_view text) = 0;  // with -v, and in the log
  // Of the wheel `file`, which the command prints itself; for who shows it elsewhere too.
  virtual void finding(const Finding&, std::string_view /*file*/) {}
  virtual void transfer(const TransferProgress& progress) = 0;  // often; the reporter thins it out
  // A file of a transfer is through: "sent 'x.whl', 84.0 MB". A line where none overwrites itself.
  virtual void transferred(const TransferProgress&, std::string_view) {}
  virtual void step_started(const StepProgress& progress) = 0;
  virtual void step_finished(const StepProgress& progress) = 0;
  // A source or a module is done, with all of its steps.
  virtual void part_finished(const StepProgress&) {}
  // About once a second while steps run; `label` and `seconds` are of the one that runs longest.
  virtual void waiting(const StepProgress&) {}
  // A step that failed: its command, its whole output once, its log.
  virtual void step_failed(std::string_view label, std::string_view command,
                           std::string_view output, std::string_view log) = 0;
};

}  // namespace sagebuild
