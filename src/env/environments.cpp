#include "sagebuild/env/environments.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "env/kept.hpp"
#include "env/packages.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Written last: without it an environment is half-made
constexpr const char* kMarker = "sagebuild-env.json";
constexpr const char* kMarkerSchema = "sagebuild-env/1";
// Measured: torch 2.11 with its CUDA packages takes 5.1 GB, and 2.8 GB of wheels pass through the
// installer's cache.
constexpr std::uint64_t kFetchedForTorch = 2'800'000'000;
constexpr std::uint64_t kSizeWithTorch = 5'100'000'000;
constexpr std::uint64_t kDiskForTorch = 8'000'000'000;

fs::path environment_folder(const std::string& name) { return environments_folder() / name; }

FileLock lock_environment(const std::string& name, Reporter& report) {
  make_folders(environments_folder());
  return FileLock(environments_folder() / ("." + name + ".lock"), [&] {
    report.note(fmt::format("environment '{}' is in use by another sagebuild: waiting", name));
  });
}

fs::path lock_of_users(const std::string& name) {
  return environments_folder() / ("." + name + ".used");
}

FileLock wait_for_users(const std::string& name, Reporter& report) {
  return FileLock(lock_of_users(name), [&] {
    report.note(fmt::format("environment '{}' is used by a build: waiting for its end", name));
  });
}

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

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return;
  throw Error(ErrorKind::failed, fmt::format("cannot remove '{}'", folder.string()),
              {error.message()}, "remove that folder by hand");
}

KeptEnvironment read_environment(const fs::path& folder) {
  KeptEnvironment kept{folder.filename().string(), folder, "", "", "", false, 0};
  const auto text = read_file_if_exists(folder / kMarker);
  if (!text) return kept;
  const auto said = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!said.is_object() || said.value("schema", "") != kMarkerSchema) return kept;
  kept.python = said.value("python", "");
  kept.torch = said.value("torch", "");
  kept.cuda = said.value("cuda", "");
  // Follows the link: the base Python may have been removed
  kept.complete = is_there(environment_python(folder));
  return kept;
}

void write_marker(const fs::path& folder, const EnvironmentRequest& request,
                  const PythonEnv& python) {
  const nlohmann::json said = {
      {"schema", kMarkerSchema},
      {"python", python.version},
      {"torch", python.torch ? python.torch->version : ""},
      {"cuda", python.torch ? python.torch->cuda.text() : ""},
      {"index_url", redacted(request.index_url)},
  };
  write_file(folder / kMarker, said.dump(2) + "\n");
}

void install(const EnvironmentRequest& request, const fs::path& folder, const fs::path& log,
             const std::string& what, std::vector<std::string> requirements,
             const std::string& index_url, bool dependencies = true) {
  PackageJob job;
  job.what = what;
  job.python = environment_python(folder);
  job.requirements = std::move(requirements);
  job.index_url = index_url;
  job.dependencies = dependencies;
  job.offline = request.offline;
  job.log = log;
  install_packages(job);
}

// torch 2.11 on says which CUDA release its libraries come from: "Requires-Dist:
// cuda-toolkit[...]==13.0.2; ...".
std::string pinned_release(const TorchInfo& torch) {
  const fs::path site_packages = torch.root.parent_path();
  for (const fs::path& path : entries_of(site_packages)) {
    const std::string name = path.filename().string();
    if (!name.starts_with("torch-") || !name.ends_with(".dist-info")) continue;
    const std::string metadata = read_file_if_exists(path / "METADATA").value_or("");
    for (const std::string_view line : lines_of(metadata)) {
      if (!line.starts_with("Requires-Dist: cuda-toolkit")) continue;
      const auto pin = line.find("==");
      if (pin != std::string_view::npos)
        return std::string(split(line.substr(pin + 2), "; ").front());
    }
  }
  return "";
}

// The compiler goes beside torch's own CUDA libraries, at the release that torch pins.
void add_cuda_compiler(const EnvironmentRequest& request, const fs::path& folder,
                       const fs::path& log, const PythonEnv& python, Reporter& report) {
  const TorchInfo& torch = *python.torch;
  const std::string pin = pinned_release(torch);
  const ToolkitPackages* packages = pin.empty() ? toolkit_for(torch.cuda) : toolkit_release(pin);
  if (packages != nullptr) {
    report.stage(fmt::format("installing the CUDA {} compiler", packages->release));
    install(request, folder, log, fmt::format("the CUDA {} compiler", packages->release),
            packages->requirements(), "",
            /*dependencies=*/false);
    // A release newer than our table: its meta-package pins all five if all are named
  } else if (!pin.empty()) {
    report.stage(fmt::format("installing the CUDA {} compiler", pin));
    install(request, folder, log, fmt::format("the CUDA {} compiler", pin),
            {fmt::format("cuda-toolkit[nvcc,nvvm,crt,cudart,cccl]=={}", pin)}, "");
  } else {
    report.warning(fmt::format(
        "torch {} is built with CUDA {}, whose compiler is not on PyPI: install that toolkit",
        torch.version, torch.cuda.text()));
    return;
  }
  complete_toolkit(torch.root.parent_path() / "nvidia" / fmt::format("cu{}", torch.cuda.major()));
}

// PyTorch publishes an index for each CUDA that it builds for.
std::string index_option(const std::string& cuda) {
  const Version version = parse_version(cuda).value_or(Version());
  // Of 11 and 12 the minor that most torch versions were built with.
  const int minor =
      cuda.find('.') == std::string::npos && version.major() < 13 ? 8 : version.minor();
  return fmt::format("--index-url https://download.pytorch.org/whl/cu{}{}", version.major(), minor);
}

Error other_cuda(const EnvironmentRequest& request, std::string_view index,
                 const std::string& cuda) {
  return {ErrorKind::environment,
          fmt::format("torch {} from {} is built with CUDA {}, not {}", request.torch, index, cuda,
                      request.cuda),
          {},
          fmt::format("name an index that has it: {}", index_option(request.cuda))};
}

void require_asked_cuda(const EnvironmentRequest& request, const PythonEnv& python) {
  const std::string cuda = python.torch ? python.torch->cuda.text() : "";
  if (!version_fits(request.cuda, cuda)) throw other_cuda(request, "this index", cuda);
}

// What PyPI's torch wheels are built with (their metadata). Empty: newer than this list.
std::string cuda_on_pypi(const std::string& torch) {
  const Version version = parse_version(torch).value_or(Version());
  if (version >= Version{2, 12}) return "";
  if (version >= Version{2, 11}) return "13.0";
  if (version >= Version{2, 8}) return "12.8";
  if (version >= Version{2, 7}) return "12.6";
  return version >= Version{2, 5} ? "12.4" : "";
}

// What torch will be built with; empty where only the index knows.
std::string predicted_cuda(const EnvironmentRequest& request) {
  if (!request.cuda.empty()) return request.cuda;
  if (request.index_url.empty()) return cuda_on_pypi(request.torch);
  // PyTorch's own indexes end in "/cu128".
  std::string_view last = request.index_url;
  while (last.ends_with('/')) last.remove_suffix(1);
  last.remove_prefix(last.rfind('/') + 1);
  if (!take_prefix(last, "cu") || last.size() != 3 || !to_integer(last)) return "";
  return fmt::format("{}.{}", last.substr(0, 2), last.substr(2));
}

// Before gigabytes come in vain.
void require_index_for_cuda(const EnvironmentRequest& request) {
  if (request.torch.empty() || request.cuda.empty() || !request.index_url.empty()) return;
  const std::string there = cuda_on_pypi(request.torch);
  if (!there.empty() && !version_fits(request.cuda, there))
    throw other_cuda(request, "PyPI", there);
}

void require_plain_name(const std::string& name) {
  const bool plain = std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view(".-_+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain && !name.starts_with(".")) return;
  throw Error(ErrorKind::usage, fmt::format("'{}' cannot name an environment", name), {},
              "use letters, digits, '.', '-', '_' and '+'");
}

// That of python3 on PATH, so that its headers and shared library are the system's; without one, uv
// fetches this.
std::string default_python() {
  const auto python = find_program("python3");
  return python ? parse_version(probe_python(*python).version).value_or(Version()).major_minor()
                : "3.11";
}

EnvironmentRequest with_python(EnvironmentRequest request) {
  if (request.python.empty()) request.python = default_python();
  return request;
}

void announce_fetch(const EnvironmentRequest& request, Reporter& report) {
  if (request.torch.empty()) return;
  report.note(environment_cost(request));
}

PythonEnv make_environment(const EnvironmentRequest& request, const fs::path& folder,
                           const fs::path& log, Reporter& report) {
  report.stage(fmt::format("making the environment '{}'", folder.filename().string()));
  announce_fetch(request, report);
  make_venv(folder, request.python, request.offline, log);
  PythonEnv python = probe_python(environment_python(folder));
  if (!python.has_headers) {  // known now, before gigabytes come in vain
    require_python_can_build(python);
  }
  if (!request.torch.empty()) {
    const std::string torch = "torch " + request.torch;
    report.stage(fmt::format("installing {}", torch));
    install(request, folder, log, torch, {"torch==" + request.torch}, request.index_url);
  }
  if (!request.tools.empty()) install(request, folder, log, "the build tools", request.tools, "");
  python = probe_python(environment_python(folder));
  if (python.torch) {
    require_asked_cuda(request, python);
    add_cuda_compiler(request, folder, log, python, report);
  }
  write_marker(folder, request, python);
  return python;
}

}  // namespace

fs::path environments_folder() { return cache_folder() / "envs"; }

fs::path environment_python(const fs::path& folder) { return folder / "bin" / "python"; }

std::string environment_name(const EnvironmentRequest& request) {
  if (!request.name.empty()) return request.name;
  std::string name = request.python.empty() ? "py" : "py" + replaced(request.python, ".", "");
  if (!request.torch.empty()) name += "-torch" + request.torch;
  if (!request.cuda.empty()) name += "-cu" + replaced(request.cuda, ".", "");
  return name;
}

void require_disk_for(const EnvironmentRequest& request) {
  const std::uint64_t free = free_disk(environments_folder());
  if (request.torch.empty() || free >= kDiskForTorch) return;
  throw Error(
      ErrorKind::environment,
      fmt::format("an environment with torch needs {} and '{}' has {}", human_size(kDiskForTorch),
                  environments_folder().string(), human_size(free)),
      {}, "free some disk (sagebuild env ls, cache), or set SAGEBUILD_CACHE_DIR to a larger one");
}

std::string index_option_for(const EnvironmentRequest& request) {
  if (request.cuda.empty() || !request.index_url.empty()) return "";
  const std::string there = cuda_on_pypi(request.torch);
  return !there.empty() && version_fits(request.cuda, there) ? "" : index_option(request.cuda);
}

std::string environment_cost(const EnvironmentRequest& request) {
  const std::string name = environment_name(with_python(request));
  return fmt::format("torch {} with its CUDA packages: {} to fetch, {} in '{}', where {} are free",
                     request.torch, human_size(kFetchedForTorch), human_size(kSizeWithTorch),
                     environment_folder(name).string(),
                     human_size(free_disk(environments_folder())));
}

PythonEnv predict_environment(const EnvironmentRequest& asked) {
  const EnvironmentRequest request = with_python(asked);
  require_plain_name(environment_name(request));
  require_index_for_cuda(request);
  require_venv_maker(asked.python);
  PythonEnv python;
  if (request.torch.empty()) return python;
  TorchInfo torch;
  torch.version = request.torch;
  torch.number = parse_version(request.torch).value_or(Version());
  torch.cuda = parse_version(predicted_cuda(request)).value_or(Version());
  // Where it will lie, so that a look beside it finds nothing yet.
  torch.root = environment_folder(environment_name(request)) / "torch";
  python.torch = std::move(torch);
  return python;
}

PythonEnv create_environment(const EnvironmentRequest& asked, Reporter& report) {
  const EnvironmentRequest request = with_python(asked);
  const std::string name = environment_name(request);
  require_plain_name(name);
  const FileLock lock = lock_environment(name, report);
  const fs::path folder = environment_folder(name);
  if (read_environment(folder).complete) {
    report.note(fmt::format("environment '{}' is there already", name));
    return probe_python(environment_python(folder));
  }
  require_index_for_cuda(request);
  require_disk_for(request);
  const FileLock unused = wait_for_users(name, report);
  remove_folder(folder);
  const fs::path log = environments_folder() / ("." + name + ".log");
  remove_path(log);
  try {
    return make_environment(request, folder, log, report);
  } catch (...) {  // an interrupt too: gigabytes that nobody can use are not left behind
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
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
  remove_path(folder / kMarker);
  remove_folder(folder);
  std::error_code ignored;
  fs::remove(environments_folder() / ("." + name + ".log"), ignored);
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
  const auto made = [](const KeptEnvironment& one) { return last_written(one.path / kMarker); };
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
