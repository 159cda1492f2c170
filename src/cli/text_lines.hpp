#pragma once
// Lines of a report: labels in a column, texts broken at blanks, words in colour.

#include <string>
#include <string_view>

namespace sagebuild {

enum class Tone { plain, good, bad, doubtful, strong };

// The text in that tone, where `color` is wanted.
std::string toned(std::string_view text, Tone tone, bool color);

// `head`, then `text`, broken at blanks so that lines have `width` columns (0: not broken); further
// lines begin at `indent`. Ends with a newline.
std::string filled(std::string_view head, std::size_t head_width, std::string_view text,
                   std::size_t indent, std::size_t width);

}  // namespace sagebuild
