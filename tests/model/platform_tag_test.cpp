#include "sagebuild/model/platform_tag.hpp"

#include <elf.h>

#include "support/catch.hpp"

namespace sagebuild {
namespace {

ModuleFacts module_of(const std::vector<std::string>& needed, const SymbolFloors& floors = {},
                      const std::vector<ElfVersionNeed>& needs = {}) {
  ModuleFacts module;
  module.path = "pkg/_k.so";
  module.is_linked = true;
  module.needed = needed;
  module.floors = floors;
  module.version_needs = needs;
  return module;
}

SymbolFloors glibc(int minor) { return {{2, minor}, {}, {}, {}}; }

std::string tag_of(const ModuleFacts& module, std::string_view machine = "x86_64") {
  return lowest_platform({module}, machine).tag;
}

}  // namespace

TEST_CASE("the lowest policy that has every version which is wanted") {
  CHECK(tag_of(module_of({"libc.so.6"})) == "manylinux_2_5_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}, glibc(14))) == "manylinux_2_17_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}, glibc(32))) == "manylinux_2_34_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}, glibc(34))) == "manylinux_2_34_x86_64");
  CHECK(tag_of(module_of({"libstdc++.so.6"}, {{2, 4}, {3, 4, 30}, {1, 3, 9}, {}})) ==
        "manylinux_2_35_x86_64");
  CHECK(tag_of(module_of({"libstdc++.so.6"}, {{2, 4}, {}, {1, 3, 12}, {}})) ==
        "manylinux_2_31_x86_64");
  CHECK(tag_of(module_of({"libgcc_s.so.1"}, {{2, 4}, {}, {}, {14, 0, 0}})) ==
        "manylinux_2_39_x86_64");
  CHECK(tag_of(module_of({"libz.so.1"}, {}, {{"libz.so.1", {"ZLIB_1.2.9"}}})) ==
        "manylinux_2_27_x86_64");
  CHECK(tag_of(module_of({"libmvec.so.1"}, glibc(22))) == "manylinux_2_24_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}), "aarch64") == "manylinux_2_17_aarch64");
  const PlatformTag newest =
      lowest_platform({module_of({}, glibc(17)), module_of({}, glibc(35))}, "x86_64");
  CHECK(newest.tag == "manylinux_2_35_x86_64");
  CHECK(newest.reason == "pkg/_k.so wants GLIBC_2.35");
}

TEST_CASE("torch's, CUDA's and the driver's libraries are the environment's, others are nobody's") {
  const auto torch =
      module_of({"libc10.so", "libtorch_cuda.so", "libtorch_python.so", "libcudart.so.13",
                 "libcublasLt.so.13", "libcuda.so.1", "ld-linux-x86-64.so.2"},
                glibc(28));
  CHECK(tag_of(torch) == "manylinux_2_28_x86_64");
  const PlatformTag openmp = lowest_platform({module_of({"libgomp.so.1"})}, "x86_64");
  CHECK(openmp.tag == "linux_x86_64");
  CHECK(openmp.reason == "pkg/_k.so wants libgomp.so.1, which not every Linux has");
  // One that lies in the wheel is no one else's.
  auto brought = module_of({});
  brought.path = "pkg/lib/libfoo.so.1";
  CHECK(lowest_platform({module_of({"libfoo.so.1"}), brought}, "x86_64").tag ==
        "manylinux_2_5_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}, glibc(99))) == "linux_x86_64");
  CHECK(tag_of(module_of({"libc.so.6"}, {}, {{"libc.so.6", {"GLIBC_PRIVATE"}}})) == "linux_x86_64");
  CHECK(lowest_platform({}, "x86_64").tag == "linux_x86_64");
}

TEST_CASE("the tag that is true promises what is wanted") {
  for (const int minor : {5, 12, 17, 22, 26, 27, 28, 30, 31, 34, 35, 36, 39, 41}) {
    const auto module = module_of({"libc.so.6"}, glibc(minor));
    const auto promised = floors_of_platform(tag_of(module));
    REQUIRE(promised);
    CHECK(fits(module.floors, *promised));
  }
}

TEST_CASE("what is no platform tag is told by its shape") {
  for (const char* tag :
       {"any", "win32", "win_amd64", "linux_x86_64", "linux_aarch64", "manylinux_2_28_x86_64",
        "manylinux2014_aarch64", "manylinux1_i686", "musllinux_1_2_x86_64",
        "macosx_11_0_universal2", "macosx_10_9_x86_64", "ios_13_0_arm64_iphoneos",
        "android_21_arm64_v8a", "freebsd_14_0_release_amd64", "emscripten_3_1_58_wasm32"})
    CHECK(is_platform_tag(tag));
  for (const char* text :
       {"", "auto", "x86_64_", "_x86_64", "linux", "linux_", "linux__x86_64", "manylinux_2_28",
        "manylinux_x86_64", "manylinux_2_x86_64", "manylinux2014", "manylinux2024_x86_64",
        "musllinux_x86_64", "linux_2", "macosx_11_0", "macosx_arm64", "auto_x86_64", "2_28_x86_64"})
    CHECK_FALSE(is_platform_tag(text));
}

TEST_CASE("why a platform tag is not true: the machine, the system, libraries, versions") {
  auto module = module_of({"libc.so.6"}, glibc(34));
  module.machine = EM_X86_64;
  const auto reason = [&](std::string_view tag) { return untrue_reason(tag, {module}); };
  for (const char* tag : {"linux_x86_64", "manylinux_2_34_x86_64", "manylinux_2_35_x86_64"})
    CHECK(reason(tag).empty());
  CHECK(reason("manylinux_2_17_x86_64").starts_with("pkg/_k.so wants GLIBC_2.34, and runs on"));
  for (const char* tag : {"manylinux_2_34_aarch64", "linux_ppc64le", "any", "win_amd64"})
    CHECK(reason(tag) == "pkg/_k.so is for Linux on x86_64");
  CHECK(reason("musllinux_1_2_x86_64") == "pkg/_k.so wants libc.so.6, which is glibc's");
  module = module_of({"libssl.so.3"}, glibc(2));
  module.machine = EM_X86_64;
  CHECK(reason("manylinux_2_17_x86_64") ==
        "pkg/_k.so wants libssl.so.3, which not every Linux has");
  CHECK(reason("linux_x86_64").empty());
  module = module_of({"libmvec.so.1"}, glibc(17));
  module.machine = EM_X86_64;
  CHECK(reason("manylinux_2_17_x86_64") == "pkg/_k.so wants libraries of manylinux_2_24");
  // Between two policies the lower one counts, as pip has it.
  module = module_of({"libc.so.6"}, glibc(30));
  module.machine = EM_X86_64;
  CHECK(reason("manylinux_2_30_x86_64").empty());
  module.machine = EM_PPC64;
  CHECK(reason("linux_ppc64le").empty());
  CHECK(reason("linux_x86_64") == "pkg/_k.so is for Linux on ppc64le");
  module.is_linked = false;
  CHECK(reason("any").empty());
  CHECK(untrue_reason("manylinux_2_5_x86_64", {}).empty());
}

}  // namespace sagebuild
