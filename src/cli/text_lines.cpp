#include "cli/text_lines.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

std::string toned(std::string_view text, Tone tone, bool color) {
  if (!color || tone == Tone::plain) return std::string(text);
  const char* code = tone == Tone::good       ? "32"
                     : tone == Tone::bad      ? "31"
                     : tone == Tone::doubtful ? "33"
                                              : "1";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string filled(std::string_view head, std::size_t head_width, std::string_view text,
                   std::size_t indent, std::size_t width) {
  std::string lines(head);
  std::size_t column = head_width;
  if (column < indent) {
    lines.append(indent - column, ' ');
    column = indent;
  }
  bool first = true;
  for (const std::string_view word : split(text, " ")) {
    if (!first && width != 0 && column + 1 + word.size() > width && column > indent) {
      lines += '\n' + std::string(indent, ' ');
      column = indent;
      first = true;
    }
    if (!first) lines += ' ';
    lines += word;
    column += word.size() + (first ? 0 : 1);
    first = false;
  }
  while (lines.ends_with(' ')) lines.pop_back();
  return lines + '\n';
}

}  // namespace sagebuild
