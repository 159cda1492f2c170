#pragma once
// What a device pass and a host pass that saw different headers could do wrong, looked for on every
// source that is compiled so. Each check gives the reason why the headers do not fit this source,
// or nothing.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/sys/elf.hpp"

namespace sagebuild {

using Refusal = std::optional<std::string>;

// 1 and 2: a template kernel that only the host pass instantiates leaves the marker of
// mark_missing_kernels undefined; a plain one its own name. Without them a launch would go to a
// null function, silently.
Refusal missing_kernels(const std::vector<std::string>& undefined,
                        const std::vector<std::string>& plain_kernels);

// 3: a kernel whose parameters or template arguments name a type of torch's: its layout or value
// may differ between modes.
Refusal torch_types(const std::vector<std::string>& kernels);

// 4: what a source asks of the preprocessor, and what torch's own headers would have answered. A
// macro that only they define decides silently for other code.

// What the lines of own files ask for in what `g++ -E -dU -Wundef -Wsystem-headers` writes and
// warns of; `is_own` gets the name of a file.
struct MacroUse {
  // Expanded or tested: name to parameters and body
  std::map<std::string, std::string, std::less<>> defined;
  std::set<std::string, std::less<>> undefined;  // tested, and not defined
  std::set<std::string, std::less<>> words;      // names in what is left
  // A pragma silences -Wundef, so that `undefined` may lack something
  bool hides_undefined = false;
};
MacroUse macro_use(std::string_view text, std::string_view warnings,
                   const std::function<bool(std::string_view)>& is_own);

// What is defined at the end of `g++ -E -dD` output, or of a text that text_of made.
struct MacroState {
  std::map<std::string, std::string, std::less<>> defined;
  std::set<std::string, std::less<>> taken_back;  // by #undef, at any time
};
MacroState macro_state(std::string_view text);
std::string text_of(const MacroState& state);

// `use` is with our headers in front, `full` what torch's own leave behind. `stand_ins` are the
// macros that our headers define: those that torch has too (TORCH_CHECK) are meant to differ. A
// macro of Python's that this Python does not define counts as one that another does: the verdict
// holds for every Python.
Refusal macro_difference(const MacroUse& use, const MacroState& full,
                         const std::set<std::string, std::less<>>& stand_ins);
// The macros that a header of ours defines.
std::set<std::string, std::less<>> defined_macros(std::string_view header);

// The proof: both are the same PTX but for globals that nothing refers to.
Refusal ptx_difference(std::string_view wanted, std::string_view ours);

}  // namespace sagebuild
