#include "sagebuild/model/wheel_facts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// The oldest release first. Versions of glibc and of GCC's libraries as each release has them.
struct Release {
  std::string_view family;
  std::string_view number;
  SymbolFloors has;
};

const std::vector<Release>& releases() {
  static const std::vector<Release> all = {
      {"Ubuntu", "20.04", {{2, 31}, {3, 4, 28}, {1, 3, 12}, {7, 0, 0}}},
      {"Ubuntu", "22.04", {{2, 35}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {"Ubuntu", "24.04", {{2, 39}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
      {"Debian", "11", {{2, 31}, {3, 4, 28}, {1, 3, 12}, {7, 0, 0}}},
      {"Debian", "12", {{2, 36}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {"Debian", "13", {{2, 41}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
      {"RHEL", "8", {{2, 28}, {3, 4, 25}, {1, 3, 11}, {7, 0, 0}}},
      {"RHEL", "9", {{2, 34}, {3, 4, 29}, {1, 3, 13}, {7, 0, 0}}},
      {"RHEL", "10", {{2, 39}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
  };
  return all;
}

}  // namespace

bool fits(const SymbolFloors& wanted, const SymbolFloors& has) {
  return wanted.glibc <= has.glibc && wanted.glibcxx <= has.glibcxx &&
         wanted.cxxabi <= has.cxxabi && wanted.gcc <= has.gcc;
}

std::vector<std::string> WheelFaults::all() const {
  std::vector<std::string> every = archive;
  for (const auto* some : {&metadata, &tags, &record})
    every.insert(every.end(), some->begin(), some->end());
  return every;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string stem_of(const ModuleFacts& module) {
  const std::string_view file = file_name(module.path);
  return std::string(file.substr(0, file.find('.')));
}

bool holds(const std::vector<ModuleFacts>& modules, std::string_view library) {
  return std::ranges::any_of(
      modules, [&](const ModuleFacts& module) { return file_name(module.path) == library; });
}

bool registers_with_torch(const ModuleFacts& module) {
  const auto is_registration = [](const std::string& symbol) {
    return symbol.starts_with("_ZN5torch7Library");
  };
  return module.init_functions.empty() &&
         (!module.shim_symbols.empty() ||
          std::ranges::any_of(module.torch_symbols, is_registration));
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
  if (fits(floors, {})) return "any Linux";
  std::vector<std::string> oldest;
  std::string_view last;
  for (const Release& release : releases()) {
    if (release.family == last || !fits(floors, release.has)) continue;
    last = release.family;
    oldest.push_back(fmt::format("{} {}", release.family, release.number));
  }
  return oldest.empty() ? "none that is known" : join(oldest, ", ") + " and newer";
}

}  // namespace sagebuild
