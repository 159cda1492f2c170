#pragma once
// The log of a run (spdlog): one file, everything redacted. The console is the reporters' business, not the log's.

#include <filesystem>
#include <string_view>

namespace sagebuild {

// Opens `path` (folders are made). Until then log lines are dropped.
void open_log(const std::filesystem::path& path);
std::filesystem::path log_path();  // empty before open_log
void log_line(std::string_view text);

}  // namespace sagebuild
