#include "sagebuild/env/toolchain.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "env/toolkit.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/env/system.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/report/silent_reporter.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::string torch_name(const PythonEnv& python) {
  return python.torch ? fmt::format("torch {}", python.torch->version) : "this build";
}

// The hint for a CUDA that PyPI has no compiler for.
std::string install_toolkit_hint(const Version& cuda) {
  const System system = this_system();
  if (glibc_fit(system.glibc, cuda) == GlibcFit::clashes) {
    return fmt::format(
        "use a torch built with CUDA 13, such as --torch {}: CUDA {}'s headers do not compile with "
        "the "
        "glibc {} of this system",
        kDefaultTorch, cuda.major_minor(), system.glibc.text());
  }
  return fmt::format(
      "{}; then name it with --cuda-home /usr/local/cuda-{}, or use a torch built with CUDA 13, "
      "such as --torch {}",
      install_cuda(system, cuda), cuda.major_minor(), kDefaultTorch);
}

// The packages that make a toolkit where none is there; 13.0 where nothing says which.
const ToolkitPackages& packages_for(const ToolchainChoice& choice, const PythonEnv& python,
                                    const std::vector<std::string>& passed_over) {
  const Version needed = needed_cuda(choice, python);
  const Version asked = choice.cuda.empty() ? needed : choice.cuda;
  const Version wanted = asked.empty() ? Version{13, 0} : asked;
  const ToolkitPackages* packages = toolkit_for(wanted);
  if (packages == nullptr) {
    throw Error(ErrorKind::environment,
                fmt::format("{} needs a CUDA {} toolkit, and none was found", torch_name(python),
                            wanted.major()),
                passed_over, install_toolkit_hint(wanted));
  }
  if (!choice.create) {
    throw Error(ErrorKind::environment, fmt::format("no CUDA {} toolkit was found", wanted.major()),
                passed_over, "sagebuild build fetches one from PyPI, about 100 MB");
  }
  return *packages;
}

FoundToolkit made_toolkit(const ToolchainChoice& choice, const PythonEnv& python, Reporter& report,
                          const std::vector<std::string>& passed_over) {
  const ToolkitPackages* packages = &packages_for(choice, python, passed_over);
  const fs::path home = make_toolkit(*packages, python, choice.offline, report);
  return {home, probe_toolkit(home), "PyPI packages"};
}

// torch's ATen/cuda/CUDAContext.h includes these; a compiler-only toolkit lacks them, torch's own
// packages may have them.
std::vector<fs::path> math_headers(const fs::path& cuda_home, const PythonEnv& python) {
  std::vector<fs::path> folders;
  if (!python.torch) return folders;
  const fs::path packages = python.torch->root.parent_path() / "nvidia";
  for (const char* header : {"cublas_v2.h", "cusparse.h", "cusolverDn.h"}) {
    if (is_there(cuda_home / "include" / header)) continue;
    // nvidia/cu13, or nvidia/cublas ... of CUDA 12
    for (const fs::path& package : entries_if_readable(packages)) {
      const fs::path include = package / "include";
      if (!is_there(include / header)) continue;
      if (std::ranges::find(folders, include) == folders.end()) folders.push_back(include);
      break;
    }
  }
  std::ranges::sort(folders);
  return folders;
}

// Empty where there is none: PyPI packages hold no libcuda.so to link with (link/stubs.hpp makes
// one).
fs::path toolkit_stubs(const fs::path& cuda_home) {
  for (const char* place : {"lib64/stubs", "lib/stubs"}) {
    if (is_there(cuda_home / place / "libcuda.so")) return cuda_home / place;
  }
  return {};
}

}  // namespace

int newest_host_major(const fs::path& cuda_home, bool clang) {
  if (cuda_home.empty()) return 0;
  // "#if __GNUC__ > 15", and for clang "#if (__clang_major__ >= 21) || ...": one past the newest.
  const auto text = read_file_if_exists(cuda_home / "include" / "crt" / "host_config.h");
  if (!text) return 0;
  constexpr std::string_view kGcc = "#if __GNUC__ > ";
  constexpr std::string_view kClang = "#if (__clang_major__ >= ";
  int newest = 0;
  for (std::string_view line : lines_of(*text)) {
    if (!take_prefix(line, clang ? kClang : kGcc)) continue;
    const auto number = static_cast<int>(to_integer(split(line, " )").at(0)).value_or(0));
    newest = std::max(newest, clang ? number - 1 : number);
  }
  return newest;
}

Toolchain find_toolchain(const ToolchainChoice& choice, const PythonEnv& python, Reporter& report) {
  std::vector<std::string> passed_over;
  auto found = existing_toolkit(choice, python, report, passed_over);
  if (!found) found = made_toolkit(choice, python, report, passed_over);

  Toolchain toolchain;
  toolchain.cuda_home = found->home;
  toolchain.nvcc = found->probe.nvcc;
  toolchain.cuda = found->probe.cuda;
  toolchain.nvcc_build = found->probe.build;
  toolchain.origin = found->origin;
  const HostCompiler compiler = find_host_compiler(found->home, report);
  toolchain.host_compiler = compiler.path;
  toolchain.host_version = compiler.version;
  toolchain.include_folders = math_headers(found->home, python);
  toolchain.stubs = toolkit_stubs(found->home);

  report.detail(fmt::format("CUDA {} at '{}' ({}), host compiler '{}' {}", toolchain.nvcc_build,
                            toolchain.cuda_home.string(), toolchain.origin,
                            toolchain.host_compiler.string(), toolchain.host_version.text()));
  if (python.torch && toolchain.cuda.minor() != python.torch->cuda.minor()) {
    report.note(fmt::format("{} is built with CUDA {}, nvcc is {}: the same major, so it fits",
                            torch_name(python), python.torch->cuda.major_minor(),
                            toolchain.cuda.major_minor()));
  }
  return toolchain;
}

Toolchain predicted_toolkit(const ToolchainChoice& choice, const PythonEnv& python,
                            const std::vector<std::string>& passed_over) {
  const ToolkitPackages& packages = packages_for(choice, python, passed_over);
  Toolchain toolchain;
  toolchain.origin = "PyPI packages";
  if (needed_cuda(choice, python).empty()) return toolchain;
  const Version release = parse_version(packages.release).value_or(Version());
  toolchain.cuda = Version{release.major(), release.minor()};
  return toolchain;
}

Toolchain predict_toolchain(const ToolchainChoice& choice, const PythonEnv& python) {
  SilentReporter silent;
  std::vector<std::string> passed_over;
  Toolchain toolchain;
  const auto found = existing_toolkit(choice, python, silent, passed_over);
  // Without torch's version the first one that is there need not be the one that fits it.
  const bool is_settled = choice.cuda_home || !needed_cuda(choice, python).empty();
  if (found && is_settled) {
    toolchain.cuda_home = found->home;
    toolchain.cuda = found->probe.cuda;
    toolchain.origin = found->origin;
  } else if (!found) {
    toolchain = predicted_toolkit(choice, python, passed_over);
  }
  const HostCompiler compiler = find_host_compiler(toolchain.cuda_home, silent);
  toolchain.host_compiler = compiler.path;
  toolchain.host_version = compiler.version;
  return toolchain;
}

std::string why_not_built(Arch arch, const Version& cuda) {
  if (cuda.empty()) return "";
  const Version first = first_cuda(arch);
  const auto removed = removed_in_cuda(arch);
  if (first > cuda)
    return fmt::format("{} needs CUDA {} or newer", dotted(arch), first.major_minor());
  if (removed && cuda >= *removed)
    return fmt::format("{} went away in CUDA {}", dotted(arch), removed->major_minor());
  return "";
}

void require_cuda_for(const ArchList& archs, const Toolchain& toolchain) {
  std::vector<std::string> unserved, names;
  for (const ArchRequest& request : archs) {
    std::string reason = why_not_built(request.arch, toolchain.cuda);
    if (reason.empty()) continue;
    unserved.push_back(std::move(reason));
    names.push_back(dotted(request.arch));
  }
  if (unserved.empty()) return;
  throw Error(
      ErrorKind::environment,
      fmt::format("nvcc {} {} cannot build for {}", toolchain.cuda.major_minor(),
                  toolchain.cuda_home.empty()
                      ? "of " + toolchain.origin
                      : fmt::format("at '{}'", toolchain.cuda_home.string()),
                  join(names, ", ")),
      unserved,
      "name a CUDA toolkit that can (--cuda-home), or leave those architectures out of --arch");
}

}  // namespace sagebuild
