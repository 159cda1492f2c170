#include "sagebuild/sys/elf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sys/elf_file.hpp"

namespace sagebuild {

namespace fs = std::filesystem;

bool is_elf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[SELFMAG] = {};
  return file.read(magic, SELFMAG) && std::memcmp(magic, ELFMAG, SELFMAG) == 0;
}

ElfHeader elf_header(const fs::path& file) {
  const ElfFile elf(file);
  GElf_Ehdr header;
  if (gelf_getehdr(elf.get(), &header) == nullptr) elf.fail();
  return {header.e_machine, header.e_flags};
}

std::vector<std::string> undefined_symbols(const fs::path& object) {
  std::vector<std::string> names;
  ElfFile(object).each_symbol(SHT_SYMTAB, [&](const GElf_Sym& symbol, std::string_view name) {
    if (symbol.st_shndx == SHN_UNDEF) names.emplace_back(name);
  });
  return names;
}

std::vector<std::string> local_variables(const fs::path& object) {
  const ElfFile elf(object);
  std::vector<std::string> names;
  elf.each_symbol(SHT_SYMTAB, [&](const GElf_Sym& symbol, std::string_view name) {
    const auto type = GELF_ST_TYPE(symbol.st_info);
    if (GELF_ST_BIND(symbol.st_info) != STB_LOCAL || (type != STT_OBJECT && type != STT_TLS))
      return;
    Elf_Scn* section = elf_getscn(elf.get(), symbol.st_shndx);
    GElf_Shdr header;
    if (section == nullptr || gelf_getshdr(section, &header) == nullptr) return;
    // Constants that hold addresses are written by the loader alone.
    const bool is_constant = elf.section_name(section).starts_with(".data.rel.ro");
    if ((header.sh_flags & SHF_WRITE) != 0 && !is_constant) names.emplace_back(name);
  });
  return names;
}

namespace {

struct Filled {
  std::size_t place = 0;  // in its section
  std::size_t size = 0;   // bytes
  std::string by;         // a symbol, or the section that a local one lies in
  std::string content;    // which part of that section, however the sections are laid out
};

// By the index of the section that they fill.
using Relocations = std::map<std::size_t, std::vector<Filled>>;

// Sections that hold what belongs to many functions, so that an offset in them says nothing.
bool is_shared(std::string_view section) {
  return section == ".text" || section == ".rodata" || section == ".data" || section == ".bss";
}

// A constant or a string by its bytes, as the linker merges them; else the offset, and the bytes of
// a section that holds one variable alone.
std::string content_at(const ElfFile& elf, std::size_t index, std::int64_t offset) {
  Elf_Scn* section = elf_getscn(elf.get(), index);
  GElf_Shdr header;
  if (section == nullptr || gelf_getshdr(section, &header) == nullptr) return "";
  if (is_shared(elf.section_name(section))) return "";
  const bool has_bytes = header.sh_type == SHT_PROGBITS && (header.sh_flags & SHF_EXECINSTR) == 0;
  const std::string_view bytes = has_bytes ? elf.content(index) : std::string_view();
  const bool is_merged = (header.sh_flags & SHF_MERGE) != 0 && header.sh_entsize != 0;
  if (!is_merged || offset < 0 || static_cast<std::size_t>(offset) >= bytes.size())
    return fmt::format("+{}\n{}", offset, bytes);
  const auto at = static_cast<std::size_t>(offset);
  if ((header.sh_flags & SHF_STRINGS) != 0 && header.sh_entsize == 1)
    return std::string(bytes.substr(at, bytes.find('\0', at) - at));
  return std::string(bytes.substr(at - at % header.sh_entsize, header.sh_entsize));
}

Relocations relocations(const ElfFile& elf) {
  std::vector<std::string> sections = {""};
  for (Elf_Scn* one = nullptr; (one = elf_nextscn(elf.get(), one)) != nullptr;)
    sections.emplace_back(elf.section_name(one));
  struct Symbol {
    std::string name;         // of its section for a local one, whose own name can be a number
    std::size_t section = 0;  // of a local one
    std::uint64_t value = 0;
  };
  std::vector<Symbol> symbols = {{}};
  elf.each_section(SHT_SYMTAB, [&](const GElf_Shdr& header, Elf_Data* data) {
    for (int i = 1; i < elf.entries(data, ELF_T_SYM); ++i) {
      GElf_Sym symbol{};
      gelf_getsym(data, i, &symbol);
      const bool is_local =
          GELF_ST_BIND(symbol.st_info) == STB_LOCAL && symbol.st_shndx < sections.size();
      symbols.push_back(is_local
                            ? Symbol{sections[symbol.st_shndx], symbol.st_shndx, symbol.st_value}
                            : Symbol{std::string(elf.text(header.sh_link, symbol.st_name))});
    }
  });
  Relocations filled;
  elf.each_section(SHT_RELA, [&](const GElf_Shdr& header, Elf_Data* data) {
    for (int i = 0; i < elf.entries(data, ELF_T_RELA); ++i) {
      GElf_Rela entry{};
      gelf_getrela(data, i, &entry);
      const std::size_t index = GELF_R_SYM(entry.r_info);
      const Symbol& symbol = symbols[index < symbols.size() ? index : 0];
      const auto type = GELF_R_TYPE(entry.r_info);
      Filled place{entry.r_offset, type == R_X86_64_64 ? 8U : 4U, symbol.name, {}};
      // Relative to the end of the four bytes that are filled.
      const bool is_relative = type == R_X86_64_PC32 || type == R_X86_64_PLT32;
      const auto offset =
          static_cast<std::int64_t>(symbol.value) + entry.r_addend + (is_relative ? 4 : 0);
      if (symbol.section != 0) place.content = content_at(elf, symbol.section, offset);
      filled[header.sh_info].push_back(std::move(place));
    }
  });
  return filled;
}

}  // namespace

ObjectContent object_content(const fs::path& object) {
  const ElfFile elf(object);
  const auto filled = relocations(elf);
  ObjectContent found;
  elf.each_symbol(SHT_SYMTAB, [&](const GElf_Sym& symbol, std::string_view name) {
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE) return;
    if (GELF_ST_BIND(symbol.st_info) == STB_GLOBAL) found.exports.emplace_back(name);
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) return;
    ObjectContent::Function function;
    const std::string_view section = elf.content(symbol.st_shndx);
    if (symbol.st_value > section.size() || symbol.st_size > section.size() - symbol.st_value)
      elf.fail(fmt::format("'{}' lies outside its section", name));
    function.code = section.substr(symbol.st_value, symbol.st_size);
    if (const auto inside = filled.find(symbol.st_shndx); inside != filled.end()) {
      for (const Filled& place : inside->second) {
        const std::size_t at = place.place - symbol.st_value;
        if (place.place < symbol.st_value || at >= symbol.st_size ||
            place.size > symbol.st_size - at)
          continue;
        function.code.replace(at, place.size, std::string(place.size, '\0'));
        function.uses.push_back(place.by);
        function.code += fmt::format("\n{}{}", place.by, place.content);
      }
    }
    found.functions.emplace(name, std::move(function));
  });
  std::ranges::sort(found.exports);
  return found;
}

namespace {

// What of a section can differ. A GPU image has the registers and barriers that a kernel takes in
// the info and the flags of its section, and shared memory as a section of a size and no bytes.
struct Section {
  std::string_view name;
  std::string_view content;
  GElf_Word type;
  GElf_Xword flags;
  GElf_Xword size;
  GElf_Word info;
  bool operator==(const Section&) const = default;
};

std::vector<Section> sections_but_notes(const ElfFile& elf) {
  std::vector<Section> sections;
  for (Elf_Scn* one = nullptr; (one = elf_nextscn(elf.get(), one)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(one, &header) == nullptr) elf.fail();
    if (header.sh_type == SHT_NOTE) continue;
    sections.push_back({elf.section_name(one), elf.content(elf_ndxscn(one)), header.sh_type,
                        header.sh_flags, header.sh_size, header.sh_info});
  }
  return sections;
}

}  // namespace

std::optional<std::string> differing_section(const fs::path& cubin, const fs::path& other) {
  const ElfFile one(cubin);
  const ElfFile two(other);
  const std::vector<Section> ours = sections_but_notes(one);
  const std::vector<Section> theirs = sections_but_notes(two);
  const auto [differs, its] = std::ranges::mismatch(ours, theirs);
  if (differs != ours.end()) return std::string(differs->name);
  if (its != theirs.end()) return std::string(its->name);
  return std::nullopt;
}

DynamicInfo dynamic_info(const fs::path& file) {
  DynamicInfo info;
  const ElfFile elf(file);
  elf.each_section(SHT_DYNAMIC, [&](const GElf_Shdr& header, Elf_Data* data) {
    for (int i = 0; i < elf.entries(data, ELF_T_DYN); ++i) {
      GElf_Dyn entry;
      if (gelf_getdyn(data, i, &entry) == nullptr || entry.d_tag == DT_NULL) break;
      const auto value = [&] { return elf.text(header.sh_link, entry.d_un.d_val); };
      if (entry.d_tag == DT_SONAME) info.soname = value();
      if (entry.d_tag == DT_NEEDED) info.needed.emplace_back(value());
      if (entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH)
        for (const auto folder : split(value(), ":")) info.run_paths.emplace_back(folder);
    }
  });
  return info;
}

bool is_below_origin(std::string_view run_path) {
  return run_path.starts_with("$ORIGIN") || run_path.starts_with("${ORIGIN}");
}

std::vector<std::string> wanted_symbols(const fs::path& file) {
  std::vector<std::string> names;
  ElfFile(file).each_symbol(SHT_DYNSYM, [&](const GElf_Sym& symbol, std::string_view name) {
    if (symbol.st_shndx == SHN_UNDEF && GELF_ST_BIND(symbol.st_info) != STB_WEAK)
      names.emplace_back(name);
  });
  return names;
}

void each_exported_symbol(const fs::path& file,
                          const std::function<void(std::string_view)>& found) {
  ElfFile(file).each_symbol(SHT_DYNSYM, [&](const GElf_Sym& symbol, std::string_view name) {
    if (symbol.st_shndx != SHN_UNDEF && GELF_ST_BIND(symbol.st_info) != STB_LOCAL) found(name);
  });
}

}  // namespace sagebuild
