#include "sagebuild/model/wheel_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// The oldest release first. Versions of glibc and of GCC's libstdc++ as each release has them.
struct Release {
  std::string_view family;
  std::string_view number;
  SymbolFloors has;
};

const std::vector<Release>& releases() {
  static const std::vector<Release> all = {
      {"Ubuntu", "20.04", {{2, 31}, {3, 4, 28}, {1, 3, 12}}},
      {"Ubuntu", "22.04", {{2, 35}, {3, 4, 30}, {1, 3, 13}}},
      {"Ubuntu", "24.04", {{2, 39}, {3, 4, 33}, {1, 3, 15}}},
      {"Debian", "11", {{2, 31}, {3, 4, 28}, {1, 3, 12}}},
      {"Debian", "12", {{2, 36}, {3, 4, 30}, {1, 3, 13}}},
      {"Debian", "13", {{2, 41}, {3, 4, 33}, {1, 3, 15}}},
      {"RHEL", "8", {{2, 28}, {3, 4, 25}, {1, 3, 11}}},
      {"RHEL", "9", {{2, 34}, {3, 4, 29}, {1, 3, 13}}},
      {"RHEL", "10", {{2, 39}, {3, 4, 33}, {1, 3, 15}}},
  };
  return all;
}

struct Policy {
  int glibc_minor;
  SymbolFloors most;
};

// auditwheel's manylinux policies; between two of them the lower one's libstdc++ counts.
const std::vector<Policy>& policies() {
  static const std::vector<Policy> all = {
      {5, {{2, 5}, {3, 4, 9}, {1, 3, 1}}},     {12, {{2, 12}, {3, 4, 13}, {1, 3, 3}}},
      {17, {{2, 17}, {3, 4, 19}, {1, 3, 7}}},  {24, {{2, 24}, {3, 4, 22}, {1, 3, 10}}},
      {27, {{2, 27}, {3, 4, 24}, {1, 3, 11}}}, {28, {{2, 28}, {3, 4, 24}, {1, 3, 11}}},
      {31, {{2, 31}, {3, 4, 28}, {1, 3, 12}}}, {34, {{2, 34}, {3, 4, 29}, {1, 3, 13}}},
      {35, {{2, 35}, {3, 4, 30}, {1, 3, 13}}}, {39, {{2, 39}, {3, 4, 33}, {1, 3, 15}}},
  };
  return all;
}

bool fits(const SymbolFloors& wanted, const SymbolFloors& has) {
  return wanted.glibc <= has.glibc && wanted.glibcxx <= has.glibcxx && wanted.cxxabi <= has.cxxabi;
}

}  // namespace

std::vector<std::string> WheelFaults::all() const {
  std::vector<std::string> every = archive;
  for (const auto* some : {&metadata, &tags, &record})
    every.insert(every.end(), some->begin(), some->end());
  return every;
}

std::string stem_of(const ModuleFacts& module) {
  const std::string file = module.path.substr(module.path.find_last_of('/') + 1);
  return file.substr(0, file.find('.'));
}

std::optional<int> wanted_cudart(const ModuleFacts& module) {
  for (const std::string& needed : module.needed) {
    std::string_view rest = needed;
    if (!take_prefix(rest, "libcudart.so.")) continue;
    if (const auto version = parse_version(rest)) return version->major();
  }
  return std::nullopt;
}

std::string distributions_for(const SymbolFloors& floors) {
  if (floors.glibc.empty() && floors.glibcxx.empty() && floors.cxxabi.empty()) return "any Linux";
  std::vector<std::string> oldest;
  std::string_view last;
  for (const Release& release : releases()) {
    if (release.family == last || !fits(floors, release.has)) continue;
    last = release.family;
    oldest.push_back(fmt::format("{} {}", release.family, release.number));
  }
  return oldest.empty() ? "none that is known" : join(oldest, ", ") + " and newer";
}

std::optional<SymbolFloors> floors_of_platform(std::string_view platform) {
  int minor = 0;
  if (take_prefix(platform, "manylinux_2_")) {
    const auto version = parse_version(platform);
    if (!version) return std::nullopt;
    minor = version->major();
  } else if (take_prefix(platform, "manylinux2014_")) {
    minor = 17;
  } else if (take_prefix(platform, "manylinux2010_")) {
    minor = 12;
  } else if (take_prefix(platform, "manylinux1_")) {
    minor = 5;
  } else {
    return std::nullopt;
  }
  std::optional<SymbolFloors> most;
  for (const Policy& policy : policies())
    if (policy.glibc_minor <= minor) most = policy.most;
  if (most) most->glibc = {2, minor};
  return most;
}

}  // namespace sagebuild
