#include "sagebuild/nvcc/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/text.hpp"

namespace sagebuild {
namespace {

// "ns::k" of "ns::k(int*)", "k" of "void k<3>(int*)".
std::string base_name(const std::string& demangled_symbol) {
  std::string text = demangled_symbol.substr(0, demangled_symbol.find_first_of("(<"));
  text = text.substr(text.rfind(' ') + 1);
  const auto colons = text.rfind("::");
  return colons == std::string::npos ? text : text.substr(colons + 2);
}

// What files whose name begins with `tree` asked of the preprocessor.
struct MacroUse {
  std::map<std::string, std::string, std::less<>> defined;
  std::set<std::string, std::less<>> undefined;
};

MacroUse macro_use(std::string_view text, std::string_view tree) {
  MacroUse use;
  bool own = false;
  for (std::string_view line : lines_of(text)) {
    if (line.starts_with("# ")) {
      const auto open = line.find('"');
      if (open != std::string_view::npos) own = line.substr(open + 1).starts_with(tree);
      continue;
    }
    if (!own) continue;
    if (take_prefix(line, "#define ")) {
      const auto end = line.find_first_of(" (");
      use.defined.emplace(line.substr(0, end), end == std::string_view::npos ? "" : line.substr(end));
    } else if (take_prefix(line, "#undef ")) {
      use.undefined.emplace(trimmed(line));
    }
  }
  return use;
}

}  // namespace

Refusal missing_kernels(const std::vector<std::string>& undefined, const std::vector<std::string>& plain_kernels) {
  for (const auto& symbol : undefined) {
    if (symbol.find(kMissingKernel) != std::string::npos)
      return "the host pass launches a template kernel that the device pass did not instantiate";
    const std::string name = demangled(symbol);
    if (symbol.find("__device_stub__") != std::string::npos || std::ranges::count(plain_kernels, base_name(name)) > 0)
      return fmt::format("the host pass launches kernel '{}', which the device pass does not have", name);
  }
  return std::nullopt;
}

Refusal torch_types(const std::vector<std::string>& kernels) {
  for (const auto& kernel : kernels)
    for (const std::string_view space : {"N2at", "N3c10", "N5torch"})
      if (kernel.find(space) != std::string::npos)
        return fmt::format("kernel '{}' names a type of torch's", demangled(kernel));
  return std::nullopt;
}

Refusal macro_difference(std::string_view full, std::string_view ours, std::string_view tree,
                         const std::set<std::string, std::less<>>& by_design) {
  const MacroUse with_full = macro_use(full, tree);
  const MacroUse with_ours = macro_use(ours, tree);
  for (const auto& name : with_ours.undefined)
    if (!with_full.undefined.contains(name))
      return fmt::format("macro '{}' is asked for by the source and not defined by sagebuild's headers", name);
  const auto missing = std::ranges::find_if(with_full.defined, [&](const auto& macro) {
    return !by_design.contains(macro.first) && !with_ours.defined.contains(macro.first);
  });
  if (missing != with_full.defined.end())
    return fmt::format("macro '{}' of torch's headers is used by the source and missing in sagebuild's",
                       missing->first);
  for (const auto& [name, body] : with_full.defined)
    if (!by_design.contains(name) && with_ours.defined.find(name)->second != body)
      return fmt::format("macro '{}' has another value with sagebuild's headers", name);
  return std::nullopt;
}

Refusal macros_beyond(std::string_view host, std::string_view device, std::string_view tree,
                      const std::set<std::string, std::less<>>& by_design) {
  const MacroUse of_host = macro_use(host, tree);
  // Of all files: -dU tells of a macro once, and the first to ask may be a header of CUDA's.
  const MacroUse of_device = macro_use(device, "");
  std::set<std::string, std::less<>> asked = of_host.undefined;
  for (const auto& [name, body] : of_host.defined) asked.insert(name);
  for (const auto& name : asked) {
    const bool is_known = of_device.defined.contains(name) || of_device.undefined.contains(name) ||
                          by_design.contains(name) || name.starts_with("__");
    if (!is_known) return fmt::format("macro '{}' is asked for by the host pass alone", name);
  }
  return std::nullopt;
}

std::set<std::string, std::less<>> defined_macros(std::string_view header) {
  std::set<std::string, std::less<>> names;
  for (std::string_view line : lines_of(header)) {
    line = trimmed(line);
    if (take_prefix(line, "#define ")) names.emplace(line.substr(0, line.find_first_of(" (")));
  }
  return names;
}

Refusal ptx_difference(std::string_view wanted, std::string_view ours) {
  const std::string left = without_unreferenced_globals(wanted);
  const std::string right = without_unreferenced_globals(ours);
  const auto left_lines = lines_of(left);
  const auto right_lines = lines_of(right);
  const auto [here, there] = std::ranges::mismatch(left_lines, right_lines);
  if (here == left_lines.end() && there == right_lines.end()) return std::nullopt;
  const auto text = [](const auto& at, const auto& all) { return at == all.end() ? "its end" : std::string(*at); };
  return fmt::format("PTX differs at line {}: '{}' is '{}'", here - left_lines.begin() + 1, text(here, left_lines),
                     text(there, right_lines));
}

}  // namespace sagebuild
