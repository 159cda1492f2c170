#pragma once
// Where a run's logs lie, and that a log which an error names is there to be read.

#include <filesystem>

#include "sagebuild/base/error.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// A folder of this run's own below the cache, with run.log in it. Where none can be made, a
// warning, and a folder below `work` that goes with it.
std::filesystem::path make_run_log(const std::filesystem::path& work, Reporter& report);

// The log that the error names goes with the folder `work`: it gets a place that stays, or is not
// named.
void keep_log(Error& error, const std::filesystem::path& work);

// Runs `part` of a command that works in the folder `work`, and keeps the log that its error names.
template <class Part>
auto with_kept_log(const std::filesystem::path& work, Part part) {
  try {
    return part();
  } catch (Error& error) {
    keep_log(error, work);
    throw;
  }
}

}  // namespace sagebuild
