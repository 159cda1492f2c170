#pragma once
// One node of the graph that the scheduler runs. Made by nvcc and wheel, run by exec.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/sys/process.hpp"

namespace sagebuild {

using StepId = std::size_t;  // index in its graph

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
};

using StepGraph = std::vector<Step>;

}  // namespace sagebuild
