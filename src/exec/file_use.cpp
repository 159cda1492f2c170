#include "file_use.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nodes.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void bug(std::string text) { throw Error(ErrorKind::bug, std::move(text)); }

std::vector<fs::path> written_by(const Step& step) {
  std::vector<fs::path> paths = step.writes;
  for (const auto& [name, path] : step.outputs) paths.push_back(path);
  return paths;
}

std::vector<fs::path> read_by(const Step& step) {
  std::vector<fs::path> paths = step.reads;
  for (const StepInput& input : step.inputs) paths.push_back(input.from);
  return paths;
}

// For each step, which others are done when it starts. The graph has no circle: critical_path has
// looked.
std::vector<std::vector<bool>> done_before(const StepGraph& graph) {
  std::vector<std::vector<bool>> before(graph.size());
  const auto fill = [&](auto& self, StepId id) -> const std::vector<bool>& {
    std::vector<bool>& mine = before[id];
    if (!mine.empty()) return mine;
    mine.resize(graph.size());
    for (const StepId earlier : graph[id].after) {
      const std::vector<bool>& others = self(self, earlier);
      for (StepId other = 0; other < graph.size(); ++other)
        mine[other] = mine[other] || others[other];
      mine[earlier] = true;
    }
    return mine;
  };
  for (StepId id = 0; id < graph.size(); ++id) fill(fill, id);
  return before;
}

}  // namespace

void FileUse::add(const StepGraph& graph, NodeId first, NodeId parent) {
  const auto before = done_before(graph);
  for (StepId id = 0; id < graph.size(); ++id)
    entries_[first + id] = {parent, first, before[id], graph[id].label};
  for (StepId id = 0; id < graph.size(); ++id) {
    add_folder(graph[id], first + id);
    add_writes(graph[id], first + id);
  }
  for (StepId id = 0; id < graph.size(); ++id) require_reads(graph[id], first + id);
}

void FileUse::forget(NodeId node) {
  entries_.erase(node);
  std::erase_if(writers_, [&](const auto& entry) { return entry.second == node; });
  std::erase_if(folders_, [&](const auto& entry) { return entry.second == node; });
}

void FileUse::add_folder(const Step& step, NodeId node) {
  if (step.folder.empty()) {
    if (!step.inputs.empty())
      bug(fmt::format("step '{}' has inputs and no folder for them", step.label));
    if (step.command && !written_by(step).empty())
      bug(fmt::format("step '{}' writes files and has no folder of its own", step.label));
    return;
  }
  if (!step.folder.is_absolute())
    bug(fmt::format("the folder of step '{}' is not absolute", step.label));
  const auto clash = std::ranges::find_if(folders_, [&](const auto& other) {
    return is_below(other.first, step.folder) || is_below(step.folder, other.first);
  });
  if (clash != folders_.end())
    bug(fmt::format("steps '{}' and '{}' share the folder '{}'", entries_.at(clash->second).label,
                    step.label, step.folder.string()));
  folders_[step.folder] = node;
}

void FileUse::add_writes(const Step& step, NodeId node) {
  for (const fs::path& path : written_by(step)) {
    const auto [writer, is_first] = writers_.try_emplace(path, node);
    if (!is_first && !is_outer(writer->second, node))
      bug(fmt::format("'{}' is written by '{}' and by '{}'", path.string(),
                      entries_.at(writer->second).label, step.label));
    if (is_first && !step.folder.empty() && !is_below(path, step.folder))
      bug(fmt::format("step '{}' writes '{}', outside of its folder", step.label, path.string()));
  }
}

void FileUse::require_reads(const Step& step, NodeId node) const {
  for (const fs::path& path : read_by(step)) {
    const auto writer = writers_.find(path);
    const NodeId owner = writer == writers_.end() ? owner_of(path) : writer->second;
    if (owner == kNoNode || owner == node) continue;  // no step's, or its own
    // The inputs of an outer step lie there since before it expanded.
    if (writer == writers_.end() && is_outer(owner, node)) continue;
    if (writer == writers_.end())
      bug(fmt::format("step '{}' reads '{}', which '{}' does not say that it writes", step.label,
                      path.string(), entries_.at(owner).label));
    if (!comes_before(owner, node))
      bug(fmt::format("step '{}' reads '{}' and does not wait for '{}', which writes it",
                      step.label, path.string(), entries_.at(owner).label));
  }
}

bool FileUse::is_outer(NodeId outer, NodeId node) const {
  for (NodeId above = entries_.at(node).parent; above != kNoNode;
       above = entries_.at(above).parent) {
    if (above == outer) return true;
  }
  return false;
}

// In the innermost graph that holds both, or steps around them.
bool FileUse::comes_before(NodeId writer, NodeId reader) const {
  for (NodeId later = reader; later != kNoNode; later = entries_.at(later).parent) {
    for (NodeId earlier = writer; earlier != kNoNode; earlier = entries_.at(earlier).parent) {
      if (entries_.at(earlier).parent != entries_.at(later).parent) continue;
      if (earlier == later) continue;
      if (entries_.at(earlier).first == entries_.at(later).first)
        return entries_.at(later).before[earlier - entries_.at(earlier).first];
    }
  }
  return false;
}

NodeId FileUse::owner_of(const fs::path& path) const {
  const auto owner = std::ranges::find_if(
      folders_, [&](const auto& entry) { return is_below(path, entry.first); });
  return owner == folders_.end() ? kNoNode : owner->second;
}

}  // namespace sagebuild
