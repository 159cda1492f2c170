#pragma once
// The three standard streams, which a caller may have closed, filled up or pointed at something
// that cannot be read.

#include <string>

namespace sagebuild {

// Opens /dev/null on each of the descriptors 0 to 2 that is closed, so that no file of ours gets
// its number. What reads from or prints to such a one fails; what is said on standard error is
// lost. To be called before anything is opened.
void open_missing_streams();

// All of standard input. Throws Error{failed}.
std::string read_input();

// Throws Error{failed} unless all that was printed on standard output is written.
void flush_output(const std::string& hint);

}  // namespace sagebuild
