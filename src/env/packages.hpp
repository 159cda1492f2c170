#pragma once
// Python packages and virtual environments through uv, else through venv and pip.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct PackageJob {
  std::string what;              // "torch 2.11.0": for messages
  std::filesystem::path python;  // whose environment, or who runs the installer
  // A plain folder instead of the environment; may be empty
  std::filesystem::path target;
  std::vector<std::string> requirements;  // "torch==2.11.0"
  std::string index_url;                  // empty: as the user's uv or pip is set up
  bool dependencies = true;
  bool again = false;    // also where it is installed in this version
  bool offline = false;  // from the installer's own cache only
  std::filesystem::path log;
};

// uv, if it is there and works.
std::optional<std::filesystem::path> working_uv();

// Throws Error{environment} if what is installed for this Python is the system's own affair, or not
// the user's to write.
void require_place(const std::filesystem::path& python);

// Throws Error{environment} if neither uv nor the pip of this Python is there to install `what`.
void require_installer(const std::filesystem::path& python, const std::string& what);

// Throws Error{environment} if the index lacks a package or there is no installer, Error{network},
// Error{failed}; each names the log.
void install_packages(const PackageJob& job);

// Throws Error{environment} if make_venv could not make one with this Python; fetches nothing.
void require_venv_maker(const std::string& version);
// A fresh virtual environment in `folder`, which must not exist. `version` may be empty: that of
// python3 on PATH.
void make_venv(const std::filesystem::path& folder, const std::string& version, bool offline,
               const std::filesystem::path& log);

// The last lines of a program's output, for causes; blank ones left out.
std::vector<std::string> last_lines(std::string_view text, std::size_t count);

}  // namespace sagebuild
