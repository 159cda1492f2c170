#pragma once
// Steps run by the real scheduler, and what became of them.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/model/step.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {

struct StepRun {
  std::string kind;
  std::string label;
  bool hit = false;
  double cpu_seconds = 0;
  std::uint64_t peak_memory = 0;
};

class StepRunner {
 public:
  // `processes`: who runs commands; none: they are really run.
  explicit StepRunner(ActionCache& cache, ProcessRunner* processes = nullptr)
      : cache_(cache), processes_(processes) {}

  std::vector<StepRun> runs;  // of what had a command or a hit, in the order of their ends

  // Throws Error{failed} that names the step and what it wrote.
  void run(const Step& step) {
    const TempDir logs("steps");
    RecordingReporter reporter;
    ExecSettings settings{.limits = {2, 0}, .logs = logs.path(), .cache = &cache_};
    settings.processes = processes_;
    ExecOutcome outcome;
    try {
      outcome = execute({outer(step)}, settings, reporter);
    } catch (const Error& error) {
      if (reporter.failures.empty()) throw;
      throw Error(ErrorKind::failed, step.label + ": " + reporter.failures.front(),
                  {reporter.failures.front()});
    }
    for (const StepRecord& record : outcome.steps) {
      const bool ran = record.peak_memory > 0;
      if (ran || record.cached)
        runs.push_back(
            {std::string(name_of(record.stage)), record.label, record.cached, record.cpu_seconds, record.peak_memory});
    }
  }

  // How many processes of that kind ran.
  std::size_t count(std::string_view kind) const {
    std::size_t number = 0;
    for (const auto& run : runs) number += run.kind == kind && !run.hit ? 1U : 0U;
    return number;
  }

 private:
  // On whose behalf the step writes outside of its own folder, as a build's modules do.
  static Step outer(const Step& step) {
    Step whole{.stage = Stage::compile, .subject = step.subject, .label = step.label};
    whole.outputs = step.outputs;
    whole.expand = [step](const StepFailure* failure) {
      return failure == nullptr ? std::optional(StepGraph{step}) : std::nullopt;
    };
    return whole;
  }

  ActionCache& cache_;
  ProcessRunner* processes_;
};

}  // namespace sagebuild
