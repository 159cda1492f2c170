#include "nodes.hpp"

#include <algorithm>
#include <tuple>

#include "sagebuild/base/error.hpp"
#include "sagebuild/exec/scheduler.hpp"

namespace sagebuild {

std::optional<StepCost> load_costs(Step& step, const CostHistory* history) {
  const auto known =
      history == nullptr ? std::nullopt : history->get(name_of(step.stage), step.subject);
  if (!known) return std::nullopt;
  step.expected_seconds = known->wall_seconds;
  step.expected_memory = known->peak_memory;
  return known;
}

std::vector<double> critical_path(const StepGraph& graph) {
  // Kahn's order: a step comes after all that it waits for, so going backwards every follower is
  // known.
  std::vector<std::size_t> waits_for(graph.size());
  std::vector<std::vector<StepId>> followers(graph.size());
  std::vector<StepId> order;
  for (StepId id = 0; id < graph.size(); ++id) {
    waits_for[id] = graph[id].after.size();
    for (const StepId earlier : graph[id].after) followers.at(earlier).push_back(id);
    if (waits_for[id] == 0) order.push_back(id);
  }
  for (std::size_t next = 0; next < order.size(); ++next) {
    for (const StepId later : followers[order[next]]) {
      if (--waits_for[later] == 0) order.push_back(later);
    }
  }
  if (order.size() != graph.size()) throw Error(ErrorKind::bug, "the graph of steps has a circle");
  std::vector<double> length(graph.size());
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    double longest = 0;
    for (const StepId later : followers[*id]) longest = std::max(longest, length[later]);
    length[*id] = graph[*id].expected_seconds + longest;
  }
  return length;
}

void Nodes::make_ready(NodeId id) {
  nodes_[id].state = Node::State::ready;
  ready_.emplace(-nodes_[id].priority, id);
}

void Nodes::add(StepGraph graph, NodeId parent, CostHistory* history) {
  for (Step& step : graph) load_costs(step, history);
  const std::vector<double> lengths = critical_path(graph);
  const NodeId first = nodes_.size();
  files_.add(graph, first, parent);
  double behind = 0;  // what waits for the parent
  if (parent != kNoNode) {
    for (const NodeId follower : nodes_[parent].followers)
      behind = std::max(behind, nodes_[follower].priority);
    nodes_[parent].state = Node::State::expanded;
  }
  for (StepId id = 0; id < graph.size(); ++id) {
    Node node;
    node.step = std::move(graph[id]);
    node.parent = parent;
    node.waits_for = node.step.after.size();
    node.priority = lengths[id] + behind;
    nodes_.push_back(std::move(node));
    if (parent != kNoNode) nodes_[parent].children.push_back(first + id);
  }
  for (NodeId id = first; id < nodes_.size(); ++id) {
    for (const StepId earlier : nodes_[id].step.after)
      nodes_[first + earlier].followers.push_back(id);
    if (nodes_[id].waits_for == 0) make_ready(id);
  }
}

NodeId Nodes::done(NodeId id) {
  Node& node = nodes_[id];
  node.state = Node::State::done;
  for (const NodeId later : node.followers) {
    if (--nodes_[later].waits_for == 0) make_ready(later);
  }
  if (node.parent == kNoNode) return kNoNode;
  const auto is_done = [&](NodeId child) { return nodes_[child].state == Node::State::done; };
  return std::ranges::all_of(nodes_[node.parent].children, is_done) ? node.parent : kNoNode;
}

std::vector<NodeId> Nodes::abandon_children(NodeId id) {
  std::vector<NodeId> all;
  std::vector<NodeId> below = {id};
  while (!below.empty()) {
    const NodeId parent = below.back();
    below.pop_back();
    for (const NodeId child : nodes_[parent].children) {
      Node& node = nodes_[child];
      all.push_back(child);
      if (node.state == Node::State::ready) ready_.erase({-node.priority, child});
      node.state = Node::State::abandoned;
      files_.forget(child);
      below.push_back(child);
    }
    nodes_[parent].children.clear();
  }
  return all;
}

bool Nodes::all_done() const {
  return std::ranges::all_of(nodes_, [](const Node& node) {
    return node.state == Node::State::done || node.state == Node::State::abandoned;
  });
}

double Nodes::seconds_left(const std::map<NodeId, double>& running_for, unsigned jobs) const {
  std::vector<std::size_t> waits_for(nodes_.size()), children_left(nodes_.size());
  auto ready = ready_;
  std::set<std::pair<double, NodeId>> ends;  // of what runs, by when it ends
  unsigned free = std::max(1U, jobs);
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    const Node& node = nodes_[id];
    waits_for[id] = node.waits_for;
    for (const NodeId child : node.children)
      children_left[id] += nodes_[child].state == Node::State::done ? 0U : 1U;
    if (node.state != Node::State::started) continue;
    const auto running = running_for.find(id);
    const double since = running == running_for.end() ? 0 : running->second;
    ends.emplace(std::max(0.0, node.step.expected_seconds - since), id);
    free -= std::min(free, 1U);
  }
  double time = 0;
  while (true) {
    while (!ready.empty() && (free > 0 || ends.empty())) {
      const NodeId next = ready.begin()->second;
      ready.erase(ready.begin());
      ends.emplace(time + nodes_[next].step.expected_seconds, next);
      free -= std::min(free, 1U);
    }
    if (ends.empty()) return time;
    NodeId ended = kNoNode;
    std::tie(time, ended) = *ends.begin();
    ends.erase(ends.begin());
    free = std::min(std::max(1U, jobs), free + 1);
    while (ended != kNoNode) {  // with its last child a parent ends, too
      for (const NodeId later : nodes_[ended].followers) {
        if (--waits_for[later] == 0) ready.emplace(-nodes_[later].priority, later);
      }
      ended = nodes_[ended].parent;
      if (ended != kNoNode && --children_left[ended] > 0) break;
    }
  }
}

}  // namespace sagebuild
