#pragma once
// The sections of a 64-bit ELF file, host object or cubin, read without the program under test.

#include <elf.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <string>

#include "sagebuild/sys/files.hpp"

namespace sagebuild {

template <class Value>
Value elf_value(const std::string& bytes, std::uint64_t at) {
  Value value{};
  if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Content by name; sections without content in the file (.bss) by their size in digits.
inline std::multimap<std::string, std::string> elf_sections(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  const auto header = elf_value<Elf64_Ehdr>(bytes, 0);
  const auto section = [&](std::uint64_t index) {
    return elf_value<Elf64_Shdr>(bytes, header.e_shoff + index * sizeof(Elf64_Shdr));
  };
  const auto names = section(header.e_shstrndx);
  std::multimap<std::string, std::string> result;
  for (std::uint64_t i = 1; i < header.e_shnum; ++i) {
    const auto one = section(i);
    const std::string name = bytes.c_str() + names.sh_offset + one.sh_name;
    result.emplace(name, one.sh_type == SHT_NOBITS ? std::to_string(one.sh_size)
                                                   : bytes.substr(one.sh_offset, one.sh_size));
  }
  return result;
}

}  // namespace sagebuild
