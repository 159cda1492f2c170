#include "sagebuild/wheel/module_facts.hpp"

#include <elf.h>

#include <algorithm>
#include <utility>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "torch_needs.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kMostPaths = 3;
constexpr std::uint64_t kMostSearched = std::uint64_t{64} << 20;

// cuInit, cuTensorMapEncodeTiled; cuFile* is a library of its own, and cudaMalloc the runtime's.
bool is_driver_symbol(std::string_view name) {
  return name.size() > 2 && name.starts_with("cu") && name[2] >= 'A' && name[2] <= 'Z' &&
         !name.starts_with("cuFile");
}

bool is_shim(std::string_view name) {
  return name.starts_with("aoti_torch_") || name.starts_with("torch_");
}

// A mangled name with a string in it says which: "NSt7__cxx1112basic_string", or "Ss" of before.
void learn_abi(std::string_view name, CxxAbi& abi) {
  if (name.find("NSt7__cxx11") != std::string_view::npos)
    abi = CxxAbi::cxx11;
  else if (abi == CxxAbi::unsaid && (name.find("RKSs") != std::string_view::npos ||
                                     name.find("LocationESs") != std::string_view::npos))
    abi = CxxAbi::old;
}

void read_symbols(const ElfView& elf, ModuleFacts& facts) {
  elf.each_symbol(SHT_DYNSYM, [&](const ElfSymbol& symbol) {
    if (symbol.section != SHN_UNDEF) {
      if (symbol.name.starts_with("PyInit_")) facts.init_functions.emplace_back(symbol.name);
      if (symbol.binding != STB_LOCAL && (is_torch_symbol(symbol.name) || is_shim(symbol.name)))
        facts.torch_exports.emplace_back(symbol.name);
      return;
    }
    if (symbol.binding == STB_WEAK) return;
    if (is_torch_symbol(symbol.name)) {
      learn_abi(symbol.name, facts.cxx_abi);
      facts.torch_symbols.emplace_back(symbol.name);
    }
    if (is_driver_symbol(symbol.name)) facts.driver_symbols.emplace_back(symbol.name);
    if (is_shim(symbol.name)) facts.shim_symbols.emplace_back(symbol.name);
  });
  for (auto* names : {&facts.torch_symbols, &facts.torch_exports, &facts.shim_symbols})
    std::ranges::sort(*names);
  std::ranges::sort(facts.driver_symbols);
}

void raise(Version& floor, std::string_view version) {
  if (const auto number = parse_version(version)) floor = std::max(floor, *number);
}

SymbolFloors floors_of(const std::vector<ElfVersionNeed>& needs) {
  SymbolFloors floors;
  for (const ElfVersionNeed& need : needs) {
    for (std::string_view version : need.versions) {
      // Three names have no number: the release of glibc and of GCC that brought them
      if (version == "GLIBC_ABI_DT_RELR")
        raise(floors.glibc, "2.36");
      else if (version == "CXXABI_FLOAT128")
        raise(floors.cxxabi, "1.3.9");
      else if (version == "CXXABI_TM_1")
        raise(floors.cxxabi, "1.3.6");
      else if (take_prefix(version, "GLIBC_"))
        raise(floors.glibc, version);
      else if (take_prefix(version, "GLIBCXX_"))
        raise(floors.glibcxx, version);
      else if (take_prefix(version, "CXXABI_"))
        raise(floors.cxxabi, version);
      else if (take_prefix(version, "GCC_"))
        raise(floors.gcc, version);
    }
  }
  return floors;
}

void read_texts(const ElfView& elf, ModuleFacts& facts) {
  for (const ElfSection& section : elf.sections())
    if (section.name.starts_with(".debug_")) facts.debug_bytes += section.size;
  if (const ElfSection* comment = elf.section(".comment")) {
    const std::string_view text = elf.content(*comment);
    facts.compiler = text.substr(0, std::min<std::size_t>(text.find('\0'), 200));
  }
  const ElfSection* constants = elf.section(".rodata");
  if (constants == nullptr || constants->size > kMostSearched) return;
  const std::string_view text = elf.content(*constants);
  for (const std::string_view home : {"/home/", "/root/", "/Users/"}) {
    for (auto at = text.find(home);
         at != std::string_view::npos && facts.build_paths.size() < kMostPaths;
         at = text.find(home, at + 1)) {
      if (at != 0 && text[at - 1] != '\0') continue;
      const std::string_view path =
          text.substr(at, std::min<std::size_t>(text.find('\0', at) - at, 200));
      facts.build_paths.emplace_back(path);
    }
  }
  const bool has_device_code = elf.section(".nv_fatbin") != nullptr;
  if (facts.cuda_runtime == CudaRuntime::none && has_device_code &&
      text.find("/cudart.shm.") != std::string_view::npos)
    facts.cuda_runtime = CudaRuntime::linked_in;
}

}  // namespace

ModuleFacts module_facts(const std::filesystem::path& file, std::string path_in_wheel) {
  ModuleFacts facts;
  facts.path = std::move(path_in_wheel);
  facts.size = size_of_file(file);
  const ElfView elf(file);
  const ElfIdentity identity = elf.identity();
  constexpr unsigned kCuda = 190;
  facts.machine = identity.machine;
  facts.is_linked =
      identity.machine != kCuda && (identity.type == ET_DYN || identity.type == ET_EXEC);
  if (!facts.is_linked) return facts;
  const DynamicInfo dynamic = dynamic_info(file);
  facts.needed = dynamic.needed;
  facts.run_paths = dynamic.run_paths;
  facts.stack = elf.stack();
  facts.version_needs = elf.version_needs();
  facts.floors = floors_of(facts.version_needs);
  if (wanted_cudart(facts)) facts.cuda_runtime = CudaRuntime::shared;
  read_symbols(elf, facts);
  read_texts(elf, facts);
  return facts;
}

std::vector<ModuleFacts> libraries_in(const WheelReader& wheel,
                                      const std::function<bool(const std::string& name)>& wanted) {
  std::vector<ModuleFacts> libraries;
  const TempDir folder;
  const std::filesystem::path unpacked = folder.path() / "library";
  for (std::size_t i = 0; i < wheel.entries().size(); ++i) {
    const WheelEntry& entry = wheel.entries()[i];
    if (entry.size == 0 || (wanted && !wanted(entry.name))) continue;
    AtomicFile file(unpacked);
    bool is_library = false;
    wheel.stream(i, [&, first = true](std::string_view piece) mutable {
      if (std::exchange(first, false))
        is_library = piece.starts_with(
            "\x7f"
            "ELF");
      if (is_library) file.write(piece);
    });
    if (!is_library) continue;
    file.commit();
    libraries.push_back(module_facts(unpacked, entry.name));
  }
  return libraries;
}

}  // namespace sagebuild
