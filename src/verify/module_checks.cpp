#include <elf.h>

#include <algorithm>
#include <map>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "verify/checks.hpp"

namespace sagebuild::verifying {
namespace {

bool starts_any(const std::vector<std::string>& names, std::string_view prefix) {
  return std::ranges::any_of(names, [&](const auto& name) { return name.starts_with(prefix); });
}

std::string first_of(const std::vector<std::string>& names) {
  return names.size() == 1 ? names.front()
                           : fmt::format("{} and {} more", names.front(), names.size() - 1);
}

void check_cuda(const ModuleFacts& module, const Promise& promise, Findings& found) {
  const auto wanted = wanted_cudart(module);
  if (wanted && promise.cuda && *wanted != promise.cuda->major())
    found.add("SB125", module.path,
              fmt::format("it wants libcudart.so.{}, and CUDA {} is promised", *wanted,
                          promise.cuda->major_minor()));
  const bool wants_driver = starts_any(module.needed, "libcuda.so");
  if (wants_driver)
    found.add("SB126", module.path,
              module.driver_symbols.empty()
                  ? "it wants libcuda.so.1, and none of its functions"
                  : fmt::format("it wants libcuda.so.1, for {}", first_of(module.driver_symbols)));
  else if (!module.driver_symbols.empty())
    found.add("SB126", module.path,
              fmt::format("it wants {}, which is the driver's", first_of(module.driver_symbols)));
  if (module.cuda_runtime == CudaRuntime::linked_in && !module.torch_symbols.empty())
    found.add("SB127", module.path, "it has libcudart linked into it, and uses torch's tensors");
}

bool brings(const WheelFacts& wheel, const std::string& library) {
  return std::ranges::any_of(wheel.modules, [&](const ModuleFacts& other) {
    return other.path == library || other.path.ends_with("/" + library);
  });
}

void check_loader(const WheelFacts& wheel, const ModuleFacts& module, Findings& found) {
  for (const std::string& path : module.run_paths) {
    if (!path.starts_with("$ORIGIN") && !path.starts_with("${ORIGIN}"))
      found.add("SB128", module.path, fmt::format("RPATH '{}'", path));
  }
  for (const ElfVersionNeed& need : module.version_needs) {
    if (std::ranges::find(module.needed, need.file) == module.needed.end() &&
        !need.file.starts_with("ld-linux"))
      found.add("SB129", module.path, fmt::format("versions of '{}'", need.file));
  }
  if (module.stack != ElfStack::plain)
    found.add("SB130", module.path,
              module.stack == ElfStack::executable ? "its program header asks for one"
                                                   : "it does not say that it needs none");
  for (const std::string& library : module.needed)
    if ((library.starts_with("libgomp.so") || library.starts_with("libiomp5.so")) &&
        !brings(wheel, library))
      found.add("SB132", module.path, fmt::format("it wants {}", library));
  if (starts_any(module.needed, "libpython")) found.add("SB135", module.path, "it wants libpython");
  if (module.debug_bytes != 0)
    found.add("SB133", module.path,
              fmt::format("{} of debug sections", human_size(module.debug_bytes)));
  if (!module.build_paths.empty())
    found.add("SB133", module.path, fmt::format("the path '{}'", module.build_paths.front()));
}

// "cpython-311-x86_64-linux-gnu", "abi3" or "" of a module's file name.
std::string suffix_of(const ModuleFacts& module) {
  std::string file = module.path.substr(module.path.find_last_of('/') + 1);
  if (!file.ends_with(".so")) return "";
  file.resize(file.size() - 3);
  const auto dot = file.find('.');
  return dot == std::string::npos ? "" : file.substr(dot + 1);
}

// Whether a Python of the wheel's tags looks for that suffix.
bool fits_tags(const WheelName& name, std::string_view suffix) {
  if (suffix == "abi3") return name.python != "py2";
  if (!take_prefix(suffix, "cpython-")) return true;
  const std::string version(suffix.substr(0, suffix.find('-')));
  const std::string python = "." + name.python + ".";
  return python.find(".cp" + version + ".") != std::string::npos ||
         python.find(".py3.") != std::string::npos;
}

// Some have a module's name, and only register functions with torch: torch.ops.load_library loads
// them, under any name.
bool is_loaded_by_torch(const ModuleFacts& module) {
  return module.init_functions.empty() &&
         (!module.shim_symbols.empty() || starts_any(module.torch_symbols, "_ZN5torch7Library"));
}

void check_python(const WheelFacts& wheel, const Promise& promise, const ModuleFacts& module,
                  Findings& found) {
  const std::string suffix = suffix_of(module);
  const bool is_module = suffix == "abi3" || suffix.starts_with("cpython-");
  const bool is_known = recipe_module(promise, stem_of(module)) != nullptr;
  if (!is_module || (!is_known && is_loaded_by_torch(module))) return;
  const std::string wanted = "PyInit_" + stem_of(module);
  if (std::ranges::find(module.init_functions, wanted) == module.init_functions.end()) {
    // With none at all it may be a library for ctypes that setuptools built.
    found.add_if(is_known || !module.init_functions.empty(), "SB131", module.path,
                 fmt::format("it has no function '{}'", wanted));
  }
  if (wheel.name && !fits_tags(*wheel.name, suffix))
    found.add(
        "SB131", module.path,
        fmt::format("its name says '{}', and the wheel is for {}", suffix, wheel.name->python));
  if (wheel.name && wheel.name->abi == "abi3" && suffix.starts_with("cpython-"))
    found.add("SB131", module.path,
              fmt::format("its name says '{}', and the wheel promises abi3", suffix));
}

const std::map<std::string_view, unsigned>& machines() {
  static const std::map<std::string_view, unsigned> all = {
      {"x86_64", EM_X86_64}, {"aarch64", EM_AARCH64}, {"ppc64le", EM_PPC64}};
  return all;
}

std::string machine_name(unsigned machine) {
  for (const auto& [name, number] : machines())
    if (number == machine) return std::string(name);
  return fmt::format("machine {} of ELF's list", machine);
}

// A Linux library in a wheel for another system. Some wheels carry libraries of several systems,
// and take one at run time.
void check_system(std::string_view platform, const ModuleFacts& module, Findings& found) {
  if (platform.starts_with("musllinux") && !module.floors.glibc.empty())
    found.add("SB123", module.path,
              fmt::format("{} promises musl, and it wants glibc {}", platform,
                          module.floors.glibc.text()));
  else if (platform.find("linux") == std::string_view::npos)
    found.suspect("SB134", module.path,
                  fmt::format("it is for Linux on {}, and the wheel's tag is '{}'",
                              machine_name(module.machine), platform));
}

void check_platform(const WheelFacts& wheel, const ModuleFacts& module, Findings& found) {
  if (!wheel.name) return;
  for (const auto& [name, machine] : machines()) {
    if (wheel.name->platform.ends_with(name) && module.machine != machine)
      found.add(
          "SB134", module.path,
          fmt::format("it is for {}, and the wheel for {}", machine_name(module.machine), name));
  }
  check_system(wheel.name->platform, module, found);
  for (const std::string_view tag : split(wheel.name->platform, ".")) {
    const auto most = floors_of_platform(tag);
    if (!most) continue;
    const SymbolFloors& wants = module.floors;
    const std::string runs = distributions_for(wants);
    if (most->glibc < wants.glibc)
      found.add("SB123", module.path,
                fmt::format("{} promises glibc {}, and it wants {}: it runs on {}", tag,
                            most->glibc.text(), wants.glibc.text(), runs));
    if (most->gcc < wants.gcc)
      found.add("SB124", module.path,
                fmt::format("{} promises GCC_{} of libgcc, and it wants {}: it runs on {}", tag,
                            most->gcc.text(), wants.gcc.text(), runs));
    if (most->glibcxx < wants.glibcxx || most->cxxabi < wants.cxxabi)
      found.add("SB124", module.path,
                fmt::format("{} promises GLIBCXX_{} and CXXABI_{}, and it wants {} and {}: it "
                            "runs on {}",
                            tag, most->glibcxx.text(), most->cxxabi.text(), wants.glibcxx.text(),
                            wants.cxxabi.text(), runs));
  }
}

}  // namespace

void check_modules(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  for (const ModuleFacts& module : wheel.modules) {
    if (!module.is_linked) continue;
    check_cuda(module, promise, found);
    check_loader(wheel, module, found);
    check_python(wheel, promise, module, found);
    check_platform(wheel, module, found);
  }
}

}  // namespace sagebuild::verifying
