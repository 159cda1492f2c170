// The environments that are there: their names, their sizes, which one fits, and their removal.

#include "sagebuild/env/environments.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "env/environment_folder.hpp"
#include "env/kept.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::uint64_t disk_used(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code ignored;  // a file may go away while we look
  for (auto entry = fs::recursive_directory_iterator(folder, ignored); entry != fs::end(entry);
       entry.increment(ignored)) {
    struct stat status {};
    if (::lstat(entry->path().c_str(), &status) == 0)
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace

std::string environment_name(const EnvironmentRequest& request) {
  if (!request.name.empty()) return request.name;
  std::string name = request.python.empty() ? "py" : "py" + replaced(request.python, ".", "");
  if (!request.torch.empty()) name += "-torch" + request.torch;
  if (!request.cuda.empty()) name += "-cu" + replaced(request.cuda, ".", "");
  return name;
}

std::vector<KeptEnvironment> list_environments(bool with_sizes) {
  std::vector<KeptEnvironment> found;
  try {
    if (!is_folder(environments_folder())) return found;
  } catch (Error& error) {
    error.hint = "set SAGEBUILD_CACHE_DIR to a folder of your own";
    throw;
  }
  for (const fs::path& path : entries_of(environments_folder())) {
    if (path.filename().string().starts_with(".") || !is_folder(path)) continue;
    found.push_back(read_environment(path));
    if (with_sizes) found.back().bytes = disk_used(path);
  }
  std::ranges::sort(found, {}, &KeptEnvironment::name);
  return found;
}

std::unique_ptr<SharedLock> hold_environment(const PythonEnv& python) {
  const fs::path folder = python.executable.parent_path().parent_path();
  if (folder.empty() || folder.parent_path() != environments_folder()) return nullptr;
  auto lock = std::make_unique<SharedLock>(lock_of_users(folder.filename()));
  return lock->held() ? std::move(lock) : nullptr;
}

std::uint64_t remove_environment(const std::string& name, Reporter& report) {
  std::vector<std::string> names;
  for (const auto& kept : list_environments(false)) names.push_back(kept.name);
  if (std::ranges::find(names, name) == names.end()) {
    const auto near = nearest(name, names);
    throw Error(
        ErrorKind::usage, fmt::format("there is no environment '{}'", name), {},
        near ? fmt::format("did you mean '{}'?", *near) : "sagebuild env ls shows what there is");
  }
  const FileLock lock = lock_environment(name, report);
  const FileLock unused = wait_for_users(name, report);
  const fs::path folder = environment_folder(name);
  const std::uint64_t bytes = disk_used(folder);
  // First, so that an interrupted removal leaves no environment that looks whole
  remove_path(marker_of(folder));
  remove_folder(folder);
  std::error_code ignored;
  fs::remove(environment_log(name), ignored);
  return bytes;
}

bool version_fits(const std::string& wanted, const std::string& actual) {
  return wanted.empty() || actual == wanted || actual.starts_with(wanted + ".") ||
         actual.starts_with(wanted + "+");
}

std::string misfit_of(const PythonChoice& choice, const PythonEnv& python) {
  const std::string torch = python.torch ? python.torch->version : "";
  const std::string cuda = python.torch ? python.torch->cuda.text() : "";
  if (!version_fits(choice.python, python.version)) {
    return fmt::format("is Python {}, not {}", python.version, choice.python);
  }
  if (!version_fits(choice.torch, torch)) {
    return torch.empty() ? fmt::format("has no torch, and {} is asked for", choice.torch)
                         : fmt::format("has torch {}, not {}", torch, choice.torch);
  }
  if (!version_fits(choice.cuda, cuda)) {
    return cuda.empty() ? fmt::format("has no torch built with CUDA {}", choice.cuda)
                        : fmt::format("has a torch built with CUDA {}, not {}", cuda, choice.cuda);
  }
  return "";
}

std::optional<FoundPython> fitting_environment(const PythonChoice& choice) {
  const KeptEnvironment* best = nullptr;
  const auto kept = list_environments(false);
  const auto made = [](const KeptEnvironment& one) { return last_written(marker_of(one.path)); };
  for (const auto& one : kept) {
    const bool fits = one.complete && !one.torch.empty() &&
                      version_fits(choice.python, one.python) &&
                      version_fits(choice.torch, one.torch) && version_fits(choice.cuda, one.cuda);
    if (fits && (best == nullptr || made(one) > made(*best))) best = &one;
  }
  if (best == nullptr) return std::nullopt;
  return FoundPython{probe_python(environment_python(best->path)),
                     fmt::format("environment {}", best->name)};
}

}  // namespace sagebuild
