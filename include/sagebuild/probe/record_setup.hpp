#pragma once
// One run of setup.py with stand-ins for ninja and the compiler driver: every compile and link
// command becomes known, and the wheel comes out complete but for its modules.

#include <filesystem>
#include <functional>
#include <string>

#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

struct RecordSettings {
  // The folder of setup.py; changed by the run (build/, egg-info)
  std::filesystem::path project;
  std::string archs;  // TORCH_CUDA_ARCH_LIST for the recording, `;` between items
  // An empty private folder for records, stand-ins and the wheel
  std::filesystem::path work;
  ActionCache* cache = nullptr;  // none: setup.py is run in any case
  std::filesystem::path log{};   // what setup.py prints; empty: in `work`
  Environment variables = {};    // the user's, for setup.py (probe/setup_environment.hpp)
  std::string git = {};          // what git says in the tree, by content; empty: there is no .git
  unsigned jobs = 1;             // threads that hash what setup.py read
  // Called while setup.py runs, which takes seconds of one core; not if it need not run.
  std::function<void()> meanwhile = {};
};

// Throws Error{failed} if setup.py is missing, fails (with its last lines), compiles in a way that
// is not understood, or links nothing of what it compiles.
RecordedBuild record_setup(const RecordSettings& settings, const PythonEnv& python,
                           const Toolchain& toolchain, Reporter& report);

}  // namespace sagebuild
