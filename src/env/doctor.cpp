#include "sagebuild/env/doctor.hpp"

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <algorithm>

#include "env/toolkit.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

// Measured with torch 2.11: the heaviest source of SageAttention peaks at 3.1 GB with torch's full headers, 0.9 GB with
// ours.
constexpr std::uint64_t kMemoryPerJob = 3'100'000'000;
constexpr std::uint64_t kLeanMemoryPerJob = 1'000'000'000;
constexpr std::uint64_t kDiskForBuild = 2'000'000'000;
constexpr std::uint64_t kDiskForEnvironment = 8'000'000'000;

using Findings = std::vector<Diagnosis>;

Diagnosis good(std::string what, std::string detail) { return {Severity::ok, std::move(what), std::move(detail), ""}; }

// An error's hint is the fix, unless there is a better one.
Diagnosis from_error(std::string what, const Error& error, std::string fix = "") {
  std::string detail = error.message;
  if (!error.causes.empty()) detail += " (" + join(error.causes, "; ") + ")";
  return {Severity::error, std::move(what), std::move(detail), fix.empty() ? error.hint : std::move(fix)};
}

std::string create_command(const PythonChoice& choice) {
  std::string command = "sagebuild env create";
  if (!choice.python.empty()) command += " --python " + choice.python;
  command += " --torch " + (choice.torch.empty() ? std::string(kDefaultTorch) : choice.torch);
  if (!choice.cuda.empty()) command += " --cuda " + choice.cuda;
  return command;
}

void check_parts(const PythonEnv& python, Findings& findings) {
  // missing_for_build has the exact words and fixes; here each part also says when it is fine.
  const auto missing = missing_for_build(python);
  const auto check = [&](const std::string& what, std::string_view word, const std::string& fine) {
    const auto found = std::ranges::find_if(
        missing, [&](const MissingPart& part) { return part.what.find(word) != std::string::npos; });
    if (found == missing.end()) {
      findings.push_back(good(what, fine));
    } else {
      findings.push_back({Severity::error, what, found->what, found->fix});
    }
  };
  check("python headers", "has no headers", (python.include / "Python.h").string());
  check("torch", "torch ",
        python.torch ? fmt::format("{}, CUDA {}", python.torch->version, python.torch->cuda.text()) : "");
  check("setuptools", "setuptools is not", python.setuptools);
  check("wheel", "wheel is not", python.wheel.empty() ? "comes with setuptools " + python.setuptools : python.wheel);
  if (python.ninja.empty()) {  // sagebuild answers as ninja itself; only a package that it cannot record needs it
    findings.push_back({Severity::warning, "ninja",
                        fmt::format("ninja is not installed in '{}': needed only by packages that build themselves",
                                    python.executable.string()),
                        fmt::format("{} -m pip install ninja", python.executable.string())});
  } else {
    findings.push_back(good("ninja", python.ninja));
  }
}

PythonEnv check_python(const PythonChoice& choice, Findings& findings, Reporter& report) {
  try {
    const auto found = existing_python(choice, report);
    if (!found) {
      findings.push_back({Severity::warning, "python", "there is no build environment yet: the first build makes one",
                          create_command(choice)});
      return {};
    }
    const PythonEnv& python = found->python;
    findings.push_back(
        good("python", fmt::format("{} at '{}' ({})", python.version, python.executable.string(), found->origin)));
    check_parts(python, findings);
    return python;
  } catch (const Error& error) {
    findings.push_back(from_error("python", error, create_command(choice)));
    return {};
  }
}

void check_host_compiler(const FoundToolkit& toolkit, Findings& findings, Reporter& report) {
  try {
    const HostCompiler compiler = find_host_compiler(toolkit.home, report);
    const int newest = newest_host_major(toolkit.home, compiler.clang);
    findings.push_back(
        good("host compiler",
             fmt::format("{} {} at '{}'{}", compiler.clang ? "clang" : "g++", compiler.version.text(),
                         compiler.path.string(), newest == 0 ? "" : fmt::format(", nvcc takes up to {}", newest))));
  } catch (const Error& error) {
    findings.push_back(from_error("host compiler", error));
  }
}

void check_archs(const DoctorRequest& request, const FoundToolkit& toolkit, Findings& findings) {
  if (request.archs.empty()) return;
  Toolchain toolchain;
  toolchain.cuda = toolkit.probe.cuda;
  toolchain.cuda_home = toolkit.home;
  try {
    require_cuda_for(request.archs, toolchain);
    findings.push_back(good("architectures", fmt::format("nvcc builds for {}", print(request.archs))));
  } catch (const Error& error) {
    findings.push_back(from_error("architectures", error));
  }
}

// glibc 2.41 declares C23 functions (rsqrt, cospi, sinpi) that CUDA 12's math headers declare too, with another
// exception specification; for 13.0 and 13.1 the same is reported from glibc 2.42 on.
void check_glibc(const Version& glibc, const Version& cuda, Findings& findings) {
  if (glibc.empty()) return;
  const std::string both = fmt::format("glibc {} with CUDA {}", glibc.text(), cuda.major_minor());
  if (cuda.major() == 12 && glibc >= Version{2, 41}) {
    findings.push_back({Severity::error, "glibc", both + ": CUDA 12's headers do not compile with glibc 2.41 or newer",
                        "sagebuild env create --torch " + std::string(kDefaultTorch)});
  } else if (cuda.major() == 13 && cuda < Version{13, 2} && glibc >= Version{2, 42}) {
    findings.push_back({Severity::warning, "glibc", both + ": header clashes are reported for CUDA 13.0 and 13.1",
                        "sagebuild build --cuda 13.2"});
  } else {
    findings.push_back(good("glibc", both));
  }
}

void check_toolkit(const DoctorRequest& request, const PythonEnv& python, const Machine& machine, Findings& findings,
                   Reporter& report) {
  std::vector<std::string> passed_over;
  std::optional<FoundToolkit> toolkit;
  try {
    toolkit = existing_toolkit(request.toolchain, python, report, passed_over);
    if (!toolkit) {
      ToolchainChoice looking = request.toolchain;
      looking.create = false;
      find_toolchain(looking, python, report);
    }
  } catch (const Error& error) {
    Diagnosis finding = from_error("cuda toolkit", error);
    const Version needed = needed_cuda(request.toolchain, python);
    // Without a torch to fit, or with CUDA 13, the build helps itself.
    if (!request.toolchain.cuda_home && (needed.empty() || needed.major() >= 13)) {
      finding.severity = Severity::warning;
      finding.fix_command = create_command(request.python);
    }
    findings.push_back(finding);
    return;
  }
  if (!toolkit) return;
  findings.push_back(good(
      "cuda toolkit", fmt::format("{} at '{}' ({})", toolkit->probe.build, toolkit->home.string(), toolkit->origin)));
  check_archs(request, *toolkit, findings);
  check_host_compiler(*toolkit, findings, report);
  check_glibc(machine.glibc, toolkit->probe.cuda, findings);
}

void check_room(const DoctorRequest& request, const Machine& machine, bool makes_environment, Findings& findings) {
  const std::uint64_t needed = makes_environment ? kDiskForEnvironment : kDiskForBuild;
  const std::string free = fmt::format("{} free at '{}'", human_size(machine.free_disk), cache_folder().string());
  if (machine.free_disk < needed) {
    findings.push_back({makes_environment ? Severity::error : Severity::warning, "disk",
                        fmt::format("{}, {} wanted", free, human_size(needed)), "sagebuild env ls; sagebuild cache"});
  } else {
    findings.push_back(good("disk", free));
  }
  const unsigned jobs = request.jobs == 0 ? machine.cores : request.jobs;
  const std::uint64_t each = machine.memory / std::max(1U, jobs);
  const std::string memory =
      fmt::format("{} for {} job{}, {} each", human_size(machine.memory), jobs, jobs == 1 ? "" : "s", human_size(each));
  if (each >= kMemoryPerJob) {
    findings.push_back(good("memory", memory));
  } else if (each >= kLeanMemoryPerJob) {
    findings.push_back(good("memory", memory + ": enough with sagebuild's headers, not with torch's full ones"));
  } else {
    const auto fitting = std::max<std::uint64_t>(1, machine.memory / kLeanMemoryPerJob);
    findings.push_back({Severity::warning, "memory", memory + ": a compile needs about 1 GB",
                        fmt::format("sagebuild build -j {}", fitting)});
  }
}

void check_network(const DoctorRequest& request, const Reach& reach, Findings& findings) {
  if (request.source_url.find("://") == std::string::npos || request.source_url.starts_with("file://")) return;
  if (request.python.offline) {
    findings.push_back(good("network", "not used (--offline)"));
    return;
  }
  const std::string problem = reach(request.source_url);
  if (problem.empty()) {
    findings.push_back(good("network", "'" + request.source_url + "' answers"));
  } else {
    findings.push_back({Severity::error, "network", problem, "export HTTPS_PROXY=http://HOST:PORT"});
  }
}

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.memory = available_memory();
  machine.cores = available_cores();
  machine.free_disk = free_disk(cache_folder());
  machine.glibc = parse_version(::gnu_get_libc_version()).value_or(Version());
  return machine;
}

std::vector<Diagnosis> diagnose(const DoctorRequest& request, const Machine& machine, const Reach& reach,
                                Reporter& report) {
  Findings findings;
  const PythonEnv python = check_python(request.python, findings, report);
  check_toolkit(request, python, machine, findings, report);
  check_room(request, machine, /*makes_environment=*/python.executable.empty(), findings);
  check_network(request, reach, findings);
  return findings;
}

}  // namespace sagebuild
