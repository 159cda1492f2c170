#include "sagebuild/env/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "env/kept.hpp"
#include "env/toolkit.hpp"
#include "env/torch_cuda.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/vcs/remote_url.hpp"

namespace sagebuild {
namespace {

// Measured with torch 2.11: the heaviest source of SageAttention peaks at 3.1 GB with torch's full
// headers, 0.9 GB with ours.
constexpr std::uint64_t kMemoryPerJob = 3'100'000'000;
constexpr std::uint64_t kLeanMemoryPerJob = 1'000'000'000;
constexpr std::uint64_t kDiskForBuild = 2'000'000'000;
constexpr std::uint64_t kDiskForEnvironment = 8'000'000'000;

using Findings = std::vector<Diagnosis>;

Diagnosis good(Check check, std::string detail) {
  return {Health::ok, check, std::move(detail), ""};
}

// An error's hint is the fix, unless there is a better one.
Diagnosis from_error(Check check, const Error& error, std::string fix = "") {
  std::string detail = error.message;
  if (!error.causes.empty()) detail += " (" + join(error.causes, "; ") + ")";
  return {Health::error, check, std::move(detail), fix.empty() ? error.hint : std::move(fix)};
}

std::string create_command(const PythonChoice& choice) {
  const EnvironmentRequest request = request_for(choice);
  std::string command = "sagebuild env create";
  if (!request.python.empty()) command += " --python " + request.python;
  command += " --torch " + request.torch;
  if (!request.cuda.empty()) command += " --cuda " + request.cuda;
  if (!request.index_url.empty())
    command += " --index-url " + shell_quoted(redacted(request.index_url));
  const std::string index = index_option_for(request);
  return index.empty() ? command : command + " " + index;
}

void check_parts(const PythonEnv& python, const System& system, Findings& findings) {
  // missing_for_build has the exact words and fixes; here each part also says when it is fine.
  const auto missing = missing_for_build(python, system);
  const auto check = [&](Check what, PythonPart part, const std::string& fine) {
    const auto found = std::ranges::find(missing, part, &MissingPart::part);
    if (found == missing.end()) {
      findings.push_back(good(what, fine));
    } else {
      findings.push_back({Health::error, what, found->what, found->fix});
    }
  };
  check(Check::python_headers, PythonPart::headers, (python.include / "Python.h").string());
  check(Check::torch, PythonPart::torch,
        python.torch ? fmt::format("{}, CUDA {}", python.torch->version, python.torch->cuda.text())
                     : "");
  check(Check::setuptools, PythonPart::setuptools, python.setuptools);
  check(Check::wheel, PythonPart::wheel,
        python.wheel.empty() ? "comes with setuptools " + python.setuptools : python.wheel);
  // Sagebuild answers as ninja itself; only a package that it cannot record needs it
  if (python.ninja.empty()) {
    const bool has_pip = is_there(python.site_packages / "pip");
    findings.push_back(
        {Health::warning, Check::ninja,
         fmt::format(
             "ninja is not installed in '{}': needed only by packages that build themselves",
             python.executable.string()),
         install_into(system, python.executable.string(), has_pip) + "ninja"});
  } else {
    findings.push_back(good(Check::ninja, python.ninja));
  }
}

// The Python that a build would use; of one that is still to be made only its torch is known.
PythonEnv check_python(const DoctorRequest& request, const System& system, Findings& findings,
                       Reporter& report) {
  const PythonChoice& choice = request.python;
  try {
    const auto found = existing_python(choice, report);
    if (found) {
      const PythonEnv& python = found->python;
      findings.push_back(
          good(Check::python, fmt::format("{} at '{}' ({})", python.version,
                                          python.executable.string(), found->origin)));
      check_parts(python, system, findings);
      return python;
    }
  } catch (const Error& error) {
    findings.push_back(from_error(Check::python, error, create_command(choice)));
    return {};
  }
  try {
    PythonEnv python = predict_environment(request_for(choice));
    findings.push_back({Health::warning, Check::python,
                        "there is no build environment yet: the first build makes one",
                        create_command(choice)});
    return python;
  } catch (const Error& error) {  // nothing here that could make one
    findings.push_back(from_error(Check::python, error));
    return {};
  }
}

void check_host_compiler(const std::filesystem::path& cuda_home, Findings& findings,
                         Reporter& report) {
  try {
    const HostCompiler compiler = find_host_compiler(cuda_home, report);
    const int newest = newest_host_major(cuda_home, compiler.clang);
    findings.push_back(
        good(Check::host_compiler,
             fmt::format("{} {} at '{}'{}", compiler.clang ? "clang" : "g++",
                         compiler.version.text(), compiler.path.string(),
                         newest == 0 ? "" : fmt::format(", nvcc takes up to {}", newest))));
  } catch (const Error& error) {
    findings.push_back(from_error(Check::host_compiler, error));
  }
}

void check_archs(const ArchList& archs, const Toolchain& toolchain, Findings& findings) {
  if (archs.empty() || toolchain.cuda.empty()) return;
  try {
    require_cuda_for(archs, toolchain);
    findings.push_back(good(Check::architectures, fmt::format("nvcc builds for {}", print(archs))));
  } catch (const Error& error) {
    findings.push_back(from_error(Check::architectures, error));
  }
}

void check_glibc(const Machine& machine, const Version& cuda, Findings& findings) {
  if (machine.glibc.empty() || cuda.empty()) return;
  const std::string both =
      fmt::format("glibc {} with CUDA {}", machine.glibc.text(), cuda.major_minor());
  switch (glibc_fit(machine.glibc, cuda)) {
    case GlibcFit::clashes:
      findings.push_back({Health::error, Check::glibc,
                          both + ": CUDA 12's headers do not compile with glibc 2.41 or newer",
                          "sagebuild env create --torch " + std::string(kDefaultTorch)});
      return;
    case GlibcFit::doubtful:  // not --cuda 13.2: no torch is built with it
      findings.push_back({Health::warning, Check::glibc,
                          both + ": header clashes are reported for CUDA 13.0 and 13.1",
                          install_cuda(machine.system, {13, 2}) +
                              " && sagebuild build --cuda-home /usr/local/cuda-13.2"});
      return;
    case GlibcFit::fits:
      findings.push_back(good(Check::glibc, both));
  }
}

// Gives what is known of the toolkit that a build would use.
Toolchain check_toolkit(const DoctorRequest& request, const PythonEnv& python, Findings& findings,
                        Reporter& report) {
  Toolchain toolchain;
  std::vector<std::string> passed_over;
  try {
    if (const auto found = existing_toolkit(request.toolchain, python, report, passed_over)) {
      toolchain.cuda_home = found->home;
      toolchain.cuda = found->probe.cuda;
      findings.push_back(good(
          Check::cuda_toolkit,
          fmt::format("{} at '{}' ({})", found->probe.build, found->home.string(), found->origin)));
      return toolchain;
    }
    toolchain = predicted_toolkit(request.toolchain, python, passed_over);
    const std::string cuda =
        toolchain.cuda.empty() ? "" : fmt::format("CUDA {} ", toolchain.cuda.major_minor());
    findings.push_back(
        {Health::warning, Check::cuda_toolkit,
         fmt::format("no {}toolkit is here yet: the first build fetches one from PyPI", cuda),
         python.executable.empty() ? create_command(request.python) : ""});
  } catch (const Error& error) {
    findings.push_back(from_error(Check::cuda_toolkit, error));
  }
  return toolchain;
}

void check_room(const DoctorRequest& request, const Machine& machine, bool makes_environment,
                Findings& findings) {
  const std::uint64_t needed = makes_environment ? kDiskForEnvironment : kDiskForBuild;
  const std::string free =
      fmt::format("{} free at '{}'", human_size(machine.free_disk), cache_folder().string());
  try {
    require_writable_folder(cache_folder(), "cache folder");
  } catch (const Error& error) {
    findings.push_back(from_error(Check::cache_folder, error));
  }
  if (machine.free_disk < needed) {
    findings.push_back({makes_environment ? Health::error : Health::warning, Check::disk,
                        fmt::format("{}, {} wanted", free, human_size(needed)),
                        "sagebuild env ls; sagebuild cache gc --cache-limit 1G"});
  } else {
    findings.push_back(good(Check::disk, free));
  }
  const unsigned jobs = request.jobs == 0 ? machine.cores : request.jobs;
  const std::uint64_t each = machine.memory / std::max(1U, jobs);
  const std::string memory = fmt::format("{} for {} job{}, {} each", human_size(machine.memory),
                                         jobs, jobs == 1 ? "" : "s", human_size(each));
  if (each >= kMemoryPerJob) {
    findings.push_back(good(Check::memory, memory));
  } else if (each >= kLeanMemoryPerJob) {
    findings.push_back(good(
        Check::memory, memory + ": enough with sagebuild's headers, not with torch's full ones"));
  } else {
    const auto fitting = std::max<std::uint64_t>(1, machine.memory / kLeanMemoryPerJob);
    findings.push_back({Health::warning, Check::memory, memory + ": a compile needs about 1 GB",
                        fmt::format("sagebuild build -j {}", fitting)});
  }
}

void check_network(const DoctorRequest& request, const Reach& reach, Findings& findings) {
  if (!parse_remote_url(request.source_url)) return;  // a path, a file URL
  if (request.python.offline) {
    findings.push_back(good(Check::network, "not used (--offline)"));
    return;
  }
  const std::string problem = reach(request.source_url);
  if (problem.empty()) {
    findings.push_back(good(Check::network, "'" + shown_url(request.source_url) + "' answers"));
  } else {
    findings.push_back(
        {Health::error, Check::network, problem, "export HTTPS_PROXY=http://HOST:PORT"});
  }
}

}  // namespace

std::string_view name_of(Check check) {
  constexpr std::array<std::string_view, 14> kNames = {
      "python",        "python headers", "torch", "setuptools",   "wheel", "ninja",  "cuda toolkit",
      "architectures", "host compiler",  "glibc", "cache folder", "disk",  "memory", "network"};
  return kNames.at(static_cast<std::size_t>(check));
}

Machine this_machine() {
  Machine machine;
  machine.memory = available_memory();
  machine.cores = available_cores();
  machine.free_disk = free_disk(cache_folder());
  machine.system = this_system();
  machine.glibc = machine.system.glibc;
  return machine;
}

std::vector<Diagnosis> diagnose(const DoctorRequest& request, const Machine& machine,
                                const Reach& reach, Reporter& report) {
  Findings findings;
  const PythonEnv python = check_python(request, machine.system, findings, report);
  const Toolchain toolchain = check_toolkit(request, python, findings, report);
  check_archs(request.archs, toolchain, findings);
  check_host_compiler(toolchain.cuda_home, findings, report);
  check_glibc(machine, toolchain.cuda, findings);
  check_room(request, machine, /*makes_environment=*/python.executable.empty(), findings);
  check_network(request, reach, findings);
  return findings;
}

}  // namespace sagebuild
