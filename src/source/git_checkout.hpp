#pragma once
// Writes one commit of a repository, with its submodules, into a tree.

#include <string>

#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/repository.hpp"
#include "tree_writer.hpp"

namespace sagebuild {

struct GitSource {
  const Repository& repository;
  // What relative submodule addresses are relative to; may hold credentials
  std::string address;
  bool is_remote = false;  // then its submodules may not be local folders
  bool offline = false;
};

// Gives the paths that were left out because a partial repository lacks them and options.may_miss
// allows it. Any other missing path is in one Error{failed}. `prefix` is the submodule's place in
// the tree, with its slash.
std::vector<std::string> write_commit(const GitSource& source, const std::string& commit,
                                      const std::string& prefix, TreeWriter& tree,
                                      const FetchOptions& options, Reporter& report);

}  // namespace sagebuild
