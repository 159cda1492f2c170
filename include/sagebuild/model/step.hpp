#pragma once
// One node of the graph that the scheduler runs. Made by nvcc and app, run by exec.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/stage.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

using StepId = std::size_t;  // index in its graph

struct Step;
using StepGraph = std::vector<Step>;

// Why a step's sub-steps came to no good.
struct StepFailure {
  Stage stage;         // of the sub-step that failed, the innermost
  std::string reason;  // its error's message, or "exit status 2" and its last lines
};

// A file of an earlier step, copied into the folder of the step that reads it.
struct StepInput {
  std::filesystem::path from;  // written by a step that comes before
  // Relative to the reader's folder: "k.ptx", "compute_89/k.sm_89.cubin"
  std::filesystem::path name;
};

// All functions run once every step in `after` is done, and none beside another of its step; each
// may be empty. What they throw (Error{failed}) makes the step fail. `command` and `expand` run on
// the scheduler's thread, so that they may run processes, and `expand` while nothing below the step
// runs. `key`, `check`, `files_read` and `finish` read, hash and write, on any thread: what they
// share with those of other steps must not change.
//
// A file has one writer. A process runs on copies of its inputs in a folder that no other step
// touches, so it cannot write what another step reads, and its key is made from the very bytes that
// it reads. The scheduler checks this when a graph is added (exec/file_use.hpp): two writers of one
// path, or a reader that does not come after the writer, is a bug and ends the build. (Two steps
// that shared one file once linked the image of an older source.)
struct Step {
  Stage stage = Stage::compile;  // costs are remembered by stage and subject
  // What it is about, the same in every build: "sageattention._fused fused.cu sm_90a"
  std::string subject;
  std::string label;  // what the user sees: "ptxas sm_90a fused.cu"
  std::vector<StepId> after{};

  // Absolute, its own: emptied before anything else, then the inputs are copied in. All that the
  // step writes lies below it, but for what an outer step (the one that expanded to it) has among
  // its own outputs. Empty: it runs no process.
  std::filesystem::path folder{};
  std::vector<StepInput> inputs{};
  // Files of earlier steps that are read where they lie.
  std::vector<std::filesystem::path> reads{};
  // What it writes for later steps beside `outputs`.
  std::vector<std::filesystem::path> writes{};

  // The process to run. Nothing: there is none, `finish` does the work itself.
  std::function<std::optional<Command>()> command{};
  // After exit 0 (or without a process, or after a hit): moves the outputs on to where they belong.
  std::function<void()> finish{};

  // Caching. Nothing: run it always. Asked when the inputs lie in the folder. On a hit the outputs
  // are put into their places, and neither `command`, `expand` nor `check` is asked, only `finish`.
  std::function<std::optional<ActionKey>()> key{};
  ActionCache::Paths outputs{};  // by name; what is stored and restored
  // Direct mode: the key holds options alone, and the result depends on the files that `files_read`
  // names afterwards.
  std::optional<SearchScope> scope{};
  std::function<std::vector<std::filesystem::path>()> files_read{};
  // Are the outputs good enough to store? After exit 0, before `finish`.
  std::function<void()> check{};

  // A step of many: on a miss its sub-steps run in its place (their `after` counts in their own
  // graph) and it is done when they are; at once, where it has none. Asked with nullptr first;
  // after a failure (a sub-step ended badly, or check or finish threw) all sub-steps still running
  // are stopped and it is asked again for another way. Nothing: there is none, so the step has
  // failed.
  std::function<std::optional<StepGraph>(const StepFailure*)> expand{};

  double expected_seconds = 1;                // wall, alone: the weight on the critical path
  std::uint64_t expected_memory = 300 << 20;  // bytes; admission counts with it
};

// What became of a step, for the closing line, the timeline and the costs to remember.
struct StepRecord {
  Stage stage = Stage::compile;
  std::string subject;
  std::string label;
  bool cached = false;
  double started = 0;  // seconds since the first step
  double ended = 0;
  unsigned lane = 0;  // which of the parallel places it ran in
  double cpu_seconds = 0;
  std::uint64_t peak_memory = 0;  // bytes
};

}  // namespace sagebuild
