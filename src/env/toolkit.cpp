#include "env/toolkit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "env/packages.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/system.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

struct Candidate {
  fs::path home;
  std::string origin;
};

// torch links with -lcudart and looks in lib64, then lib. NVIDIA's wheels hold libcudart.so.13
// without that name.
constexpr const char* kNoCudart = "has no libcudart.so to link with";

bool has_cudart(const fs::path& home) {
  return is_there(home / "lib64" / "libcudart.so") || is_there(home / "lib" / "libcudart.so");
}

std::string misfit_hint(const Candidate& candidate, const ToolkitProbe& probe) {
  if (probe.problem == kNoCudart) {  // NVIDIA's wheels, put into a user's own environment
    return fmt::format("ln -s libcudart.so.{} '{}'", probe.cuda.major(),
                       (candidate.home / "lib/libcudart.so").string());
  }
  return "name another with --cuda-home, or leave it out and sagebuild looks for one that fits";
}

std::vector<Candidate> in_usr_local() {
  std::vector<std::pair<Version, Candidate>> found;
  for (const fs::path& path : entries_if_readable("/usr/local")) {
    if (path.filename().string().starts_with("cuda"))
      found.push_back({probe_toolkit(path).cuda, {path, path.string()}});
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.home < b.second.home;
  });
  std::vector<Candidate> sorted;
  for (auto& one : found) sorted.push_back(std::move(one.second));
  return sorted;
}

std::vector<Candidate> candidates(const ToolchainChoice& choice, const PythonEnv& python) {
  if (choice.cuda_home) return {{*choice.cuda_home, "--cuda-home"}};
  std::vector<Candidate> found;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const auto home = environment_value(name)) found.push_back({*home, name});
  }
  // A name on PATH is often a link into the toolkit.
  if (const auto nvcc = find_program("nvcc")) {
    found.push_back({real_path(*nvcc).parent_path().parent_path(), "nvcc on PATH"});
  }
  const auto local = in_usr_local();
  found.insert(found.end(), local.begin(), local.end());
  const Version needed = needed_cuda(choice, python);
  if (python.torch) {
    const fs::path own =
        python.torch->root.parent_path() / "nvidia" / fmt::format("cu{}", needed.major());
    if (is_there(own / "bin" / "nvcc")) found.push_back({own, "torch's own packages"});
  }
  if (const auto* packages = toolkit_for(choice.cuda.empty() ? needed : choice.cuda)) {
    const fs::path made = toolkit_folder(packages->release);
    if (is_there(made)) found.push_back({made, "PyPI packages"});
  }
  return found;
}

// Why a toolkit does not do, or nothing.
std::string misfit_of_toolkit(const ToolkitProbe& probe, const ToolchainChoice& choice,
                              const PythonEnv& python) {
  if (!probe.problem.empty()) return probe.problem;
  const Version needed = needed_cuda(choice, python);
  if (!needed.empty() && probe.cuda.major() != needed.major()) {
    return fmt::format("has CUDA {}, and {} needs CUDA {}", probe.cuda.major_minor(),
                       python.torch ? "torch " + python.torch->version : "--cuda", needed.major());
  }
  if (!choice.cuda.empty() && probe.cuda.major_minor() != choice.cuda.major_minor()) {
    return fmt::format("has CUDA {}, and {} is asked for", probe.cuda.major_minor(),
                       choice.cuda.major_minor());
  }
  return "";
}

// "g++-12" for "gcc-12": CC names a C compiler, and one that links C++ is wanted.
std::string cxx_of(const std::string& cc) {
  const fs::path path(cc);
  std::string name = path.filename().string();
  if (name.starts_with("clang") && !name.starts_with("clang++")) {
    name.replace(0, 5, "clang++");
  } else if (const auto gcc = name.find("gcc"); gcc != std::string::npos) {
    name.replace(gcc, 3, "g++");
  }
  return path.has_parent_path() ? (path.parent_path() / name).string() : name;
}

struct NamedCompiler {
  std::string command;
  std::string origin;  // empty: nobody asked for it
};

NamedCompiler named_compiler() {
  for (const char* name : {"NVCC_CCBIN", "CXX", "CC"}) {
    const auto value = environment_value(name);
    if (!value) continue;
    const auto words = without_launcher(shell_words(*value));
    const std::string command = words.empty() ? "" : words.front();
    return {std::string(name) == "CC" ? cxx_of(command) : command, name};
  }
  return {"g++", ""};
}

bool taken_by(const fs::path& cuda_home, const HostCompiler& compiler) {
  const int newest = newest_host_major(cuda_home, compiler.clang);
  return newest == 0 || compiler.version.major() <= newest;
}

}  // namespace

Version needed_cuda(const ToolchainChoice& choice, const PythonEnv& python) {
  return python.torch && !python.torch->cuda.empty() ? python.torch->cuda : choice.cuda;
}

ToolkitProbe probe_toolkit(const fs::path& cuda_home) {
  ToolkitProbe probe;
  probe.nvcc = cuda_home / "bin" / "nvcc";
  std::error_code refused;
  const bool has_nvcc = fs::exists(probe.nvcc, refused);
  if (refused == std::errc::permission_denied) {
    probe.problem = fmt::format("cannot be looked at: {}", errno_text(refused.value()));
  } else if (!is_there(cuda_home)) {
    probe.problem = "does not exist";
  } else if (!has_nvcc) {
    probe.problem = "has no bin/nvcc";
  } else if (!is_there(cuda_home / "include" / "cuda_runtime.h")) {
    probe.problem = "has no include/cuda_runtime.h";
  }
  if (!probe.problem.empty()) return probe;
  Command command;
  command.argv = {probe.nvcc.string(), "--version"};
  command.deadline = std::chrono::seconds(30);
  const ProcessResult result = run(command);
  // "Cuda compilation tools, release 13.0, V13.0.88"
  const auto at = result.output.find(", V");
  const auto version = at == std::string::npos
                           ? std::nullopt
                           : parse_version(std::string_view(result.output).substr(at + 3));
  if (!result.ok() || !version) {
    probe.problem =
        fmt::format("has an nvcc that does not answer --version ({})", result.status_text());
    return probe;
  }
  probe.cuda = Version{version->major(), version->minor()};
  probe.build = version->text();
  if (!has_cudart(cuda_home)) probe.problem = kNoCudart;
  return probe;
}

std::optional<FoundToolkit> existing_toolkit(const ToolchainChoice& choice, const PythonEnv& python,
                                             Reporter& report,
                                             std::vector<std::string>& passed_over) {
  std::vector<fs::path> seen;
  for (const Candidate& candidate : candidates(choice, python)) {
    const fs::path real = real_path_if_any(candidate.home);
    if (std::ranges::find(seen, real) != seen.end()) continue;
    seen.push_back(real);
    const ToolkitProbe probe = probe_toolkit(candidate.home);
    const std::string misfit = misfit_of_toolkit(probe, choice, python);
    if (misfit.empty()) return FoundToolkit{candidate.home, probe, candidate.origin};
    if (choice.cuda_home) {
      throw Error(ErrorKind::environment,
                  fmt::format("the CUDA toolkit '{}' {}", candidate.home.string(), misfit), {},
                  misfit_hint(candidate, probe));
    }
    passed_over.push_back(
        fmt::format("'{}' ({}) {}", candidate.home.string(), candidate.origin, misfit));
    report.note("passing over a CUDA toolkit: " + passed_over.back());
  }
  return std::nullopt;
}

HostCompiler probe_host_compiler(const fs::path& path) {
  Command command;
  command.argv = {path.string(), "-dM", "-E", "-x", "c++", "-"};
  const ProcessResult result = run(command);
  if (!result.ok()) {
    throw Error(
        ErrorKind::environment, fmt::format("'{}' does not work as a C++ compiler", path.string()),
        last_lines(result.diagnostics, 3), install_compiler(this_system()) + ", or set CXX");
  }
  const auto macro = [&](std::string_view name) {
    for (const std::string_view line : lines_of(result.output)) {
      const auto words = split(line, " ");
      if (words.size() == 3 && words[1] == name)
        return static_cast<int>(to_integer(words[2]).value_or(0));
    }
    return -1;
  };
  if (macro("__clang_major__") >= 0) {
    return {path,
            {macro("__clang_major__"), macro("__clang_minor__"), macro("__clang_patchlevel__")},
            true};
  }
  return {path, {macro("__GNUC__"), macro("__GNUC_MINOR__"), macro("__GNUC_PATCHLEVEL__")}, false};
}

HostCompiler find_host_compiler(const fs::path& cuda_home, Reporter& report) {
  const NamedCompiler named = named_compiler();
  const auto path = find_program(named.command);
  if (!path) {
    const std::string who = named.origin.empty() ? "" : fmt::format(" ({})", named.origin);
    throw Error(ErrorKind::environment,
                fmt::format("there is no C++ compiler '{}'{}", named.command, who), {},
                install_compiler(this_system()));
  }
  const HostCompiler compiler = probe_host_compiler(*path);
  if (taken_by(cuda_home, compiler)) return compiler;

  const int newest = newest_host_major(cuda_home, compiler.clang);
  if (named.origin.empty()) {
    // Nothing older does C++17 well enough for torch
    for (int major = newest; major >= 9; --major) {
      const auto older = find_program(fmt::format("g++-{}", major));
      if (!older) continue;
      report.note(fmt::format("using '{}': '{}' is too new for this nvcc", older->string(),
                              path->string()));
      return probe_host_compiler(*older);
    }
  }
  const char* kind = compiler.clang ? "clang" : "g++";
  throw Error(ErrorKind::environment,
              fmt::format("'{}' is {} {}, and the nvcc of '{}' takes {} at most", path->string(),
                          kind, compiler.version.text(), cuda_home.string(), newest),
              {},
              compiler.clang
                  ? fmt::format("apt-get install clang-{0} && export CXX=clang++-{0}", newest)
                  : install_compiler(this_system(), newest));
}

}  // namespace sagebuild
