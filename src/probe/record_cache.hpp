#pragma once
// A recorded run of setup.py, kept in the cache: it takes 3 s, and a warm build has no more than half of that.
//
// What a setup.py reads cannot be known, so the key holds all that it can reasonably see: the tree, the environment it
// runs in, Python and every installed distribution with its content, the toolkit, the host compiler, and the GPUs of
// the machine. Not in it: the date, the network, and files outside of the tree. A setup.py that writes into its tree
// (code generators do) is not stored, because a hit would lack what it wrote.

#include <filesystem>

#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/probe/record_setup.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// Paths, modes, contents and link targets of a tree, without what setuptools makes at its top (build, dist, *.egg-info)
// and without __pycache__ and .git.
Digest tree_digest(const std::filesystem::path& root);

class RecordCache {
 public:
  // `command` is the run of setup.py as it would be started. Digests the tree.
  RecordCache(const RecordSettings& settings, const Command& command, const PythonEnv& python,
              const Toolchain& toolchain, ActionCache& cache);

  // Puts records and wheel where a run would have left them. False: run it.
  bool restore();
  // After a run that ended well.
  void keep(const ProcessResult& run, Reporter& report);

  const ActionKey& key() const { return key_; }

 private:
  std::string with_names(std::string text) const;  // paths of this run -> names
  std::string with_paths(std::string text) const;

  const RecordSettings& settings_;
  ActionCache& cache_;
  Digest tree_;
  ActionKey key_;
};

}  // namespace sagebuild
