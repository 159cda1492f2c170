#include "sagebuild/env/toolkit_packages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "env/packages.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/env/toolchain.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Measured: each installs, compiles and links. Sorted by release.
constexpr std::array kReleases = {
    ToolkitPackages{"13.0.2", "13.0.88", "13.0.96", "13.0.85"},
    ToolkitPackages{"13.1.1", "13.1.115", "13.1.80", "13.1.115"},
    ToolkitPackages{"13.2.2", "13.2.86", "13.2.86", "13.2.86"},
    ToolkitPackages{"13.3.1", "13.3.73", "13.3.29", "13.3.3.4.1"},
    ToolkitPackages{"13.4.3", "13.4.92", "13.4.92", "13.3.4.3.1"},
    ToolkitPackages{"13.5.0", "13.5.37", "13.5.37", "13.3.5.0.6"},
};

void link_if_missing(const fs::path& link, const fs::path& to) {
  if (is_there(link)) return;
  remove_path(link);  // one that leads nowhere
  make_link(link, to);
}

}  // namespace

std::vector<std::string> ToolkitPackages::requirements() const {
  return {fmt::format("nvidia-cuda-nvcc=={}", compiler), fmt::format("nvidia-nvvm=={}", compiler),
          fmt::format("nvidia-cuda-crt=={}", compiler),
          fmt::format("nvidia-cuda-runtime=={}", runtime),
          fmt::format("nvidia-cuda-cccl=={}", cccl)};
}

const ToolkitPackages* toolkit_release(std::string_view release) {
  const auto found = std::ranges::find(kReleases, release, &ToolkitPackages::release);
  return found == kReleases.end() ? nullptr : &*found;
}

const ToolkitPackages* toolkit_for(const Version& cuda) {
  const ToolkitPackages* same_major = nullptr;
  for (const auto& packages : kReleases) {
    const Version release = parse_version(packages.release).value_or(Version());
    if (release.major_minor() == cuda.major_minor()) return &packages;
    if (release.major() == cuda.major()) same_major = &packages;
  }
  return same_major;
}

fs::path toolkit_folder(std::string_view release) {
  return cache_folder() / "toolkits" / release / "nvidia" /
         fmt::format("cu{}", release.substr(0, release.find('.')));
}

fs::path make_toolkit(const ToolkitPackages& packages, const PythonEnv& python, bool offline,
                      Reporter& report) {
  const fs::path home = toolkit_folder(packages.release);
  const fs::path toolkits = cache_folder() / "toolkits";
  const fs::path final_folder = toolkits / packages.release;
  make_folders(toolkits);
  const FileLock lock(toolkits / fmt::format(".{}.lock", packages.release), [&] {
    report.note(fmt::format("another sagebuild is fetching CUDA {}: waiting", packages.release));
  });
  if (path_exists(home)) return home;

  report.stage(
      fmt::format("fetching a CUDA {} toolkit from PyPI (about 100 MB)", packages.release));
  const TempDir work("." + std::string(packages.release), toolkits);
  PackageJob job;
  job.what = fmt::format("a CUDA {} toolkit", packages.release);
  job.python = python.executable;
  job.target = work.path() / "packages";
  job.requirements = packages.requirements();
  job.dependencies = false;
  job.offline = offline;
  job.log = toolkits / fmt::format(".{}.log", packages.release);
  install_packages(job);

  const fs::path made = job.target / home.lexically_relative(final_folder);
  complete_toolkit(made);
  if (const ToolkitProbe probe = probe_toolkit(made); !probe.problem.empty()) {
    throw Error(ErrorKind::environment,
                fmt::format("the CUDA {} packages make no working toolkit", packages.release),
                {fmt::format("it {}", probe.problem)},
                "install a CUDA toolkit and name it with --cuda-home", job.log);
  }
  std::error_code error;
  fs::rename(job.target, final_folder, error);
  if (error) {
    throw Error(ErrorKind::failed,
                fmt::format("cannot put the toolkit at '{}'", final_folder.string()),
                {error.message()}, "remove that folder");
  }
  return home;
}

void complete_toolkit(const fs::path& cuda_home) {
  if (!is_folder(cuda_home / "lib")) return;
  link_if_missing(cuda_home / "lib64", "lib");
  for (const fs::path& path : entries_of(cuda_home / "lib")) {
    const std::string name = path.filename().string();
    if (name.starts_with("libcudart.so.")) {
      link_if_missing(cuda_home / "lib" / "libcudart.so", name);
      return;
    }
  }
}

}  // namespace sagebuild
