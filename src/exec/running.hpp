#pragma once
// The processes that run, and whether there is memory for one more beside them.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "nodes.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

class Running {
 public:
  // `nodes` outlives it. `memory`: bytes that all of them may take together; 0: no limit.
  Running(const Nodes& nodes, std::uint64_t memory) : nodes_(nodes), memory_(memory) {}

  void add(ProcessRunner::Id process, NodeId node) { processes_.emplace(process, node); }
  // The process has ended.
  NodeId take(ProcessRunner::Id process);
  // The processes of those nodes, which count no more.
  std::vector<ProcessRunner::Id> take_all_of(const std::vector<NodeId>& nodes);

  bool empty() const { return processes_.empty(); }
  std::size_t size() const { return processes_.size(); }
  std::vector<NodeId> nodes() const;

  // Bytes, as their steps are expected to take.
  std::uint64_t expected_memory() const;
  // One always may run.
  bool has_memory_for(NodeId node) const;
  // From now on nothing runs beside it. False if that was said before.
  bool set_alone(NodeId node) { return alone_.insert(node).second; }

 private:
  const Nodes& nodes_;
  std::uint64_t memory_;
  std::map<ProcessRunner::Id, NodeId> processes_;
  std::set<NodeId> alone_;
};

}  // namespace sagebuild
