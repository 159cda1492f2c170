#pragma once
// The one parallel stage: runs a graph of steps on a limit of cores and memory, through the action
// cache.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "sagebuild/model/step.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct Limits {
  unsigned jobs = 1;
  std::uint64_t memory = 0;  // bytes that running steps may take together; 0: no limit
};

struct ExecSettings {
  Limits limits;
  std::filesystem::path logs;      // one log per process that printed something
  ActionCache* cache = nullptr;    // may be absent
  CostHistory* history = nullptr;  // likewise
  bool keeps_logs = true;          // false: `logs` goes with the run, so that nobody is sent there
  // Who starts processes and waits for them; absent: they are this machine's. Tests have others.
  ProcessRunner* processes = nullptr;
};

struct ExecOutcome {
  // In the order they ended; a step that expanded stands there by its sub-steps
  std::vector<StepRecord> steps;
  double wall_seconds = 0;
  double cpu_seconds = 0;
  std::uint64_t peak_memory =
      // Bytes, the largest sum of what ran at once: the ended step's peak and the others' expected
      0;
};

// Runs every step once, those with the longest chain behind them first. A step that would pass the
// memory limit waits, but one always runs. A step killed for memory is run once more, alone. A
// failure is reported at once, with what still runs; nothing new starts, what runs ends and is
// kept, and then Error{failed} names all failures. On a signal all groups are ended and Interrupted
// is thrown. Processes are started and waited for by this thread; what steps do inside the process
// is done by as many threads as there are jobs, and counts as one of them.
ExecOutcome execute(StepGraph graph, const ExecSettings& settings, Reporter& report);

// Gives the step the weights of its last run, if there was one, and what that cost.
std::optional<StepCost> load_costs(Step& step, const CostHistory* history);

// Seconds from the start of each step to the end of the graph along its longest chain.
std::vector<double> critical_path(const StepGraph& graph);

}  // namespace sagebuild
