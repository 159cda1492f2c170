#include "env/packages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "env/kept.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/system.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// The user's own settings of uv and pip (index, proxy, certificates) count; what ties them to
// another Python does not.
Environment installer_environment() {
  Environment env = current_environment();
  for (const char* name :
       {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER"}) {
    env.erase(name);
  }
  env["NO_COLOR"] = "1";
  env["UV_NO_PROGRESS"] = "1";
  env["PYTHONWARNINGS"] = "ignore";
  return env;
}

Command installer_command(std::vector<std::string> argv, const fs::path& log) {
  Command command;
  command.argv = std::move(argv);
  command.env = installer_environment();
  command.log = log;
  return command;
}

bool says_any(std::string_view text, const auto& words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

// uv and pip exit with 1 or 2 whatever happened; only their words tell what.
Error install_error(const PackageJob& job, const ProcessResult& result) {
  constexpr std::array kNetwork = {"error sending request",
                                   "Failed to fetch",
                                   "dns error",
                                   "Connection",
                                   "connection",
                                   "timed out",
                                   "Network is",
                                   "name resolution",
                                   "certificate",
                                   "Max retries",
                                   "ProxyError",
                                   "Failed to download"};
  constexpr std::array kNoMatch = {"No solution found", "No matching distribution",
                                   "was not found in the package"};
  const std::string text = result.output + result.diagnostics;
  const auto causes = last_lines(redacted(text), 6);
  const std::string message = fmt::format("cannot install {}", job.what);
  const fs::path& log = job.log;
  if (text.find("No space left") != std::string::npos) {
    return {ErrorKind::failed, message, causes,
            "free some disk, or set SAGEBUILD_CACHE_DIR to a larger one", log};
  }
  // pip that reached nobody knows of no version, and says so last.
  const bool reached_nobody = text.find("connection broken by") != std::string::npos &&
                              text.find("from versions: none") != std::string::npos;
  if (says_any(text, kNoMatch) && !reached_nobody) {
    return {ErrorKind::environment, message, causes,
            job.offline ? "with --offline nothing is fetched: leave it out once"
                        : "the package index has no such version for this Python: choose another, "
                          "or another index with --index-url",
            log};
  }
  if (says_any(text, kNetwork)) {
    return {ErrorKind::network, message, causes,
            "check the network and the proxy settings (HTTPS_PROXY)", log};
  }
  return {ErrorKind::environment, message, causes, "read the log", log};
}

std::vector<std::string> uv_install(const fs::path& uv, const PackageJob& job) {
  std::vector<std::string> argv = {uv.string(), "pip", "install", "--python", job.python.string()};
  if (job.offline) argv.emplace_back("--offline");
  return argv;
}

// Where there is no uv.
void require_pip(const fs::path& python, const std::string& what) {
  if (run({{python.string(), "-m", "pip", "--version"}}).ok()) return;
  throw Error(ErrorKind::environment,
              fmt::format("neither uv nor pip is there to install {}", what), {},
              shell_line({python.string(), "-m", "ensurepip"}) + ", or install uv");
}

std::vector<std::string> pip_install(const PackageJob& job) {
  std::vector<std::string> argv = {job.python.string(), "-m",         "pip",
                                   "install",           "--no-input", "--disable-pip-version-check",
                                   "--progress-bar",    "off"};
  if (job.offline) argv.emplace_back("--no-index");
  return argv;
}

Error no_venv(const std::string& version, std::vector<std::string> causes,
              const fs::path& log = {}) {
  const std::string wanted = version.empty() ? "3" : version;
  return {ErrorKind::environment,
          fmt::format("cannot make a virtual environment with Python {}", wanted),
          std::move(causes), install_python(this_system(), version), log.string()};
}

// A Python of that version on PATH, for venv.
fs::path python_on_path(const std::string& version) {
  for (const std::string& name :
       {"python" + version, std::string("python3"), std::string("python")}) {
    const auto found = find_program(name);
    if (found && version_fits(version, probe_python(*found).version)) return *found;
  }
  const std::string wanted = version.empty() ? "3" : version;
  throw Error(ErrorKind::environment, fmt::format("there is no Python {} on PATH", wanted), {},
              install_python(this_system(), version));
}

}  // namespace

// The one on PATH, else the one that cmake/install-uv.sh fetched. A name is not enough: version
// managers put shims on PATH that fail.
std::optional<fs::path> working_uv() {
  for (const auto& uv :
       {find_program("uv"), find_program("uv", (cache_folder() / "tools" / "bin").string())}) {
    if (uv && run({{uv->string(), "--version"}}).ok()) return uv;
  }
  return std::nullopt;
}

std::vector<std::string> last_lines(std::string_view text, std::size_t count) {
  std::vector<std::string> kept;
  for (const std::string_view line : lines_of(text)) {
    if (!trimmed(line).empty()) kept.emplace_back(trimmed(line));
  }
  if (kept.size() > count)
    kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(count));
  return kept;
}

void require_place(const fs::path& python) {
  // https://packaging.python.org/en/latest/specifications/externally-managed-environments/
  constexpr const char* kProgram =
      "import os, sys, sysconfig\n"
      "paths = sysconfig.get_paths()\n"
      "managed = os.path.exists(os.path.join(paths['stdlib'], 'EXTERNALLY-MANAGED'))\n"
      "if managed and sys.prefix == sys.base_prefix:\n"
      "    print('it is the system\\'s own, which packages of the system alone go into (PEP "
      "668)')\n"
      "elif not os.access(paths['platlib'], os.W_OK):\n"
      "    print('you may not write to ' + repr(paths['platlib']))\n";
  const ProcessResult result = run({{python.string(), "-c", kProgram}});
  const std::string reason(trimmed(result.output));
  if (result.ok() && reason.empty()) return;
  throw Error(ErrorKind::environment,
              fmt::format("nothing can be installed into '{}'", python.string()),
              {result.ok() ? reason : result.status_text()},
              "make an environment of its own, and name its interpreter with --python");
}

void require_installer(const fs::path& python, const std::string& what) {
  if (!working_uv()) require_pip(python, what);
}

void install_packages(const PackageJob& job) {
  const auto uv = working_uv();
  if (!uv) require_pip(job.python, job.what);
  std::vector<std::string> argv = uv ? uv_install(*uv, job) : pip_install(job);
  if (!job.target.empty()) argv.insert(argv.end(), {"--target", job.target.string()});
  if (!job.index_url.empty()) argv.insert(argv.end(), {"--index-url", job.index_url});
  if (job.again) argv.emplace_back(uv ? "--reinstall" : "--force-reinstall");
  if (!job.dependencies) argv.emplace_back("--no-deps");
  argv.insert(argv.end(), job.requirements.begin(), job.requirements.end());
  const ProcessResult result = run(installer_command(std::move(argv), job.log));
  if (!result.ok()) throw install_error(job, result);
}

void require_venv_maker(const std::string& version) {
  if (working_uv()) return;  // which fetches any Python
  const fs::path python = python_on_path(version);
  Command command;
  command.argv = {python.string(), "-c", "import ensurepip, venv"};
  if (run(command).ok()) return;
  throw no_venv(version, {fmt::format("'{}' has no module venv or ensurepip", python.string())});
}

void make_venv(const fs::path& folder, const std::string& version, bool offline,
               const fs::path& log) {
  std::vector<std::string> argv;
  if (const auto uv = working_uv()) {
    argv = {uv->string(), "venv", folder.string(), "--python",
            version.empty() ? "python3" : version};
    if (offline) argv.emplace_back("--offline");
  } else {
    argv = {python_on_path(version).string(), "-m", "venv", folder.string()};
  }
  const ProcessResult result = run(installer_command(std::move(argv), log));
  if (result.ok()) return;
  throw no_venv(version, last_lines(result.output + result.diagnostics, 4), log);
}

}  // namespace sagebuild
