#pragma once
// Facts of wheels and modules as tests want them, and what verify makes of them.

#include <elf.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verify.hpp"

namespace sagebuild {

inline GpuImage image_of(ImageKind kind, const std::string& arch, std::uint32_t traps = 0,
                         const std::string& kernel = "_Z1kv") {
  GpuImage image;
  image.kind = kind;
  image.arch = parse_arch(arch);
  image.kernels = 1;
  image.traps = traps;
  image.ptx_isa = kind == ImageKind::ptx ? Version{9, 0} : Version{};
  image.toolkit = {13, 0};
  if (traps != 0) image.trapping.push_back({kernel, traps});
  return image;
}

inline GpuImage sass(const std::string& arch, std::uint32_t traps = 0,
                     const std::string& kernel = "_Z1kv") {
  return image_of(ImageKind::sass, arch, traps, kernel);
}
inline GpuImage ptx(const std::string& arch, std::uint32_t traps = 0) {
  return image_of(ImageKind::ptx, arch, traps);
}

inline ModuleFacts module_of(const std::string& stem,
                             const std::vector<std::vector<GpuImage>>& sources) {
  ModuleFacts module;
  module.path = "pkg/" + stem + ".cpython-311-x86_64-linux-gnu.so";
  module.is_linked = true;
  module.machine = EM_X86_64;
  module.init_functions = {"PyInit_" + stem};
  for (const auto& images : sources)
    module.gpu.containers.push_back({".nv_fatbin", 0, false, images});
  return module;
}

inline WheelFacts wheel_of(
    const std::vector<ModuleFacts>& modules,
    const std::string& name = "pkg-1.0-cp311-cp311-manylinux_2_28_x86_64.whl") {
  WheelFacts wheel;
  wheel.file = name;
  wheel.name = parse_wheel_name(name);
  wheel.metadata = "Name: pkg\nVersion: 1.0\n";
  wheel.modules = modules;
  return wheel;
}

inline const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = load_recipes(data_folder() / "patches").all();
  return all;
}

inline std::vector<Finding> findings(const WheelFacts& wheel,
                                     const std::optional<std::string>& archs = {},
                                     Policy policy = Policy::publish) {
  return verify_wheel(wheel, promise_of(wheel, recipes(), archs), policy);
}

// "SB101 error" ...
inline std::set<std::string> codes(const WheelFacts& wheel,
                                   const std::optional<std::string>& archs = {},
                                   Policy policy = Policy::publish) {
  std::set<std::string> all;
  for (const Finding& finding : findings(wheel, archs, policy))
    all.insert(finding.code + " " + name_of(finding.severity));
  return all;
}

using Codes = std::set<std::string>;

// The codes that one change of a sound module brings.
template <class Change>
Codes codes_after(
    Change change,
    const std::string& name = "pkg-1.0+cu130torch2.11-cp311-cp311-manylinux_2_28_x86_64.whl") {
  WheelFacts wheel = wheel_of({module_of("_k", {{sass("8.0")}})}, name);
  change(wheel.modules[0], wheel);
  return codes(wheel, "8.0");
}

}  // namespace sagebuild
