// Any bytes as a C++ file: where code_text is sure what is a comment, g++ says the same of the file
// and of one whose comments are blanks. A file that begins with "tokens" is made of the words
// below, which are what such a reader stumbles over, one a byte.

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cache/code_text.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"

namespace {

constexpr std::string_view kTokens = "tokens";
constexpr std::array<std::string_view, 64> kWords = {"/*",
                                                     "*/",
                                                     "//",
                                                     "\n",
                                                     "\\\n",
                                                     "\\ \n",
                                                     "\r\n",
                                                     "\"",
                                                     "'",
                                                     "R\"(",
                                                     ")\"",
                                                     "\\",
                                                     "/",
                                                     "*",
                                                     " ",
                                                     "\t",
                                                     "\v",
                                                     "#",
                                                     "%:",
                                                     "define",
                                                     " X ",
                                                     "X(x) #x",
                                                     "if 0\n",
                                                     "if 1\n",
                                                     "else",
                                                     "endif\n",
                                                     "include",
                                                     "<",
                                                     ">",
                                                     "<a//b>",
                                                     "\"a/*b\"",
                                                     "pragma ",
                                                     "1'000",
                                                     "0x1p+",
                                                     ".5e-",
                                                     "u8",
                                                     "L",
                                                     "R",
                                                     "\xc3\xa9",
                                                     "$",
                                                     "?\?/",
                                                     "?\?=",
                                                     "<:",
                                                     "__LINE__",
                                                     " assert(x) ",
                                                     "ab",
                                                     "ab",
                                                     ";\n",
                                                     "/* c */",
                                                     "// c\n",
                                                     "/* c\nd */",
                                                     "/* '",
                                                     "// it's\n",
                                                     "\"//\"",
                                                     "'\"'",
                                                     "'\\''",
                                                     "_Pragma(\"x\")",
                                                     "#define Y(a) a\n",
                                                     "Y(",
                                                     ")",
                                                     ",",
                                                     "#line 7 \"b\"\n",
                                                     "import ",
                                                     "##"};

[[noreturn]] void fail(std::string_view what, std::string_view one, std::string_view other) {
  fmt::print(stderr, "{}:\n{}\n--- other:\n{}\n", what, one, other);
  std::abort();
}

std::string text_of(std::string_view data) {
  if (!data.starts_with(kTokens)) return std::string(data);
  std::string text;
  for (const char byte : data.substr(kTokens.size()))
    text += kWords[static_cast<unsigned char>(byte) % kWords.size()];
  return text;
}

// A file with that code text. Only a comment can hold a newline that ends no directive, which the
// code text has as "\0\n": it is open from the first to the two blanks behind the last.
std::string with_empty_comments(std::string_view code) {
  constexpr std::string_view kInside("\0\n", 2);
  std::string text;
  for (std::size_t at = 0; at < code.size();) {
    if (!code.substr(at).starts_with(kInside)) {
      text += code[at++];
      continue;
    }
    text += " /*";  // not behind a "/"
    for (; code.substr(at).starts_with(kInside); at += kInside.size()) text += '\n';
    text += "*/";
    // They are not there where the comment ends its line.
    if (code.substr(at).starts_with("  ")) at += 2;
  }
  return text;
}

std::string preprocessed(const std::string& text) {
  static const sagebuild::TempDir folder("fuzz-code", "/dev/shm");
  sagebuild::write_file(folder.path() / "a.cu", text);
  sagebuild::Command command{.argv = {"g++", "-E", "-dD", "-w", "-std=c++20", "-x", "c++", "a.cu"},
                             .cwd = folder.path()};
  const sagebuild::ProcessResult result = sagebuild::run(command);
  return result.output + (result.ok() ? "" : "\nfailed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text = text_of({reinterpret_cast<const char*>(data), size});
  const auto code = sagebuild::code_text(text);
  if (!code) {
    if (sagebuild::code_digest(text) != sagebuild::sha256(text)) fail("digest", text, "");
    return 0;
  }
  const std::string other = with_empty_comments(*code);
  if (sagebuild::code_text(other) != code) fail("other code", text, other);
  if (other == text) return 0;
  const std::string seen = preprocessed(text);
  const std::string seen_of_other = preprocessed(other);
  if (seen != seen_of_other) fail("g++ reads something else", seen, seen_of_other);
  return 0;
}
