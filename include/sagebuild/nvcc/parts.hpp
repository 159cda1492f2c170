#pragma once
// A CUDA source in parts. Its launchers (the functions that start kernels) are spread over several
// texts; in each text the bodies of the others are cut away, so that they are declarations. Each
// text is compiled by itself, and each kernel is made where its launcher is: its PTX is the same
// text as in one piece, and the parts run on several cores (docs/nvcc.md).
//
// What must not happen: something that was there once is there once per part, as a counter, a
// `__device__` variable or a constructor's effect. So what is not understood keeps the source
// whole, and what was compiled is checked once more by its symbols. Pure functions.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// A function whose body a part may go without: external, no template, not inline, used by no other
// function of the source.
struct Launcher {
  std::string name;
  std::string head;       // all its tokens before the body
  std::size_t begin = 0;  // of the body in the text, the braces included
  std::size_t end = 0;
  std::size_t launches = 0;  // `<<<` in the body; 0: it starts no kernel
  std::string marker;        // the line marker for what follows the body
};

struct LaunchersOutcome {
  std::vector<Launcher> launchers;  // in the order of the text
  std::string refusal;              // why this source stays whole; empty: it may be cut
};

// `text` is what the preprocessor of one pass wrote. `is_own` says of a file's name in its line
// markers whether it is the project's; headers of others are made for several units of a program.
LaunchersOutcome find_launchers(std::string_view text,
                                const std::function<bool(std::string_view)>& is_own);

// Raised with every change of where a source is cut, or of what is checked: objects that older
// rules let pass are made anew.
inline constexpr int kPartsRule = 3;

// For each of at most `most` parts the launchers that it keeps, by index, in order; functions that
// start no kernel are kept by the first. None if there are fewer than two. The content alone
// decides, so that the objects are the same on every machine.
std::vector<std::vector<std::size_t>> parts_of(const std::vector<Launcher>& launchers,
                                               std::size_t most);

// The text in which of all launchers only those of `kept` have their bodies. What follows a body
// keeps its line number.
std::string with_bodies_of(std::string_view text, const std::vector<Launcher>& launchers,
                           const std::vector<std::size_t>& kept);

// What one compiled part holds, for the check.
struct PartContent {
  std::vector<std::string> kernels;     // registered by its stub
  std::vector<std::string> functions;   // of its PTX, beside kernels
  std::vector<std::string> variables;   // of its PTX that are no constants of the compiler's own
  std::vector<std::string> local_data;  // symbols of its object: local, writable
};
// Why parts with these contents are not what the whole would be; empty: nothing is in two of them.
std::string what_is_twice(const std::vector<PartContent>& parts);

// The names of functions that a PTX module defines beside its kernels: what calls them all is known
// to the compiler, which may take a caller's constants into them. `id` as below.
std::vector<std::string> module_functions(std::string_view ptx, std::string_view id);

// The names of `.global` and `.const` variables of a PTX module that something refers to, without
// what the compiler makes (strings of printf, assert and __func__, tables of sin and its kin).
// `id`, the module id, which stands in the names of what is local to a unit, is left out of them.
std::vector<std::string> module_variables(std::string_view ptx, std::string_view id);

}  // namespace sagebuild
