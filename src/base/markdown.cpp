#include "sagebuild/base/markdown.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sagebuild {

std::string markdown_cell(std::string_view text) {
  constexpr std::string_view kSpecial = "\\|[]<>`*";
  std::string safe;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (kSpecial.find(c) != std::string_view::npos) safe += '\\';
    safe += control ? ' ' : c;
  }
  return safe;
}

std::string markdown_block(std::string_view text, std::string_view language) {
  // A fence is ended by a line of as many backticks alone, so it gets one more than any run.
  std::size_t longest = 2, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fmt::format("{}{}\n{}{}{}\n", fence, language, text, text.ends_with('\n') ? "" : "\n",
                     fence);
}

}  // namespace sagebuild
