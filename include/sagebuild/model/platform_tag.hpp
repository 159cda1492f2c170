#pragma once
// What a wheel's platform tag promises of the system, and which tag is true of a wheel. After the
// policies of auditwheel 6.8.1 (PEP 600).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/wheel_facts.hpp"

namespace sagebuild {

// What a platform tag promises ("manylinux_2_28_x86_64", "manylinux2014_x86_64"): the highest
// versions that a wheel may want. Nothing for linux_x86_64 and what is no such tag.
std::optional<SymbolFloors> floors_of_platform(std::string_view platform);

// Whether the library comes with torch, its CUDA packages or the driver, which the environment of
// a wheel brings: what `auditwheel repair --exclude` is told of such wheels.
bool is_of_environment(std::string_view library);

// "x86_64" for EM_X86_64.
std::string elf_machine_name(unsigned machine);
// EM_X86_64 for "manylinux_2_28_x86_64". Nothing for a tag without a machine that is known.
std::optional<unsigned> elf_machine_of(std::string_view tag);

// Whether a text has the shape of one platform tag: "any", "linux_x86_64", "win32",
// "manylinux_2_28_x86_64", "macosx_11_0_arm64". Systems that are not known are let through.
bool is_platform_tag(std::string_view text);

// Why one platform tag of a wheel's name is not true of these modules, which are all that it holds:
// "pkg/_k.so is for Linux on aarch64". Empty: nothing speaks against it.
std::string untrue_reason(std::string_view tag, const std::vector<ModuleFacts>& modules);

struct PlatformTag {
  std::string tag;     // "manylinux_2_34_x86_64"
  std::string reason;  // why it is no manylinux tag; else which version asks for it. May be empty
};

// The lowest manylinux tag of auditwheel's that is true of these modules, which are all that a
// wheel holds; "linux_x86_64" where none is: a library that is neither in the wheel, nor on
// auditwheel's list, nor of the environment, or symbols newer than every policy. `machine` is
// "x86_64".
PlatformTag lowest_platform(const std::vector<ModuleFacts>& modules, std::string_view machine);

}  // namespace sagebuild
