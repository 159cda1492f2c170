#pragma once
// Texts of others inside Markdown that we write (GitHub's dialect): nothing in them becomes markup.

#include <string>
#include <string_view>

namespace sagebuild {

// For a cell of a table: nothing in it ends the cell or its row, or becomes HTML, a link, code or
// emphasis by '*'. Control characters become blanks.
std::string markdown_cell(std::string_view text);

// A block of code that shows the text as it is. `language` may be empty. Ends with a newline.
std::string markdown_block(std::string_view text, std::string_view language = "");

}  // namespace sagebuild
