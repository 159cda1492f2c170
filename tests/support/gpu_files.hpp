#pragma once
// Cubins, fatbins and libraries made byte by byte, so that tests say what is in them, and how they
// are damaged.

#include <elf.h>
#include <lz4.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "sagebuild/model/gpu_code.hpp"

namespace sagebuild {

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

struct MadeSection {
  std::string name;
  std::uint32_t type = SHT_PROGBITS;
  std::string content;
  std::uint32_t link = 0;
  std::uint32_t info = 0;
  std::uint64_t entry = 0;
};

// An ELF64 file of these sections; its names come last.
inline std::string elf_of(const std::vector<MadeSection>& sections, Elf64_Ehdr header = {}) {
  std::string names(1, '\0');
  std::string body;
  std::vector<Elf64_Shdr> table(1);
  auto all = sections;
  all.push_back({".shstrtab", SHT_STRTAB, ""});
  for (MadeSection& section : all) {
    Elf64_Shdr row{};
    row.sh_name = static_cast<Elf64_Word>(names.size());
    names += section.name + '\0';
    if (&section == &all.back()) section.content = names;
    while (body.size() % 16 != 0) body += '\0';
    row.sh_type = section.type;
    row.sh_offset = sizeof header + body.size();
    row.sh_size = section.content.size();
    row.sh_link = section.link;
    row.sh_info = section.info;
    row.sh_entsize = section.entry;
    row.sh_addralign = 1;
    body += section.content;
    table.push_back(row);
  }
  while (body.size() % 16 != 0) body += '\0';
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  if (header.e_machine == 0) header.e_machine = EM_X86_64;
  if (header.e_type == 0) header.e_type = ET_DYN;
  if (header.e_version == 0) header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_shoff = sizeof header + body.size();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<Elf64_Half>(table.size());
  header.e_shstrndx = static_cast<Elf64_Half>(table.size() - 1);
  std::string file = bytes_of(header) + body;
  for (const Elf64_Shdr& row : table) file += bytes_of(row);
  return file;
}

struct MadeKernel {
  std::string name;
  unsigned traps = 0;
};

// Machine code as CUDA 13 writes it (ABI 8), or CUDA 12 up to sm_90 (ABI 7).
inline std::string cubin_of(unsigned sm, const std::vector<MadeKernel>& kernels, int abi = 8,
                            unsigned more_flags = 0) {
  Elf64_Ehdr header{};
  header.e_machine = 190;
  header.e_type = ET_EXEC;
  header.e_ident[EI_OSABI] = abi == 8 ? 0x41 : 0x33;
  header.e_ident[EI_ABIVERSION] = static_cast<unsigned char>(abi);
  header.e_version = abi == 8 ? 1 : 0x80;  // CUDA 12.8
  header.e_flags = (abi == 8 ? sm << 8U | 0x02U : sm << 16U | 0x500U | sm) | more_flags;
  std::string names(1, '\0');
  std::string symbols = bytes_of(Elf64_Sym{});
  std::vector<MadeSection> sections;
  for (const MadeKernel& kernel : kernels) {
    Elf64_Sym symbol{};
    symbol.st_name = static_cast<Elf64_Word>(names.size());
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    symbol.st_other = 0x10;
    symbol.st_shndx = static_cast<Elf64_Half>(sections.size() + 1);
    names += kernel.name + '\0';
    symbols += bytes_of(symbol);
    std::string code;
    for (unsigned i = 0; i < 8; ++i) {
      const std::uint64_t word = i < kernel.traps ? 0x000000040000795cU : 0x0000000000007918U;
      code += bytes_of(word) + bytes_of(std::uint64_t{0x95c});
    }
    sections.push_back({".text." + kernel.name, SHT_PROGBITS, code});
  }
  const auto strings = static_cast<std::uint32_t>(sections.size() + 1);
  sections.push_back({".strtab", SHT_STRTAB, names});
  sections.push_back({".symtab", SHT_SYMTAB, symbols, strings, 1, sizeof(Elf64_Sym)});
  return elf_of(sections, header);
}

inline std::string ptx_of(const std::string& target, const std::string& body) {
  return ".version 9.0\n.target " + target + "\n.address_size 64\n" + body;
}

inline std::string packed(ImageCodec codec, const std::string& plain) {
  std::string out(plain.size() * 2 + 1024, '\0');
  std::size_t size = 0;
  if (codec == ImageCodec::zlib) {
    uLongf room = out.size();
    compress(reinterpret_cast<Bytef*>(out.data()), &room,
             reinterpret_cast<const Bytef*>(plain.data()), plain.size());
    size = room;
  } else if (codec == ImageCodec::lz4) {
    size = static_cast<std::size_t>(LZ4_compress_default(
        plain.data(), out.data(), static_cast<int>(plain.size()), static_cast<int>(out.size())));
  } else if (codec == ImageCodec::lz4_frame) {
    size = LZ4F_compressFrame(out.data(), out.size(), plain.data(), plain.size(), nullptr);
  } else if (codec == ImageCodec::zstd) {
    size = ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3);
  } else {
    return plain;
  }
  out.resize(size);
  return out;
}

struct MadeImage {
  unsigned kind = 2;
  unsigned arch = 80;
  std::string content;
  ImageCodec codec = ImageCodec::none;
  std::uint64_t flags = 0x11;
  std::uint64_t unpacked = 0;  // instead of the true size
  std::string name = {};       // of its source
};

inline std::string entry_of(const MadeImage& image) {
  constexpr std::uint64_t kFlags[] = {0, 0x1000, 0x2000, 0x4000, 0x8000};
  const bool is_packed = image.codec != ImageCodec::none;
  std::string content = packed(image.codec, image.content);
  const auto exact = static_cast<std::uint32_t>(content.size());
  while (content.size() % 8 != 0) content += '\0';
  std::string name = image.name;
  while (name.size() % 8 != 0) name += '\0';
  std::string header(0x40, '\0');
  const auto put = [&](std::size_t at, auto value) {
    std::memcpy(header.data() + at, &value, sizeof value);
  };
  put(0, static_cast<std::uint16_t>(image.kind));
  put(2, std::uint16_t{0x101});
  put(4, static_cast<std::uint32_t>(0x40 + name.size()));
  put(8, std::uint64_t{content.size()});
  put(0x10, is_packed ? exact : 0U);
  if (image.kind == 1) {
    put(0x18, std::uint16_t{0});
    put(0x1a, std::uint16_t{9});
  }
  put(0x1c, static_cast<std::uint32_t>(image.arch));
  put(0x20, image.name.empty() ? 0U : 0x40U);
  put(0x24, static_cast<std::uint32_t>(image.name.size()));
  put(0x28, image.flags | kFlags[static_cast<std::size_t>(image.codec)]);
  const std::uint64_t plain = image.unpacked != 0 ? image.unpacked : image.content.size();
  put(0x38, is_packed ? plain : std::uint64_t{0});
  return header + name + content;
}

inline std::string container_of(const std::vector<MadeImage>& images) {
  std::string entries;
  for (const MadeImage& image : images) entries += entry_of(image);
  return bytes_of(std::uint32_t{0xba55ed50}) + bytes_of(std::uint16_t{1}) +
         bytes_of(std::uint16_t{16}) + bytes_of(std::uint64_t{entries.size()}) + entries;
}

// A library that holds these bytes as its GPU code.
inline std::string library_of(const std::string& fatbin,
                              const std::string& section = ".nv_fatbin") {
  return elf_of({{section, SHT_PROGBITS, fatbin}});
}

}  // namespace sagebuild
