#pragma once
// What of a text of others may be shown.

#include <cstddef>
#include <string>
#include <string_view>

namespace sagebuild {

// For the terminal: control characters (but for line ends and tabs), those that turn the direction
// of writing, and bytes that are no UTF-8 become "?", so that no text of a server or a file moves
// the cursor, changes colours or hides what stands before it.
std::string printable(std::string_view text);

// The same for a text that must stay on its line: line ends and tabs become "?" too.
std::string printable_line(std::string_view text);

// How much of an address is user info, with its "@"; 0 if none. `address` begins behind "://", or
// has no scheme: then "git@host:path" names no secret and "a/b:c@d" is a path. A password may hold
// what should have been written in percent, a "/" for example.
std::size_t user_info_length(std::string_view address, bool has_scheme);

}  // namespace sagebuild
