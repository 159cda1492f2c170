#include "sagebuild/model/platform_tag.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

struct Policy {
  int glibc_minor;
  SymbolFloors most;
};

// Between two of them the lower one's libstdc++ counts.
const std::vector<Policy>& policies() {
  static const std::vector<Policy> all = {
      {5, {{2, 5}, {3, 4, 9}, {1, 3, 1}, {4, 2, 0}}},
      {12, {{2, 12}, {3, 4, 13}, {1, 3, 3}, {4, 3, 0}}},
      {17, {{2, 17}, {3, 4, 19}, {1, 3, 7}, {4, 8, 0}}},
      {24, {{2, 24}, {3, 4, 22}, {1, 3, 10}, {4, 8, 0}}},
      {26, {{2, 26}, {3, 4, 22}, {1, 3, 10}, {4, 8, 0}}},
      {27, {{2, 27}, {3, 4, 24}, {1, 3, 11}, {7, 0, 0}}},
      {28, {{2, 28}, {3, 4, 24}, {1, 3, 11}, {7, 0, 0}}},
      {31, {{2, 31}, {3, 4, 28}, {1, 3, 12}, {7, 0, 0}}},
      {34, {{2, 34}, {3, 4, 29}, {1, 3, 13}, {7, 0, 0}}},
      {35, {{2, 35}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {36, {{2, 36}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {37, {{2, 37}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {38, {{2, 38}, {3, 4, 30}, {1, 3, 13}, {12, 0, 0}}},
      {39, {{2, 39}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
      {40, {{2, 40}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
      {41, {{2, 41}, {3, 4, 33}, {1, 3, 15}, {14, 0, 0}}},
  };
  return all;
}

// A library that every policy has from that one on: its glibc's minor.
struct Allowed {
  std::string_view library;
  int since = 5;
};
constexpr std::array<Allowed, 25> kAllowed = {
    {{"libc.so.6"},       {"libm.so.6"},        {"libdl.so.2"},          {"librt.so.1"},
     {"libpthread.so.0"}, {"libutil.so.1"},     {"libnsl.so.1"},         {"libanl.so.1"},
     {"libresolv.so.2"},  {"libmvec.so.1", 24}, {"libgcc_s.so.1"},       {"libstdc++.so.6"},
     {"libatomic.so.1"},  {"libz.so.1"},        {"libexpat.so.1", 12},   {"libX11.so.6"},
     {"libXext.so.6"},    {"libXrender.so.1"},  {"libICE.so.6"},         {"libSM.so.6"},
     {"libGL.so.1"},      {"libglib-2.0.so.0"}, {"libgobject-2.0.so.0"}, {"libgthread-2.0.so.0"},
     {"ld-linux"}}};

// Names of symbol versions that come with a later policy than their libraries.
constexpr std::array<Allowed, 8> kLaterVersions = {{{"LIBATOMIC_1.0", 24},
                                                    {"LIBATOMIC_1.1", 24},
                                                    {"LIBATOMIC_1.2", 24},
                                                    {"ZLIB_1.2.5.1", 17},
                                                    {"ZLIB_1.2.5.2", 17},
                                                    {"ZLIB_1.2.7.1", 27},
                                                    {"ZLIB_1.2.9", 27},
                                                    {"ZLIB_1.2.12", 37}}};

int first_policy_of(const ModuleFacts& module) {
  int minor = 0;
  for (const ElfVersionNeed& need : module.version_needs)
    for (const std::string& version : need.versions)
      for (const auto& [name, since] : kLaterVersions)
        if (version == name) minor = std::max(minor, since);
  for (const std::string& needed : module.needed)
    for (const auto& [name, since] : kAllowed)
      if (needed == name) minor = std::max(minor, since);
  return minor;
}

bool is_allowed(std::string_view library) {
  return library.starts_with("ld-linux") ||
         std::ranges::find(kAllowed, library, &Allowed::library) != kAllowed.end();
}

// Why no manylinux tag is true, as far as libraries say; empty: nothing.
std::string obstacle(const std::vector<ModuleFacts>& modules, const ModuleFacts& module) {
  for (const std::string& library : module.needed) {
    if (!is_allowed(library) && !is_of_environment(library) && !holds(modules, library))
      return fmt::format("{} wants {}, which not every Linux has", module.path, library);
  }
  for (const ElfVersionNeed& need : module.version_needs) {
    if (std::ranges::find(need.versions, "GLIBC_PRIVATE") != need.versions.end())
      return fmt::format("{} wants what is glibc's own (GLIBC_PRIVATE)", module.path);
  }
  return "";
}

std::string wants_text(const ModuleFacts& module) {
  std::vector<std::string> wants;
  const auto add = [&](std::string_view name, const Version& version) {
    if (!version.empty()) wants.push_back(fmt::format("{}_{}", name, version.text()));
  };
  add("GLIBC", module.floors.glibc);
  add("GLIBCXX", module.floors.glibcxx);
  add("CXXABI", module.floors.cxxabi);
  add("GCC", module.floors.gcc);
  return fmt::format("{} wants {}", module.path, join(wants, ", "));
}

struct Machine {
  std::string_view name;
  unsigned number;  // EM_X86_64
};
constexpr std::array<Machine, 10> kMachines = {{{"x86_64", EM_X86_64},
                                                {"aarch64", EM_AARCH64},
                                                {"i686", EM_386},
                                                {"armv7l", EM_ARM},
                                                {"armv6l", EM_ARM},
                                                {"ppc64le", EM_PPC64},
                                                {"ppc64", EM_PPC64},
                                                {"s390x", EM_S390},
                                                {"riscv64", EM_RISCV},
                                                {"loongarch64", 258}}};  // EM_LOONGARCH

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Why a tag of another machine or another system is not true of a module; empty: nothing.
std::string other_system(std::string_view tag, const ModuleFacts& module) {
  const std::string is_for =
      fmt::format("{} is for Linux on {}", module.path, elf_machine_name(module.machine));
  if (tag.find("linux") == std::string_view::npos) return is_for;
  const auto machine = elf_machine_of(tag);
  if (machine && *machine != module.machine) return is_for;
  if (tag.starts_with("musllinux_") &&
      std::ranges::find(module.needed, "libc.so.6") != module.needed.end())
    return fmt::format("{} wants libc.so.6, which is glibc's", module.path);
  return "";
}

}  // namespace

std::string elf_machine_name(unsigned machine) {
  const auto known = std::ranges::find(kMachines, machine, &Machine::number);
  if (known != kMachines.end()) return std::string(known->name);
  return fmt::format("machine {} of ELF's list", machine);
}

std::optional<unsigned> elf_machine_of(std::string_view tag) {
  for (const auto& [name, number] : kMachines)
    if (tag.ends_with(fmt::format("_{}", name))) return number;
  return std::nullopt;
}

bool is_platform_tag(std::string_view text) {
  if (text == "any" || text == "win32") return true;
  std::vector<std::string_view> parts = split(text, "_");
  if (parts.size() < 2 || text.starts_with('_') || text.ends_with('_') ||
      text.find("__") != std::string_view::npos)
    return false;
  const std::string system = lower(std::string(parts[0]));
  std::size_t numbers = 0;  // that stand behind the system
  if (system == "manylinux" || system == "musllinux" || system == "macosx" || system == "ios")
    numbers = 2;
  else if (system == "manylinux1" || system == "manylinux2010" || system == "manylinux2014")
    numbers = 0;
  else if (system.starts_with("manylinux") || system == "auto" || is_digits(system))
    return false;
  else if (system != "linux" && system != "win")
    return true;  // android_21_arm64_v8a, freebsd_14_0_release_amd64
  if (parts.size() < numbers + 2) return false;
  for (std::size_t i = 1; i <= numbers; ++i)
    if (!is_digits(parts[i])) return false;
  return !is_digits(parts[numbers + 1].substr(0, 1));  // the machine
}

std::string untrue_reason(std::string_view tag, const std::vector<ModuleFacts>& modules) {
  const std::optional<SymbolFloors> most = floors_of_platform(tag);
  for (const ModuleFacts& module : modules) {
    if (!module.is_linked) continue;
    if (std::string why = other_system(tag, module); !why.empty()) return why;
    if (!most) continue;
    if (std::string why = obstacle(modules, module); !why.empty()) return why;
    if (!fits(module.floors, *most))
      return fmt::format("{}, and runs on {}", wants_text(module),
                         distributions_for(module.floors));
    const int first = first_policy_of(module);
    if (most->glibc < Version{2, first})
      return fmt::format("{} wants libraries of manylinux_2_{}", module.path, first);
  }
  return "";
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

bool is_of_environment(std::string_view library) {
  constexpr std::array<std::string_view, 22> kBeginnings = {
      "libtorch",      "libc10",       "libshm.so",     "libcaffe2_",  "libcuda.so",
      "libcudart.so",  "libcublas",    "libcudnn",      "libcufft",    "libcufile",
      "libcupti",      "libcurand",    "libcusolver",   "libcusparse", "libnccl.so",
      "libnvrtc",      "libnvJitLink", "libnvToolsExt", "libnvshmem",  "libnvptxcomp",
      "libnvidia-ml.", "libnvfatbin."};
  return std::ranges::any_of(kBeginnings,
                             [&](std::string_view name) { return library.starts_with(name); });
}

PlatformTag lowest_platform(const std::vector<ModuleFacts>& modules, std::string_view machine) {
  const std::string plain = fmt::format("linux_{}", machine);
  // The first policy for machines other than PCs
  int minor = machine == "x86_64" ? 5 : 17;
  std::string reason;
  for (const ModuleFacts& module : modules) {
    if (!module.is_linked) continue;
    if (std::string why = obstacle(modules, module); !why.empty()) return {plain, std::move(why)};
    const int first = first_policy_of(module);
    const auto policy = std::ranges::find_if(policies(), [&](const Policy& one) {
      return one.glibc_minor >= first && fits(module.floors, one.most);
    });
    if (policy == policies().end())
      return {plain, wants_text(module) + ": newer than every manylinux policy"};
    if (policy->glibc_minor <= minor) continue;
    minor = policy->glibc_minor;
    reason = wants_text(module);
  }
  if (std::ranges::none_of(modules, &ModuleFacts::is_linked)) return {plain, "it holds no library"};
  return {fmt::format("manylinux_2_{}_{}", minor, machine), std::move(reason)};
}

}  // namespace sagebuild
