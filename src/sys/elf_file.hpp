#pragma once
// libelf's handle of an ELF64 file or of one in memory. What it cannot read is an Error.

#include <gelf.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace sagebuild {

class ElfFile {
 public:
  // Throws Error{failed} if it is no ELF64 file. Only pages that are asked for are read.
  explicit ElfFile(const std::filesystem::path& path);
  // `bytes` must outlive this.
  ElfFile(std::string_view bytes, std::string name);
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

  Elf* get() const { return elf_; }
  std::string_view section_name(Elf_Scn* section) const;
  std::string_view content(std::size_t section) const;
  std::string_view text(std::size_t section, std::size_t offset) const;

  [[noreturn]] void fail(std::string_view reason) const;
  // For what libelf could not read.
  [[noreturn]] void fail() const { fail(elf_errmsg(-1)); }

 private:
  void require(const std::string& reason);
  void release();

  std::string name_;
  int file_ = -1;
  Elf* elf_ = nullptr;
};

}  // namespace sagebuild
