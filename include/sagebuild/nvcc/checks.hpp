#pragma once
// What a device pass and a host pass that saw different headers could do wrong, looked for on every source that is
// compiled so. Each check gives the reason why the headers do not fit this source, or nothing.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/sys/elf.hpp"

namespace sagebuild {

using Refusal = std::optional<std::string>;

// 1 and 2: a template kernel that only the host pass instantiates leaves the marker of mark_missing_kernels undefined;
// a plain one its own name. Without them a launch would go to a null function, silently.
Refusal missing_kernels(const std::vector<std::string>& undefined, const std::vector<std::string>& plain_kernels);

// 3: a kernel whose parameters or template arguments name a type of torch's: its layout or value may differ between
// modes.
Refusal torch_types(const std::vector<std::string>& kernels);

// 4: macros that the project's own files test or expand, as `g++ -E -dU` prints them with full headers and with ours:
// one that only full headers define decides silently for other code. Paths in both texts are mapped; `tree` is the
// mapped prefix of the project's files; `by_design` are macros that our headers define themselves (TORCH_CHECK).
Refusal macro_difference(std::string_view full, std::string_view ours, std::string_view tree,
                         const std::set<std::string, std::less<>>& by_design);
// The same for a host pass, whose macros were not held against full headers: it must ask for none but those that the
// device pass asks for, and those of compilers and libraries (`__ASSERT_FUNCTION`). Both texts are with our headers.
Refusal macros_beyond(std::string_view host, std::string_view device, std::string_view tree,
                      const std::set<std::string, std::less<>>& by_design);
// The macros that a header of ours defines.
std::set<std::string, std::less<>> defined_macros(std::string_view header);

// The proof: both are the same PTX but for globals that nothing refers to.
Refusal ptx_difference(std::string_view wanted, std::string_view ours);

}  // namespace sagebuild
