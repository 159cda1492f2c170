#pragma once
// A recorded run of setup.py, kept in the cache: it takes 3 s, and a warm build has no more than
// half of that.
//
// The key holds what a setup.py sees without opening it: the tree, what git says of it, the
// environment it runs in, Python and every installed distribution, the toolkit, the host compiler,
// and the GPUs of the machine. What it opens or lists elsewhere is written down by an audit hook in
// each Python of the run (patches/probe/sitecustomize.py), and stands for the recording as in the
// cache's direct mode. Not in it: the date, the network, and files that are only tested for. A run
// is not kept if it writes into its tree (code generators do), for a hit would lack what it wrote,
// or starts a program that is not known, whose files are not written down.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/probe/record_setup.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// Paths, modes, contents and link targets of a tree, without what setuptools makes at its top
// (build, dist, *.egg-info) and without __pycache__ and .git.
Digest tree_digest(const std::filesystem::path& root);

// A folder that looks like the toolkit, with this program under the name nvcc: CUDA_HOME of a
// recorded run whose compiles do not go through ninja.
inline std::filesystem::path cuda_stand_in(const RecordSettings& settings) {
  return settings.work / "cuda";
}

// The run with our sitecustomize in front of Python's path: it notes what is read and tells of
// GPUs, where it is asked to.
Command with_hook(Command command);

class RecordCache {
 public:
  // `command` is the run of setup.py as it would be started. Digests the tree.
  RecordCache(const RecordSettings& settings, const Command& command, const PythonEnv& python,
              const Toolchain& toolchain, ActionCache& cache);

  // The same run, with the hook that writes down what it reads.
  Command listening(Command command) const;

  // Puts records and wheel where a run would have left them. False: run it.
  bool restore();
  // After a run that began at `started` and ended well.
  void keep(const ProcessResult& run, ActionCache::Clock::time_point started, Reporter& report);

  // Names of environment variables that the project's own code asked for, in this run or in the one
  // that was restored.
  std::vector<std::string> variables() const;

  const ActionKey& key() const { return key_; }

 private:
  std::filesystem::path reads() const;

  const RecordSettings& settings_;
  ActionCache& cache_;
  Digest tree_;
  PathRoots roots_;  // of this run
  std::filesystem::path host_compiler_;
  std::filesystem::path cuda_home_;
  ActionKey key_;
  std::optional<std::string> restored_variables_;
};

}  // namespace sagebuild
