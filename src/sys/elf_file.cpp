#include "sys/elf_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "sagebuild/base/error.hpp"

namespace sagebuild {

ElfFile::ElfFile(const std::filesystem::path& path) : name_(path.string()) {
  elf_version(EV_CURRENT);
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const std::string reason = file_ < 0 ? errno_text(errno) : "it is no 64-bit ELF file";
  elf_ = file_ < 0 ? nullptr : elf_begin(file_, ELF_C_READ_MMAP, nullptr);
  require(reason);
}

ElfFile::ElfFile(std::string_view bytes, std::string name) : name_(std::move(name)) {
  elf_version(EV_CURRENT);
  // libelf takes a pointer to what it could write, and only reads.
  elf_ = elf_memory(const_cast<char*>(bytes.data()), bytes.size());
  require("it is no 64-bit ELF file");
}

void ElfFile::require(const std::string& reason) {
  if (elf_ != nullptr && elf_kind(elf_) == ELF_K_ELF && gelf_getclass(elf_) == ELFCLASS64) return;
  release();
  throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", name_), {reason});
}

void ElfFile::release() {
  elf_end(elf_);
  if (file_ >= 0) close(file_);
}

std::string_view ElfFile::section_name(Elf_Scn* section) const {
  std::size_t names = 0;
  GElf_Shdr header;
  if (elf_getshdrstrndx(elf_, &names) != 0 || gelf_getshdr(section, &header) == nullptr) fail();
  return text(names, header.sh_name);
}

std::string_view ElfFile::content(std::size_t section) const {
  const Elf_Data* data = elf_getdata(elf_getscn(elf_, section), nullptr);
  if (data == nullptr) fail();
  return data->d_buf == nullptr
             ? std::string_view()
             : std::string_view(static_cast<const char*>(data->d_buf), data->d_size);
}

std::string_view ElfFile::text(std::size_t section, std::size_t offset) const {
  const char* found = elf_strptr(elf_, section, offset);
  if (found == nullptr) fail();
  return found;
}

void ElfFile::fail(std::string_view reason) const {
  throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", name_),
              {fmt::format("it is damaged: {}", reason)});
}

}  // namespace sagebuild
