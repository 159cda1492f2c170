#pragma once
// The sections and symbols of one ELF64 file, on disk or in memory, through libelf. For files of
// any origin: every bound is checked, and a table that is absurdly long is an Error.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct ElfIdentity {
  unsigned type = 0;     // ET_DYN, ...
  unsigned machine = 0;  // EM_X86_64; 190 is EM_CUDA
  unsigned os_abi = 0;
  unsigned abi_version = 0;
  unsigned version = 0;  // e_version
  unsigned flags = 0;
};

struct ElfSection {
  std::string_view name;
  std::size_t index = 0;
  std::uint32_t type = 0;
  std::uint32_t link = 0;
  std::uint32_t info = 0;
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t size = 0;    // bytes; those of SHT_NOBITS are not in the file
};

struct ElfSymbol {
  std::string_view name;
  unsigned type = 0;     // STT_FUNC
  unsigned binding = 0;  // STB_WEAK
  unsigned other = 0;
  unsigned section = 0;  // SHN_UNDEF: it is wanted
};

// "libc.so.6" -> "GLIBC_2.34" ...
struct ElfVersionNeed {
  std::string file;
  std::vector<std::string> versions;
};

enum class ElfStack : std::uint8_t { plain, executable, unsaid };

class ElfView {
 public:
  // Throws Error{failed} if it is no ELF64 file, or has sections without end.
  explicit ElfView(const std::filesystem::path& path);
  // `bytes` must outlive the view; `name` is for errors.
  ElfView(std::string_view bytes, std::string name);
  ~ElfView();
  ElfView(const ElfView&) = delete;
  ElfView& operator=(const ElfView&) = delete;

  ElfIdentity identity() const;
  const std::vector<ElfSection>& sections() const { return sections_; }
  const ElfSection* section(std::string_view name) const;  // the first of its name, or null
  // Empty for sections without bytes in the file. Throws Error{failed} if it lies outside.
  std::string_view content(const ElfSection& section) const;
  // Every named symbol of the first table of that type: SHT_SYMTAB or SHT_DYNSYM.
  void each_symbol(std::uint32_t table, const std::function<void(const ElfSymbol&)>& visit) const;
  // What the loader asks of the libraries, by DT_VERNEED.
  std::vector<ElfVersionNeed> version_needs() const;
  ElfStack stack() const;  // PT_GNU_STACK

 private:
  struct Handle;
  void read_sections();
  std::unique_ptr<Handle> handle_;
  std::vector<ElfSection> sections_;
};

}  // namespace sagebuild
