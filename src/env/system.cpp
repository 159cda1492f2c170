#include "sagebuild/env/system.hpp"

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <array>
#include <filesystem>

#include "env/packages.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGetUv =
    "curl -LsSf https://astral.sh/uv/install.sh | sh";  // the way that uv's own page names

// The names of what is wanted, by package manager.
struct PackageNames {
  std::string_view manager;
  std::string_view command;
  std::string_view compiler;
  std::string_view python;
  std::string_view headers;
};
constexpr std::array kNames = {
    PackageNames{"apt-get", "apt-get install", "g++", "python3 python3-venv python3-dev",
                 "python3-dev"},
    PackageNames{"dnf", "dnf install", "gcc-c++", "python3 python3-devel", "python3-devel"},
    PackageNames{"zypper", "zypper install", "gcc-c++", "python3 python3-devel", "python3-devel"},
    PackageNames{"pacman", "pacman -S", "gcc", "python", "python"},
    PackageNames{"apk", "apk add", "g++", "python3 python3-dev", "python3-dev"},
};

const PackageNames* names_of(const System& system) {
  for (const PackageNames& names : kNames) {
    if (names.manager == system.manager) return &names;
  }
  return nullptr;
}

// The python3 of a release that has not installed it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kReleasePythons = {
    {{"debian12", "3.11"},
     {"debian13", "3.13"},
     {"ubuntu2204", "3.10"},
     {"ubuntu2404", "3.12"},
     {"ubuntu2604", "3.14"}}};

// "debian12" of os-release.
std::string release_of(std::string_view os_release) {
  std::string id;
  std::string version;
  for (std::string_view line : lines_of(os_release)) {
    std::string* const wanted = take_prefix(line, "ID=")           ? &id
                                : take_prefix(line, "VERSION_ID=") ? &version
                                                                   : nullptr;
    if (wanted != nullptr) *wanted = replaced(replaced(std::string(line), "\"", ""), ".", "");
  }
  return id.empty() || version.empty() ? "" : id + version;
}

// /usr/bin/python3 is a link to python3.11 in every distribution.
std::string python_of(const std::string& release) {
  std::error_code ignored;
  const std::string name = fs::read_symlink("/usr/bin/python3", ignored).filename().string();
  if (name.starts_with("python3.")) return name.substr(std::string_view("python").size());
  for (const auto& [known, python] : kReleasePythons) {
    if (release == known) return std::string(python);
  }
  return "";
}

bool is_systems_own(const System& system, const std::string& version) {
  return version.empty() || version == system.python;
}

}  // namespace

System this_system() {
  System system;
  for (const PackageNames& names : kNames) {
    if (system.manager.empty() && find_program(std::string(names.manager)))
      system.manager = names.manager;
  }
  system.release = release_of(read_file_if_exists("/etc/os-release").value_or(""));
  system.python = python_of(system.release);
  system.glibc = parse_version(::gnu_get_libc_version()).value_or(Version());
  system.has_uv = find_program("uv") && working_uv();  // by its bare name: the user is to type it
  return system;
}

std::string install_compiler(const System& system, int major) {
  const PackageNames* names = names_of(system);
  if (names == nullptr) return "install g++ with the system's package manager";
  if (major == 0) return fmt::format("{} {}", names->command, names->compiler);
  return fmt::format("{0} g++-{1} && export CXX=g++-{1}", names->command, major);
}

std::string install_python(const System& system, const std::string& version) {
  const PackageNames* names = names_of(system);
  if (names != nullptr && is_systems_own(system, version)) {
    return fmt::format("{} {}", names->command, names->python);
  }
  return system.has_uv ? "uv python install " + version : kGetUv;
}

std::string install_python_headers(const System& system, const std::string& version) {
  const PackageNames* names = names_of(system);
  if (names != nullptr && is_systems_own(system, version)) {
    return fmt::format("{} {}", names->command, names->headers);
  }
  return fmt::format("sagebuild env create --python {}", version);
}

std::string install_into(const System& system, const std::string& python, bool has_pip) {
  if (has_pip) return fmt::format("{} -m pip install ", python);
  if (system.has_uv) return fmt::format("uv pip install --python {} ", python);
  return fmt::format("{0} -m ensurepip && {0} -m pip install ", python);
}

std::string install_cuda(const System& system, const Version& cuda) {
  const std::string package = "cuda-toolkit-" + replaced(cuda.major_minor(), ".", "-");
  if (system.manager != "apt-get" || system.release.empty()) {
    return fmt::format(
        "install the CUDA toolkit {} from https://developer.nvidia.com/cuda-toolkit-archive",
        cuda.major_minor());
  }
  // NVIDIA calls the two architectures that CUDA servers have so.
  const std::string machine = machine_architecture() == "aarch64" ? "sbsa" : "x86_64";
  return fmt::format(
      "curl -O "
      "https://developer.download.nvidia.com/compute/cuda/repos/{}/{}/cuda-keyring_1.1-1_all.deb "
      "&& "
      "dpkg -i cuda-keyring_1.1-1_all.deb && apt-get update && apt-get install {}",
      system.release, machine, package);
}

GlibcFit glibc_fit(const Version& glibc, const Version& cuda) {
  if (glibc.empty()) return GlibcFit::fits;
  if (cuda.major() == 12 && glibc >= Version{2, 41}) return GlibcFit::clashes;
  const bool doubtful = cuda.major() == 13 && cuda < Version{13, 2} && glibc >= Version{2, 42};
  return doubtful ? GlibcFit::doubtful : GlibcFit::fits;
}

}  // namespace sagebuild
