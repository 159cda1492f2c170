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
  std::string kind;     // "nvcc", "g++", "cicc", "ptxas", "link", "strip" ...: costs are remembered by kind and subject
  std::string subject;  // what it is about, the same in every build: "sageattention._fused fused.cu sm_90a"
  std::string label;    // what the user sees: "ptxas sm_90a fused.cu"
  std::vector<StepId> after;

  // The functions run on the scheduler's thread, in this order, once every step in `after` is done.
  // True: a cache had the result, nothing is to run. May be empty.
  std::function<bool()> cached{};
  // The process to run. Nothing: there is none, `finish` does the work itself. May be empty.
  std::function<std::optional<Command>()> command{};
  // After exit 0 (or without a process): checks the outputs, moves them to their places, stores them. May be empty.
  // Throws Error{failed} if they are not good.
  std::function<void(const ProcessResult&)> finish{};

  double expected_seconds = 1;                // wall, alone: the weight on the critical path
  std::uint64_t expected_memory = 300 << 20;  // bytes; admission counts with it
  unsigned threads = 1;                       // cores that it keeps busy
};

using StepGraph = std::vector<Step>;

// What became of a step, for the closing line, the timeline and the costs to remember.
struct StepRecord {
  StepId id = 0;
  std::string kind;
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
