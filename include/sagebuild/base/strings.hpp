#pragma once
// Text helpers that the standard library of GCC 12 lacks.

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// The parts of `text` between any of the separator characters, empty parts left out. Views into
// `text`.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);
// The lines of `text` without their ends ("\n" or "\r\n"); a last empty line is left out. Views
// into `text`.
std::vector<std::string_view> lines_of(std::string_view text);
// The views would outlive a temporary, and `for (auto line : lines_of(run(...).output))` ends it
// before the loop begins.
template <class Text>
requires std::same_as<Text, std::string> std::vector<std::string_view> split(
    Text&& text, std::string_view separators)
= delete;
template <class Text>
requires std::same_as<Text, std::string> std::vector<std::string_view> lines_of(Text&& text)
= delete;
std::string_view trimmed(std::string_view text);
std::string lower(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
// Every occurrence of `what`, from left to right; an empty `what` occurs nowhere.
std::string replaced(std::string text, std::string_view what, std::string_view with);
// Removes `prefix` from the front of `text` and says whether it was there.
bool take_prefix(std::string_view& text, std::string_view prefix);
// The whole text as a number in base 10 (or 16), or nothing.
std::optional<long long> to_integer(std::string_view text, int base = 10);

// The known word with the smallest edit distance to `word`, if it is near enough to be what was
// meant.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

// POSIX shell words: 'single', "double" and backslash quoting, no expansion. Throws Error{failed}
// for an open quote.
std::vector<std::string> shell_words(std::string_view line);

// {"g++-12", "-c"} of {"ccache", "g++-12", "-c"}: sagebuild has its own cache, and a launcher
// (ccache, sccache, distcc) is no compiler whose version could be asked.
std::vector<std::string> without_launcher(std::vector<std::string> argv);

// Offset of the first byte that is not UTF-8 (RFC 3629), or nothing.
std::optional<std::size_t> first_bad_utf8(std::string_view bytes);
// One word or a whole command, quoted so that a POSIX shell reads it back: for logs and messages,
// never to run.
std::string shell_quoted(std::string_view word);
std::string shell_line(const std::vector<std::string>& argv);

// "ns::f(int)" of "_ZN2ns1fEi"; what is no mangled name stays.
std::string demangled(const std::string& symbol);

// "1 source", "2 sources".
std::string counted(unsigned long long count, std::string_view noun);
// "1.4 GB", "512 kB": decimal units as disks and networks use.
std::string human_size(unsigned long long bytes);
// "1m12s", "4.2s"; seconds.
std::string human_time(double seconds);

}  // namespace sagebuild
