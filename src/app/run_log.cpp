#include "sagebuild/app/run_log.hpp"

#include <fmt/format.h>

#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

fs::path logs_of_all_runs() { return cache_folder() / "logs"; }

}  // namespace

// Where no log can be kept a build goes on: it may be the only one that this user ever makes here.
fs::path make_run_log(const fs::path& work, Reporter& report) {
  try {
    return open_run_log(logs_of_all_runs());
  } catch (const Error& error) {
    report.warning(fmt::format("no log of this run is kept: {}{}", error.message,
                               error.causes.empty() ? "" : ": " + error.causes.front()));
  }
  return work / "logs";
}

void keep_log(Error& error, const fs::path& work) {
  if (!is_below(error.log, work)) return;
  try {
    const fs::path run =
        log_path().empty() ? open_run_log(logs_of_all_runs()) : log_path().parent_path();
    const fs::path kept = run / fs::path(error.log).filename();
    copy_content(error.log, kept);
    error.log = kept.string();
  } catch (const Error&) {
    error.log.clear();
  }
}

}  // namespace sagebuild
