#pragma once
// How far a run is: what its steps took, for its outcome, and what people are told meanwhile.

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "attempt.hpp"
#include "nodes.hpp"
#include "running.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

class Progress {
 public:
  // References outlive it. `parts`: how many steps the graph had that was given; people think of
  // sources and modules, not of what they are made of.
  Progress(const Nodes& nodes, const Attempts& attempts, const Running& running, unsigned jobs,
           std::size_t parts, Reporter& report)
      : nodes_(nodes),
        attempts_(attempts),
        running_(running),
        jobs_(jobs),
        parts_(parts),
        report_(report) {}

  // Seconds since the run began.
  double now() const;

  void step_started(NodeId id);  // its process runs
  // The process is no longer among those that run.
  void process_ended(const ProcessResult& result);
  // The node is done, and `attempt` was the last one at it.
  void step_done(NodeId id, const Attempt& attempt);
  void part_done(NodeId id, double cpu_seconds);
  // Seconds of the steps below a node that were run.
  double cpu_below(NodeId id) const;

  // Nothing has ended for a while.
  void tell_what_is_waited_for(bool has_failed) const;
  // The build has failed, but not ended: minutes of compiling are not thrown away.
  void tell_what_runs() const;

  // At the end.
  ExecOutcome outcome();

 private:
  const Step& step_of(NodeId id) const { return nodes_.at(id).step; }
  StepProgress progress(std::string label) const;
  double pace() const;
  double seconds_left() const;

  const Nodes& nodes_;
  const Attempts& attempts_;
  const Running& running_;
  unsigned jobs_;
  std::size_t parts_;
  Reporter& report_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::size_t parts_done_ = 0;
  std::map<NodeId, double> cpu_below_;
  double expected_ = 0;  // seconds, of the processes that have ended
  double took_ = 0;
  ExecOutcome outcome_;
};

}  // namespace sagebuild
