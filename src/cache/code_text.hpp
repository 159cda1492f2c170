#pragma once
// A C++ or CUDA file as its compiler sees it: comments are blanks. Two texts with one code text
// give the same preprocessor output to the byte, lines and columns too, so an edited comment that
// moves no token is no change. What differs by a comment alone is the quoted lines in a compiler's
// messages, and warnings that a comment silences
// (-Wimplicit-fallthrough): a hit repeats those of the run that was stored.
//
// What it saves is preprocessors alone, for behind them the tokens are compared: one run for the
// host and one for each virtual architecture of each source that reads the file, 0.2 to 0.3 CPU
// seconds with the facade and 1.6 with torch's own headers. A comment edited in minisage's
// attention.cuh (three sources, two architectures) starts 27 steps of 2.9 CPU seconds without it,
// and none with it. tests/fuzz/fuzz_code_text.cpp holds it against g++; where it is not sure, the
// bytes count.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/base/digest.hpp"

namespace sagebuild {

// By its suffix. Not .c, where 1'2' and // may mean something else, and not .inc, which assemblers
// read as well.
bool is_code(const std::filesystem::path& path);

// `text` with a blank for each byte of a comment, without blanks at the ends of lines. A newline in
// a comment follows a NUL, for it ends no directive. Nothing: there is a doubt where the comments
// are, or what they mean:
// - a raw string literal; a literal that its line does not end, as of "#error don't"; a word broken
// by a backslash
// - a // comment that goes on behind a backslash, a comment mark broken by one, a comment without
// end
// - trigraphs, a NUL, a carriage return without newline, a byte order mark; `import <`
// - a line of more than 4,000 bytes, where gcc stops to count columns
// Directives in which <a//b> names a header are kept as they are.
std::optional<std::string> code_text(std::string_view text);

// Of the code text, never equal to a digest of bytes; in doubt that of the bytes.
Digest code_digest(std::string_view text);

// Whether it may hold an #embed or an .incbin: then another file's comments are data.
bool may_embed(std::string_view text);

}  // namespace sagebuild
