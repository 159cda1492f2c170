#include <algorithm>
#include <set>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/sys/elf.hpp"
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
                          promise.cuda->text()));
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

void check_loader(const WheelFacts& wheel, const ModuleFacts& module, Findings& found) {
  for (const std::string& path : module.run_paths) {
    if (!is_below_origin(path)) found.add("SB128", module.path, fmt::format("RPATH '{}'", path));
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
        !holds(wheel.modules, library))
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
  std::string file(file_name(module.path));
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

void check_python(const WheelFacts& wheel, const Promise& promise, const ModuleFacts& module,
                  Findings& found) {
  const std::string suffix = suffix_of(module);
  const bool is_module = suffix == "abi3" || suffix.starts_with("cpython-");
  const bool is_known = recipe_module(promise, stem_of(module)) != nullptr;
  if (!is_module || (!is_known && registers_with_torch(module))) return;
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

// That the tags of a wheel's name are for: EM_X86_64.
std::set<unsigned> machines_of(const WheelName& name) {
  std::set<unsigned> all;
  for (const std::string_view tag : split(name.platform, "."))
    if (const auto machine = elf_machine_of(tag)) all.insert(*machine);
  return all;
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
                              elf_machine_name(module.machine), platform));
}

void check_platform(const WheelFacts& wheel, const ModuleFacts& module, Findings& found) {
  if (!wheel.name) return;
  const std::set<unsigned> is_for = machines_of(*wheel.name);
  if (!is_for.empty() && !is_for.contains(module.machine)) {
    std::vector<std::string> names;
    for (const unsigned machine : is_for) names.push_back(elf_machine_name(machine));
    found.add("SB134", module.path,
              fmt::format("it is for {}, and the wheel for {}", elf_machine_name(module.machine),
                          join(names, " and ")));
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

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](auto begin) { return text.starts_with(begin); });
}

// Whether the wheel has it under another name: libssl-1a2b3c.so.3 for libssl.so.3.
bool brings_renamed(const WheelFacts& wheel, std::string_view library) {
  const std::string_view stem = library.substr(0, library.find(".so"));
  return std::ranges::any_of(wheel.modules, [&](const ModuleFacts& other) {
    std::string_view file = file_name(other.path);
    return take_prefix(file, stem) && (file.starts_with('-') || file.starts_with('.'));
  });
}

// What the modules ask of a system beside the versions of glibc and libstdc++, which have findings
// of their own, as have the OpenMP runtimes and libpython. What torch's packages for NVIDIA's and
// AMD's GPUs bring does not count.
std::vector<ModuleFacts> wants_of_system(const WheelFacts& wheel) {
  std::vector<ModuleFacts> all;
  for (const ModuleFacts& module : wheel.modules) {
    ModuleFacts& wants = all.emplace_back();
    wants.path = module.path;
    wants.machine = module.machine;
    wants.is_linked = module.is_linked;
    wants.version_needs = module.version_needs;
    wants.init_functions = module.init_functions;
    for (const std::string& library : module.needed)
      if (!starts_with_any(library, {"libgomp.so", "libiomp5.so", "libpython", "libnv", "libnpp",
                                     "libamd", "libhip", "libroc", "librccl", "libMIOpen"}) &&
          !brings_renamed(wheel, library))
        wants.needed.push_back(library);
  }
  return all;
}

// The tags of its name against all of its modules.
void check_tags(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  if (!wheel.name || lower(wheel.name->distribution) == "torch") return;
  const auto has = [&](unsigned machine) {
    return std::ranges::any_of(wheel.modules, [&](const ModuleFacts& module) {
      return module.is_linked && module.machine == machine;
    });
  };
  const std::set<unsigned> is_for = machines_of(*wheel.name);
  // Where it has none for any of them, each module has a finding.
  const bool has_some = std::ranges::any_of(is_for, has);
  for (const unsigned machine : is_for)
    if (has_some && !has(machine))
      found.add(
          "SB134", wheel.file,
          fmt::format("a tag of its name is for {}, and no module is", elf_machine_name(machine)));
  const std::vector<ModuleFacts> all = wants_of_system(wheel);
  for (const std::string_view tag : split(wheel.name->platform, ".")) {
    if (!tag.starts_with("manylinux")) continue;
    if (!is_platform_tag(tag)) {
      found.add("SB139", wheel.file, fmt::format("'{}' is no tag that pip knows", tag));
      continue;
    }
    std::vector<ModuleFacts> modules = all;
    for (ModuleFacts& module : modules)
      module.is_linked &= tag.ends_with(elf_machine_name(module.machine));
    const std::string maybe = untrue_reason(tag, modules);
    if (maybe.empty()) continue;
    // A package that METADATA asks for may bring the library. Of libraries that are no modules of
    // Python some wheels carry several, and take the one that loads.
    for (ModuleFacts& module : modules)
      if (promise.wants_packages || module.init_functions.empty()) module.needed.clear();
    const std::string sure = untrue_reason(tag, modules);
    found.add_if(!sure.empty(), "SB139", wheel.file,
                 fmt::format("{} is not true: {}", tag, sure.empty() ? maybe : sure));
    return;
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
  check_tags(wheel, promise, found);
}

}  // namespace sagebuild::verifying
