#include "sagebuild/base/shown.hpp"

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

std::string printable(std::string_view text) {
  // C1 controls; marks, embeddings and isolates of direction; line and paragraph separators.
  constexpr std::string_view kC1 = "\xc2";
  constexpr std::array<std::string_view, 13> kUnseen = {
      "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa",
      "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6",
      "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9"};
  std::string result;
  auto bad = first_bad_utf8(text);
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    std::size_t length = 1;
    const bool is_c1 =
        text.starts_with(kC1) && text.size() > 1 && static_cast<unsigned char>(text[1]) < 0xa0;
    const bool is_unseen = std::ranges::any_of(
        kUnseen, [text](std::string_view mark) { return text.starts_with(mark); });
    if (bad == 0 || byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t')) {
      result += '?';
    } else if (is_c1 || is_unseen) {
      length = is_c1 ? 2 : 3;
      result += '?';
    } else {
      result += text.front();
    }
    text.remove_prefix(length);
    if (bad && *bad >= length)
      *bad -= length;
    else if (bad)
      bad = first_bad_utf8(text);
  }
  return result;
}

std::string printable_line(std::string_view text) {
  std::string line = printable(text);
  for (char& c : line)
    if (c == '\n' || c == '\t') c = '?';
  return line;
}

std::size_t user_info_length(std::string_view address, bool has_scheme) {
  const std::string_view host = address.substr(0, address.find('/'));
  const auto colon = address.find(':');
  if (!has_scheme) {
    const auto at = address.rfind('@');
    const bool names_password =
        at != std::string_view::npos && colon > 0 && colon + 1 < at && address[colon + 1] != ':' &&
        address.substr(0, colon).find_first_of("/@") == std::string_view::npos;
    return names_password ? at + 1 : 0;
  }
  // With "/" in a password the text behind the colon is no port.
  const auto port = host.find(':');
  const bool split_password =
      port != std::string_view::npos && !host.starts_with('[') &&
      host.find_first_not_of("0123456789", port + 1) != std::string_view::npos;
  const auto at = split_password ? address.rfind('@') : host.rfind('@');
  return at == std::string_view::npos ? 0 : at + 1;
}

}  // namespace sagebuild
