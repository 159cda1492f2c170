#include "sagebuild/sys/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

fs::path library_in(const fs::path& folder) {
  Command command{.argv = {"g++", "-shared", "-fPIC", "-nostdlib", "-x", "c++", "-", "-o", "a.so",
                           "-Wl,-soname,liba.so.1,-rpath,$ORIGIN/x:/y"},
                  .cwd = folder};
  command.input =
      "int gone(); __attribute__((weak)) int perhaps(); int here() { return gone() + (perhaps ? "
      "perhaps() : 0); }\n"
      "__attribute__((visibility(\"hidden\"))) int inner() { return 1; }\n";
  run_checked(command, "cannot link");
  return folder / "a.so";
}

std::set<std::string> exported(const fs::path& file) {
  std::set<std::string> names;
  each_exported_symbol(file, [&](std::string_view name) { names.emplace(name); });
  return names;
}

TEST_CASE("what a library says of itself, wants and has") {
  const TempDir folder("sagebuild-elf");
  const fs::path library = library_in(folder.path());
  CHECK(is_elf(library));
  CHECK_FALSE(is_elf(folder.path() / "none"));
  const DynamicInfo info = dynamic_info(library);
  CHECK(info.soname == "liba.so.1");
  CHECK(info.run_paths == std::vector<std::string>{"$ORIGIN/x", "/y"});
  CHECK(wanted_symbols(library) == std::vector<std::string>{"_Z4gonev"});
  CHECK(exported(library) == std::set<std::string>{"_Z4herev"});
}

// The code of `asked` in an object whose functions and variables have sections of their own.
std::string code_of(const fs::path& folder, const std::string& text) {
  Command command{.argv = {"g++", "-c", "-O2", "-fPIC", "-ffunction-sections", "-fdata-sections",
                           "-x", "c++", "-", "-o", "asked.o"},
                  .cwd = folder};
  command.input = text;
  run_checked(command, "cannot compile");
  return object_content(folder / "asked.o").functions.at("_Z5askedi").code;
}

TEST_CASE("two images differ by the content of a section, but not by their notes") {
  const TempDir folder("sagebuild-elf");
  const auto object = [&](const std::string& name, const std::string& text,
                          const std::string& option) {
    Command command{.argv = {"g++", "-c", option, "-x", "c++", "-", "-o", name},
                    .cwd = folder.path()};
    command.input = text;
    run_checked(command, "cannot compile");
    return folder.path() / name;
  };
  const auto one = object("one.o", "int x = 1;", "-fcf-protection=full");
  CHECK(differing_section(one, object("note.o", "int x = 1;", "-fcf-protection=branch")) ==
        std::nullopt);
  CHECK(differing_section(one, object("data.o", "int x = 2;", "-fcf-protection=full")) == ".data");
  // A section without bytes has a size all the same.
  const auto four = object("four.o", "int x[4];", "-fcf-protection=full");
  CHECK(differing_section(four, object("eight.o", "int x[8];", "-fcf-protection=full")) == ".bss");
  CHECK(differing_section(one, object("more.o", "int x = 1; __thread int y = 1;",
                                      "-fcf-protection=full")) != std::nullopt);
}

TEST_CASE("the machine and the flags of a file, as a GPU image tells its architecture") {
  const TempDir folder("sagebuild-elf");
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_machine = 190;
  header.e_flags = 0x6005902;
  const std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  const fs::path image = folder.path() / "image.cubin";
  write_file(image, bytes);
  CHECK(elf_header(image).machine == 190);
  CHECK(elf_header(image).flags == 0x6005902);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_file(image, std::string_view(bytes).substr(0, size));
    CHECK_THROWS_MATCHES(elf_header(image), Error, says("image.cubin"));
  }
}

TEST_CASE("a function's code names what it refers to, wherever that lies") {
  const TempDir folder("sagebuild-elf");
  const std::string before =
      "namespace { __attribute__((noinline)) int local(int x) { return x * x + 7; } }\n"
      "namespace { const int table[] = {3, 1, 4, 1, 5, 9, 2, 6}; }\n"
      "double taken(const char*, int (*)(int), const int*, double);\n";
  const std::string asked =
      "int asked(int x) { return local(x) + int(taken(\"first\", local, table, 0.1 * x)); }\n";
  const std::string code = code_of(folder.path(), before + asked);
  // Between the two, and in front of the strings and constants.
  const std::string more =
      "double other(int x) { return taken(\"more\", local, nullptr, 0.7 * x) + x * 3; }\n";
  CHECK(code_of(folder.path(), before + more + asked) == code);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = before + asked;
    text.replace(text.find(from), from.size(), to);
    return code_of(folder.path(), text);
  };
  CHECK(with("first", "fir3t") != code);
  CHECK(with("0.1", "0.3") != code);
  CHECK(with("{3, 1", "{3, 2") != code);
  CHECK(with("return local(x) +", "return taken(0, 0, 0, 0) +") != code);
}

TEST_CASE("a file that is no ELF file, or a damaged one, is an error with its name") {
  const TempDir folder("sagebuild-elf");
  std::string bytes = read_file(library_in(folder.path()));
  const fs::path damaged = folder.path() / "damaged.so";
  write_file(damaged, "no library");
  CHECK_THROWS_MATCHES(dynamic_info(damaged), Error, says("damaged.so"));
  CHECK_THROWS_AS(dynamic_info(folder.path() / "none"), Error);
  CHECK_THROWS_AS(wanted_symbols(folder.path()), Error);
}

// Every reader reads the file or refuses it with an Error.
void read_all(const fs::path& file) {
  const auto tried = [&](auto read) {
    try {
      (void)read(file);
    } catch (const Error&) {
    }
  };
  tried(elf_header);
  tried(exported);
  tried(dynamic_info);
  tried(wanted_symbols);
  tried(undefined_symbols);
  tried(object_content);
}

// Sections that say that their entries have no size.
std::string without_entry_sizes(std::string bytes) {
  Elf64_Ehdr header;
  std::copy_n(bytes.data(), sizeof header, reinterpret_cast<char*>(&header));
  for (unsigned i = 0; i < header.e_shnum; ++i)
    for (std::size_t at = 0; at < 8; ++at)
      bytes[header.e_shoff + i * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_entsize) + at] = '\0';
  return bytes;
}

// Cut, or with some bytes changed: anywhere, or in the headers of its sections.
std::string damaged(std::string bytes, std::mt19937& random) {
  Elf64_Ehdr header;
  std::copy_n(bytes.data(), sizeof header, reinterpret_cast<char*>(&header));
  const auto kind = random() % 3;
  if (kind == 0) bytes.resize(random() % bytes.size());
  const std::size_t begin = kind == 2 ? header.e_shoff : 0;
  for (auto i = random() % 20; i > 0 && begin < bytes.size(); --i)
    bytes[begin + random() % (bytes.size() - begin)] = static_cast<char>(random());
  return bytes;
}

TEST_CASE("a cut or changed file is read or refused, by every reader") {
  const TempDir folder("sagebuild-elf");
  (void)code_of(folder.path(),
                "double taken(const char*, double);\n"
                "static int table[3] = {1, 2, 3};\n"
                "int asked(int x) { return table[x]++ + int(taken(\"first\", 0.1 * x)); }\n");
  const fs::path file = folder.path() / "damaged.so";
  std::mt19937 random(7);  // fixed: the same damage in every run
  for (const auto& whole : {library_in(folder.path()), folder.path() / "asked.o"}) {
    const std::string bytes = read_file(whole);
    write_file(file, without_entry_sizes(bytes));
    read_all(file);
    for (int round = 0; round < 1000; ++round) {
      write_file(file, damaged(bytes, random));
      INFO("round " << round << " of " << whole.filename());
      CHECK_NOTHROW(read_all(file));
    }
  }
}

}  // namespace
}  // namespace sagebuild
