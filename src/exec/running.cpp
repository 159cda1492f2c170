#include "running.hpp"

#include <algorithm>

namespace sagebuild {

NodeId Running::take(ProcessRunner::Id process) {
  const NodeId node = processes_.at(process);
  processes_.erase(process);
  return node;
}

std::vector<ProcessRunner::Id> Running::take_all_of(const std::vector<NodeId>& nodes) {
  std::vector<ProcessRunner::Id> taken;
  std::erase_if(processes_, [&](const auto& entry) {
    if (std::ranges::find(nodes, entry.second) == nodes.end()) return false;
    taken.push_back(entry.first);
    return true;
  });
  return taken;
}

std::vector<NodeId> Running::nodes() const {
  std::vector<NodeId> nodes;
  for (const auto& [process, node] : processes_) nodes.push_back(node);
  return nodes;
}

std::uint64_t Running::expected_memory() const {
  std::uint64_t together = 0;
  for (const auto& [process, node] : processes_) together += nodes_.at(node).step.expected_memory;
  return together;
}

bool Running::has_memory_for(NodeId node) const {
  if (empty()) return true;
  const auto runs_alone = [&](const auto& entry) { return alone_.contains(entry.second); };
  if (alone_.contains(node) || std::ranges::any_of(processes_, runs_alone)) return false;
  return memory_ == 0 || expected_memory() + nodes_.at(node).step.expected_memory <= memory_;
}

}  // namespace sagebuild
