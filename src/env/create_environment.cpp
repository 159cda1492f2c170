// Makes an environment, and says before what that would cost and where it would fail.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "env/environment_folder.hpp"
#include "env/kept.hpp"
#include "env/packages.hpp"
#include "env/torch_cuda.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Measured: torch 2.11 with its CUDA packages takes 5.1 GB, and 2.8 GB of wheels pass through the
// installer's cache.
constexpr std::uint64_t kFetchedForTorch = 2'800'000'000;
constexpr std::uint64_t kSizeWithTorch = 5'100'000'000;
constexpr std::uint64_t kDiskForTorch = 8'000'000'000;

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

void require_disk_for(const EnvironmentRequest& request) {
  const std::uint64_t free = free_disk(environments_folder());
  if (request.torch.empty() || free >= kDiskForTorch) return;
  throw Error(
      ErrorKind::environment,
      fmt::format("an environment with torch needs {} and '{}' has {}", human_size(kDiskForTorch),
                  environments_folder().string(), human_size(free)),
      {}, "free some disk (sagebuild env ls, cache), or set SAGEBUILD_CACHE_DIR to a larger one");
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
  const fs::path log = environment_log(name);
  remove_path(log);
  try {
    return make_environment(request, folder, log, report);
  } catch (...) {  // an interrupt too: gigabytes that nobody can use are not left behind
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
}

}  // namespace sagebuild
