#pragma once
// The growing graph: steps, the sub-steps that they expand into, and which of them may start.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "file_use.hpp"
#include "sagebuild/model/step.hpp"

namespace sagebuild {

inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();

struct Node {
  enum class State { waiting, ready, started, expanded, done, abandoned };

  Step step;
  NodeId parent = kNoNode;
  State state = State::waiting;
  std::size_t waits_for = 0;
  std::vector<NodeId> followers;
  std::vector<NodeId> children;
  double priority = 0;  // seconds from its start to the end of everything that hangs on it
};

class Nodes {
 public:
  // Adds a graph; below `parent` if there is one, whose own followers count for the priorities.
  // Throws Error{bug} for a circle, and what FileUse throws.
  void add(StepGraph graph, NodeId parent, CostHistory* history);

  Node& at(NodeId id) { return nodes_[id]; }
  const Node& at(NodeId id) const { return nodes_[id]; }

  // What a ready node takes when it goes on.
  enum class Need {
    nothing,  // it expands
    worker,   // work inside this process
    process
  };
  // The most urgent ready node for which there is a core or a worker, and memory; it counts as
  // started. Where memory is short a less urgent one may pass.
  template <class NeedOf, class HasWorker, class HasCore, class HasMemory>
  std::optional<NodeId> take_ready(NeedOf need_of, HasWorker has_worker, HasCore has_core,
                                   HasMemory has_memory) {
    for (auto entry = ready_.begin(); entry != ready_.end(); ++entry) {
      const NodeId id = entry->second;
      const Need need = need_of(id);
      if (need == Need::worker && !has_worker()) continue;
      if (need == Need::process && (!has_core() || !has_memory(id))) continue;
      ready_.erase(entry);
      nodes_[id].state = Node::State::started;
      return id;
    }
    return std::nullopt;
  }
  // It was taken, and is to be taken again.
  void put_back(NodeId id) { make_ready(id); }

  // The node is done: its followers may become ready. Gives the parent if that was its last child.
  NodeId done(NodeId id);
  // What stands below the node is given up: what has not started never will. Gives all of it, with
  // what runs.
  std::vector<NodeId> abandon_children(NodeId id);

  bool all_done() const;
  // Seconds, on all cores: what is left is played through, the most urgent first. `running_for`
  // holds the seconds since each running one began.
  double seconds_left(const std::map<NodeId, double>& running_for, unsigned jobs) const;

 private:
  void make_ready(NodeId id);

  FileUse files_;
  std::deque<Node> nodes_;                     // references stay good while it grows
  std::set<std::pair<double, NodeId>> ready_;  // by minus priority, then age
};

}  // namespace sagebuild
