#pragma once
// The folder of one environment: where it lies, who may use it now, and the marker that says what
// is in it. Private to this folder.

#include <filesystem>
#include <string>

#include "sagebuild/env/environments.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

std::filesystem::path environment_folder(const std::string& name);
std::filesystem::path environment_log(const std::string& name);

// For whoever makes or removes it: one at a time. Waits, and says so.
FileLock lock_environment(const std::string& name, Reporter& report);
// Those who use it share this file (hold_environment); whoever removes it waits for their end.
std::filesystem::path lock_of_users(const std::string& name);
FileLock wait_for_users(const std::string& name, Reporter& report);

// Written last: without it an environment is half-made.
std::filesystem::path marker_of(const std::filesystem::path& folder);
void write_marker(const std::filesystem::path& folder, const EnvironmentRequest& request,
                  const PythonEnv& python);
// What the marker says. Its size is not asked.
KeptEnvironment read_environment(const std::filesystem::path& folder);

// Throws Error{failed}.
void remove_folder(const std::filesystem::path& folder);

}  // namespace sagebuild
