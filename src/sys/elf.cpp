#include "sagebuild/sys/elf.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

class ElfFile {
 public:
  explicit ElfFile(const fs::path& path) : path_(path) {
    elf_version(EV_CURRENT);
    file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    elf_ = file_ < 0 ? nullptr : elf_begin(file_, ELF_C_READ_MMAP, nullptr);
    if (elf_ != nullptr && elf_kind(elf_) == ELF_K_ELF && gelf_getclass(elf_) == ELFCLASS64) return;
    const std::string reason = file_ < 0 ? errno_text(errno) : "it is no 64-bit ELF file";
    release();
    throw Error(ErrorKind::failed, fmt::format("cannot read the symbols of '{}'", path.string()),
                {reason});
  }
  ~ElfFile() { release(); }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  // By the file's class, whatever a section says of itself.
  int entries(const Elf_Data* data, Elf_Type type) const {
    return static_cast<int>(data->d_size / gelf_fsize(elf_, type, 1, EV_CURRENT));
  }

  // Calls `visit` with each section of that type: its header, and its content.
  template <class Visit>
  void each_section(GElf_Word type, Visit visit) const {
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf_, section)) != nullptr;) {
      GElf_Shdr header;
      if (gelf_getshdr(section, &header) == nullptr) fail();
      if (header.sh_type != type) continue;
      Elf_Data* data = elf_getdata(section, nullptr);
      if (data == nullptr) fail();
      visit(header, data);
    }
  }

  // Calls `visit` with each symbol that has a name.
  template <class Visit>
  void each_symbol(GElf_Word table, Visit visit) const {
    each_section(table, [&](const GElf_Shdr& header, Elf_Data* data) {
      for (int i = 1; i < entries(data, ELF_T_SYM); ++i) {
        GElf_Sym symbol;
        if (gelf_getsym(data, i, &symbol) == nullptr) fail();
        if (symbol.st_name != 0) visit(symbol, text(header.sh_link, symbol.st_name));
      }
    });
  }

  std::string_view text(std::size_t section, std::size_t offset) const {
    const char* found = elf_strptr(elf_, section, offset);
    if (found == nullptr) fail();
    return found;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::failed, fmt::format("cannot read the symbols of '{}'", path_.string()),
                {fmt::format("it is damaged: {}", elf_errmsg(-1))});
  }

  void release() {
    elf_end(elf_);
    if (file_ >= 0) close(file_);
  }

  fs::path path_;
  int file_ = -1;
  Elf* elf_ = nullptr;
};

}  // namespace

bool is_elf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[SELFMAG] = {};
  return file.read(magic, SELFMAG) && std::memcmp(magic, ELFMAG, SELFMAG) == 0;
}

std::vector<std::string> undefined_symbols(const fs::path& object) {
  std::vector<std::string> names;
  ElfFile(object).each_symbol(SHT_SYMTAB, [&](const GElf_Sym& symbol, std::string_view name) {
    if (symbol.st_shndx == SHN_UNDEF) names.emplace_back(name);
  });
  return names;
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
