#pragma once
// One try at one step: what its functions and the cache made of it. What happens inside this
// process may happen on any thread, but only in one place at a time.

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "file_use.hpp"
#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/model/step.hpp"

namespace sagebuild {

struct Attempt {
  std::optional<ActionKey> key;
  // Before the key was made: a file that changes later is not the one that the key names.
  ActionCache::Clock::time_point keyed_at;
  std::uint64_t asked = 0;          // so many keys had been made when the cache was asked
  std::optional<ActionResult> hit;  // whose outputs lie in their places
  ProcessResult result;             // of the step's process, or of all that ran below it
  std::string command;              // for people; empty: no process ran
  std::filesystem::path log;
  double started = 0;            // seconds since the first step
  std::optional<unsigned> lane;  // the place that it takes on the timeline
};

using Attempts = std::map<NodeId, Attempt>;
// The first lane that none of them takes.
unsigned free_lane(const Attempts& attempts);

// Does `prepare` have anything to do?
bool wants_preparing(const Step& step, const ExecSettings& settings);
// Lays out the step's folder, makes its key and asks the cache. A hit is also finished.
void prepare(const Step& step, const ExecSettings& settings, Attempt& attempt);

// Does `accept` have anything to do?
bool wants_accepting(const Step& step, const ExecSettings& settings, const Attempt& attempt);
// After exit 0, or when all below it is done: checks, stores, remembers the cost, finishes.
void accept(const Step& step, const ExecSettings& settings, const Attempt& attempt);

}  // namespace sagebuild
