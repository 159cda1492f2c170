#include "patch/coding.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::array<std::string_view, 5> kUtf8 = {"utf-8", "utf8", "utf-8-sig", "u8", "utf"};

// Beginnings of Python's names for such codings. Code page 864 is none: it has another character
// for "%".
constexpr std::array<std::string_view, 8> kByteCodings = {
    "latin", "iso-8859-", "iso8859-", "cp125", "windows-125", "koi8-", "cp437", "cp8"};

}  // namespace

std::optional<std::string> declared_coding(std::string_view text) {
  static const RE2 declaration(R"(^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+))", RE2::Latin1);
  static const RE2 blank(R"(^[ \t\f]*(#.*)?$)", RE2::Latin1);
  std::size_t looked_at = 0;
  for (const std::string_view line :
       lines_of(text.substr(0, text.find('\n', text.find('\n') + 1)))) {
    const re2::StringPiece piece(line.data(), line.size());
    std::string coding;
    if (RE2::PartialMatch(piece, declaration, &coding)) {
      coding = replaced(lower(coding), "_", "-");
      if (std::ranges::find(kUtf8, coding) != kUtf8.end()) return std::nullopt;
      return coding;
    }
    if (++looked_at == 2 || !RE2::PartialMatch(piece, blank)) break;
  }
  return std::nullopt;
}

bool is_byte_coding(std::string_view coding) {
  return coding != "cp864" && std::ranges::any_of(kByteCodings, [&](std::string_view begin) {
           return coding.starts_with(begin);
         });
}

std::string bytes_as_utf8(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x80) {
      text += byte;
      continue;
    }
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
  return text;
}

std::optional<std::string> utf8_as_bytes(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      bytes += text[at];
      continue;
    }
    if (first > 0xC3 || at + 1 == text.size()) return std::nullopt;
    bytes +=
        static_cast<char>((first & 0x03) << 6 | (static_cast<unsigned char>(text[++at]) & 0x3F));
  }
  return bytes;
}

}  // namespace sagebuild
