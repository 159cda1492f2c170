#pragma once
// The log of a run (spdlog): one file, everything redacted. The console is the reporters' business,
// not the log's.

#include <filesystem>
#include <string_view>

namespace sagebuild {

// Makes a folder for this run below `all`, opens `run.log` in it, and gives the folder, which is
// this run's until the process ends, however it ends: a lock in it says so to others. Of the
// folders of runs that have ended, the oldest beyond `kept` in all are removed. Throws
// Error{failed} if it cannot be made. Until then log lines are dropped.
std::filesystem::path open_run_log(const std::filesystem::path& all, std::size_t kept = 20);
std::filesystem::path log_path();  // of run.log; empty before open_run_log
void log_line(std::string_view text);

}  // namespace sagebuild
