#include "sagebuild/sys/machine.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
const fs::path kCgroupRoot = "/sys/fs/cgroup";

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// This process's folder in a hierarchy: "0::/x" is version 2, "4:memory:/x" version 1 (cgroups(7)).
// Inside a container the path may not exist below the mount; then the root is ours.
std::vector<fs::path> cgroup_folders(std::string_view controller) {
  std::ifstream file("/proc/self/cgroup");
  fs::path v2;
  fs::path v1;
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 2);
    if (names.empty()) v2 = kCgroupRoot / path;
    for (const auto name : split(names, ",")) {
      if (name == controller) v1 = kCgroupRoot / std::string(controller) / path;
    }
  }
  // A limit may stand on any parent, so all of them count.
  std::vector<fs::path> folders;
  for (fs::path leaf : {v2, v1}) {
    for (; !leaf.empty() && leaf != kCgroupRoot.parent_path(); leaf = leaf.parent_path())
      folders.push_back(leaf);
  }
  folders.push_back(kCgroupRoot);
  folders.push_back(kCgroupRoot / std::string(controller));
  return folders;
}

double quota_of(const fs::path& folder) {
  std::istringstream v2(first_line(folder / "cpu.max"));  // "200000 100000" or "max 100000"
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0)
    return std::atof(quota.c_str()) / period;
  const double v1_quota = std::atof(first_line(folder / "cpu.cfs_quota_us").c_str());
  const double v1_period = std::atof(first_line(folder / "cpu.cfs_period_us").c_str());
  if (v1_quota > 0 && v1_period > 0) return v1_quota / v1_period;
  return std::numeric_limits<double>::infinity();
}

}  // namespace

unsigned available_cores() {
  double cores = static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    cores = std::min(cores, static_cast<double>(CPU_COUNT(&set)));
  for (const fs::path& folder : cgroup_folders("cpu")) cores = std::min(cores, quota_of(folder));
  return std::max(1U, static_cast<unsigned>(cores + 0.5));
}

std::uint64_t available_memory() {
  auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::uint64_t>(sysconf(_SC_PAGE_SIZE));
  for (const fs::path& folder : cgroup_folders("memory")) {
    for (const char* name : {"memory.max", "memory.high", "memory.limit_in_bytes"}) {
      const auto limit = to_integer(first_line(folder / name));
      if (limit && *limit > 0) bytes = std::min(bytes, static_cast<std::uint64_t>(*limit));
    }
  }
  return bytes;
}

std::uint64_t oom_kills() {
  for (const fs::path& folder : cgroup_folders("memory")) {
    for (const char* name : {"memory.events", "memory.oom_control"}) {
      std::ifstream file(folder / name);
      std::string key;
      for (std::uint64_t value = 0; file >> key >> value;) {
        if (key == "oom_kill") return value;
      }
    }
  }
  return 0;
}

std::string machine_architecture() {
  utsname name{};
  uname(&name);
  return name.machine;
}

bool is_terminal(int fd) { return isatty(fd) == 1; }

unsigned terminal_width(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool in_ci() {
  const std::string value = environment_value("CI").value_or("false");
  return value != "false" && value != "0";
}

bool wants_color(int fd) {
  if (environment_value("NO_COLOR")) return false;
  if (environment_value("CLICOLOR_FORCE") || environment_value("FORCE_COLOR")) return true;
  return is_terminal(fd) && !in_ci() && environment_value("TERM").value_or("dumb") != "dumb";
}

std::int64_t source_date_epoch() {
  constexpr std::int64_t kZipEpoch = 315'532'800;     // 1980-01-01
  constexpr std::int64_t kLastOfZip = 4'354'819'198;  // 2107-12-31 23:59:58
  const auto value = environment_value("SOURCE_DATE_EPOCH");
  if (!value) return kZipEpoch;
  const auto number = to_integer(*value);
  if (number && *number >= kZipEpoch && *number <= kLastOfZip) return *number;
  throw Error(ErrorKind::usage, fmt::format("cannot use SOURCE_DATE_EPOCH, which is '{}'", *value),
              {number ? "a wheel is a zip file, which has no times before 1980 or after 2107"
                      : "it is no number of seconds since 1970"},
              fmt::format("unset it, or set it to a number from {} to {}", kZipEpoch, kLastOfZip));
}

std::optional<std::string> environment_value(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace sagebuild
