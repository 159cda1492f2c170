#pragma once
// Which step writes which file, and whether whoever reads it comes after: checked for every graph
// when it is added, so that a step which shares a file with another ends the first test that builds
// it.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sagebuild/model/step.hpp"

namespace sagebuild {

using NodeId = std::size_t;

class FileUse {
 public:
  // The steps of `graph` are nodes from `first` on; `parent` is the node that expanded to them,
  // kNoNode at the top. Throws Error{bug} naming steps and path unless
  // - a step that runs a process and has outputs has a folder, which overlaps no other step's;
  // - what a step writes lies below its folder, or is written on behalf of an outer step that has
  // it among its own;
  // - no file has two writers;
  // - whoever reads a file of another step comes after that step, and the step says that it writes
  // the file; the inputs
  //   of an outer step may be read without.
  void add(const StepGraph& graph, NodeId first, NodeId parent);
  // The node was given up: its files may be written by another way of doing the same.
  void forget(NodeId node);

 private:
  struct Entry {
    NodeId parent = 0;
    NodeId first = 0;          // of its graph
    std::vector<bool> before;  // by place in its graph: those that are done when it starts
    std::string label;
  };

  void add_writes(const Step& step, NodeId node);
  void add_folder(const Step& step, NodeId node);
  void require_reads(const Step& step, NodeId node) const;
  bool is_outer(NodeId outer, NodeId node) const;
  bool comes_before(NodeId writer, NodeId reader) const;
  // The node in whose folder `path` lies, or kNoNode.
  NodeId owner_of(const std::filesystem::path& path) const;

  std::map<NodeId, Entry> entries_;
  std::map<std::filesystem::path, NodeId> writers_;  // the outermost
  std::map<std::filesystem::path, NodeId> folders_;
};

}  // namespace sagebuild
