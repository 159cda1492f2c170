#include "sagebuild/sys/elf_view.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sys/elf_file.hpp"

namespace sagebuild {
namespace {

// Real files stay far below: a cubin has four sections for each kernel.
constexpr std::size_t kMostSections = 1'000'000;
constexpr int kMostSymbols = 20'000'000;
constexpr std::size_t kMostVersions = 100'000;

}  // namespace

struct ElfView::Handle {
  ElfFile file;
};

ElfView::ElfView(const std::filesystem::path& path) : handle_(new Handle{ElfFile(path)}) {
  read_sections();
}

ElfView::ElfView(std::string_view bytes, std::string name)
    : handle_(new Handle{ElfFile(bytes, std::move(name))}) {
  read_sections();
}

ElfView::~ElfView() = default;

void ElfView::read_sections() {
  const ElfFile& elf = handle_->file;
  std::size_t count = 0;
  if (elf_getshdrnum(elf.get(), &count) != 0) elf.fail();
  GElf_Ehdr file;
  if (gelf_getehdr(elf.get(), &file) == nullptr) elf.fail();
  // libelf leaves out a table that it cannot reach.
  if (count == 0 && file.e_shoff != 0 && file.e_shnum != 0)
    elf.fail("its section table lies past its end: the file is cut off");
  if (count > kMostSections) elf.fail(fmt::format("it has {} sections", count));
  sections_.reserve(count);
  for (Elf_Scn* one = nullptr; (one = elf_nextscn(elf.get(), one)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(one, &header) == nullptr) elf.fail();
    sections_.push_back({elf.section_name(one), elf_ndxscn(one), header.sh_type, header.sh_link,
                         header.sh_info, header.sh_flags, header.sh_addr, header.sh_offset,
                         header.sh_size});
  }
}

ElfIdentity ElfView::identity() const {
  GElf_Ehdr header;
  if (gelf_getehdr(handle_->file.get(), &header) == nullptr) handle_->file.fail();
  return {
      header.e_type,    header.e_machine, header.e_ident[EI_OSABI], header.e_ident[EI_ABIVERSION],
      header.e_version, header.e_flags};
}

const ElfSection* ElfView::section(std::string_view name) const {
  const auto found = std::ranges::find(sections_, name, &ElfSection::name);
  return found == sections_.end() ? nullptr : &*found;
}

std::string_view ElfView::content(const ElfSection& section) const {
  if (section.type == SHT_NOBITS || section.size == 0) return {};
  return handle_->file.content(section.index);
}

void ElfView::each_symbol(std::uint32_t table,
                          const std::function<void(const ElfSymbol&)>& visit) const {
  const ElfFile& elf = handle_->file;
  const auto section = std::ranges::find(sections_, table, &ElfSection::type);
  if (section == sections_.end()) return;
  Elf_Data* data = elf_getdata(elf_getscn(elf.get(), section->index), nullptr);
  if (data == nullptr) elf.fail();
  const int count = elf.entries(data, ELF_T_SYM);
  if (count > kMostSymbols) elf.fail(fmt::format("it has {} symbols", count));
  for (int i = 1; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, i, &symbol) == nullptr) elf.fail();
    if (symbol.st_name == 0) continue;
    const unsigned info = symbol.st_info;
    visit({elf.text(section->link, symbol.st_name), info & 0xfU, info >> 4U, symbol.st_other,
           symbol.st_shndx});
  }
}

std::vector<ElfVersionNeed> ElfView::version_needs() const {
  const ElfFile& elf = handle_->file;
  std::vector<ElfVersionNeed> needs;
  const auto section =
      std::ranges::find(sections_, static_cast<std::uint32_t>(SHT_GNU_verneed), &ElfSection::type);
  if (section == sections_.end()) return needs;
  Elf_Data* data = elf_getdata(elf_getscn(elf.get(), section->index), nullptr);
  if (data == nullptr) elf.fail();
  // Steps lead forward and end with 0; one that leads on for ever is cut by the count.
  std::size_t seen = 0;
  for (std::uint64_t at = 0; at < data->d_size;) {
    GElf_Verneed need;
    if (gelf_getverneed(data, static_cast<int>(at), &need) == nullptr) elf.fail();
    ElfVersionNeed& row = needs.emplace_back();
    row.file = elf.text(section->link, need.vn_file);
    std::uint64_t inner = at + need.vn_aux;
    for (unsigned i = 0; i < need.vn_cnt && inner < data->d_size; ++i) {
      GElf_Vernaux aux;
      if (gelf_getvernaux(data, static_cast<int>(inner), &aux) == nullptr) elf.fail();
      row.versions.emplace_back(elf.text(section->link, aux.vna_name));
      if (++seen > kMostVersions) elf.fail("it wants symbol versions without end");
      if (aux.vna_next == 0) break;
      inner += aux.vna_next;
    }
    if (need.vn_next == 0) break;
    at += need.vn_next;
    if (++seen > kMostVersions) elf.fail("it wants symbol versions without end");
  }
  return needs;
}

ElfStack ElfView::stack() const {
  const ElfFile& elf = handle_->file;
  std::size_t count = 0;
  if (elf_getphdrnum(elf.get(), &count) != 0) elf.fail();
  for (std::size_t i = 0; i < std::min(count, kMostSections); ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &header) == nullptr) elf.fail();
    if (header.p_type == PT_GNU_STACK)
      return (header.p_flags & PF_X) != 0 ? ElfStack::executable : ElfStack::plain;
  }
  return ElfStack::unsaid;
}

}  // namespace sagebuild
