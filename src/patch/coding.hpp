#pragma once
// Which coding a Python file is in (PEP 263), and the file as UTF-8 for the time of a patch.

#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

// What the first or second line declares, in lower case with "-" for "_"; nothing if they declare
// none, or UTF-8.
std::optional<std::string> declared_coding(std::string_view text);

// Whether every byte of this coding is a character, and those below 0x80 are ASCII. Then a text is
// patched with each byte in place of the character that has its number, whatever character it
// really is: rules speak of ASCII alone, and all else comes out as it went in.
bool is_byte_coding(std::string_view coding);
std::string bytes_as_utf8(std::string_view bytes);
// The way back. Nothing if a character has no byte.
std::optional<std::string> utf8_as_bytes(std::string_view text);

}  // namespace sagebuild
