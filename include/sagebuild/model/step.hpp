#pragma once
// One node of the graph that the scheduler runs. Made by nvcc and wheel, run by exec.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

using StepId = std::size_t;  // index in its graph

struct Step;
using StepGraph = std::vector<Step>;

// Why a step's sub-steps came to no good.
struct StepFailure {
  std::string kind;    // of the sub-step: "cicc"
  std::string reason;  // its error's message, or "exit status 2" and its last lines
};

struct Step {
  std::string kind;    // "nvcc", "g++", "cicc", "ptxas", "link", "strip" ...: durations are remembered by kind and subject
  std::string label;   // "nvcc sm_80,sm_89 fused.cu": what the user sees
  std::vector<StepId> after;
  // Asked for when every step in `after` is done. Nothing: there is no process to run, `finish` does it all.
  std::function<std::optional<Command>()> command;
  // After exit 0: checks the outputs and moves them to their places. Throws Error{failed} if they are not good.
  std::function<void()> finish;
  double expected_seconds = 1;               // weight on the critical path
  std::uint64_t expected_memory = 300 << 20;  // bytes; admission counts with it

  // Caching. Asked for when every step in `after` is done; empty, or nothing: run it always. On a hit the outputs are put
  // into their places, and neither `command`, `expand` nor `check` is asked, only `finish`.
  std::function<std::optional<ActionKey>()> key;
  ActionCache::Paths outputs;  // by name; what is stored and restored
  // Direct mode: the key holds options alone, and the result depends on the files that `files_read` names afterwards.
  std::optional<SearchScope> scope;
  std::function<std::vector<std::filesystem::path>()> files_read;
  // Are the outputs good enough to store? After exit 0, before `finish`. Throws Error{failed} if not.
  std::function<void()> check;

  // A step of many: on a miss its sub-steps run in its place (their `after` counts in their own graph) and it is done when
  // they are. Asked with nullptr first; after a failure (a sub-step ended badly, or check or finish threw) all sub-steps
  // still running are stopped and it is asked again for another way. Nothing: there is none, so the step has failed.
  std::function<std::optional<StepGraph>(const StepFailure*)> expand;
};

}  // namespace sagebuild
