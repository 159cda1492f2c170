#include "sagebuild/nvcc/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_map>

#include "lines.hpp"
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

// "NAME" and what follows it, of "NAME(x) x + 1".
std::pair<std::string_view, std::string_view> name_and_rest(std::string_view definition) {
  const auto end = std::min(definition.find_first_of(" ("), definition.size());
  return {definition.substr(0, end), definition.substr(end)};
}

bool tells_of_macros_or_place(std::string_view line) {
  return line.starts_with("# ") || line.starts_with("#define ") || line.starts_with("#undef ");
}

// Those that Python's headers and its pyconfig.h define, in this version or another.
bool may_be_pythons(std::string_view macro) {
  constexpr std::array<std::string_view, 8> kStarts = {
      "Py", "_Py", "PY", "HAVE_", "SIZEOF_", "ALIGNOF_", "WITH_", "DOUBLE_IS_"};
  return std::ranges::any_of(kStarts, [&](auto start) { return macro.starts_with(start); });
}

}  // namespace

Refusal missing_kernels(const std::vector<std::string>& undefined,
                        const std::vector<std::string>& plain_kernels) {
  for (const auto& symbol : undefined) {
    if (symbol.find(kMissingKernel) != std::string::npos)
      return "the host pass launches a template kernel that the device pass did not instantiate";
    const std::string name = demangled(symbol);
    if (symbol.find("__device_stub__") != std::string::npos ||
        std::ranges::count(plain_kernels, base_name(name)) > 0)
      return fmt::format("the host pass launches kernel '{}', which the device pass does not have",
                         name);
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

MacroUse macro_use(std::string_view text, std::string_view warnings,
                   const std::function<bool(std::string_view)>& is_own) {
  MacroUse use;
  // a.cu:4:9: warning: "NAME" is not defined, evaluates to 0 [-Wundef]
  for (const std::string_view line : lines_of(warnings)) {
    const auto name = line.find(": warning: \"");
    const auto end = line.find("\" is not defined, evaluates to 0");
    if (name == std::string_view::npos || end == std::string_view::npos) continue;
    const std::string_view place = line.substr(0, name);  // FILE:LINE:COLUMN
    if (is_own(place.substr(0, place.rfind(':', place.rfind(':') - 1))))
      use.undefined.emplace(line.substr(name + 12, end - name - 12));
  }
  std::unordered_map<std::string_view, bool> known;
  bool own = false;
  RawStrings raw;
  each_line(text, [&](std::string_view line) {
    const bool inside = raw.inside();
    const bool is_code = inside || !tells_of_macros_or_place(line);
    if (own && is_code) {
      raw.pass(line, [&](std::string_view word) {
        if (!is_digit(word.front())) use.words.emplace(word);
      });
      if (!inside && line.starts_with("#pragma") && line.find("undef") != std::string_view::npos)
        use.hides_undefined = true;
    } else {
      raw.pass(line);
    }
    if (is_code) return;
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.starts_with("# ")) {
      const auto open = line.find('"');
      const auto close = line.rfind('"');
      if (open == std::string_view::npos || close <= open) return;
      const std::string_view file = line.substr(open + 1, close - open - 1);
      const auto [entry, is_new] = known.try_emplace(file);
      if (is_new) entry->second = is_own(file);
      own = entry->second;
      return;
    }
    if (!own) return;
    if (take_prefix(line, "#define ")) {
      const auto [name, rest] = name_and_rest(line);
      use.defined.emplace(name, rest);
    } else if (take_prefix(line, "#undef ")) {
      use.undefined.emplace(trimmed(line));
    }
  });
  return use;
}

MacroState macro_state(std::string_view text) {
  MacroState state;
  RawStrings raw;
  each_line(text, [&](std::string_view line) {
    if (raw.begins_inside(line)) return;
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (take_prefix(line, "#define ")) {
      const auto [name, rest] = name_and_rest(line);
      state.defined.insert_or_assign(std::string(name), std::string(rest));
    } else if (take_prefix(line, "#undef ")) {
      const std::string name(trimmed(line));
      state.defined.erase(name);
      state.taken_back.insert(name);
    }
  });
  return state;
}

std::string text_of(const MacroState& state) {
  std::string text;
  for (const auto& name : state.taken_back) text += "#undef " + name + "\n";
  for (const auto& [name, rest] : state.defined) text += "#define " + name + rest + "\n";
  return text;
}

Refusal macro_difference(const MacroUse& use, const MacroState& full,
                         const std::set<std::string, std::less<>>& stand_ins) {
  if (use.hides_undefined)
    return "the source silences -Wundef, so that not all macros that it asks for are known";
  const auto is_in_full = [&](const auto& name) { return full.defined.contains(name); };
  for (const auto& name : use.undefined) {
    if (is_in_full(name) || may_be_pythons(name))
      return fmt::format(
          "macro '{}' is asked for by the source and not defined by sagebuild's headers", name);
  }
  for (const auto& name : use.words) {
    if (is_in_full(name) && !use.defined.contains(name))
      return fmt::format(
          "macro '{}' of torch's headers is used by the source and missing in sagebuild's", name);
  }
  for (const auto& [name, rest] : use.defined) {
    const auto in_full = full.defined.find(name);
    if (in_full == full.defined.end()) {
      // Those with our prefix are what our own macros expand to.
      const bool is_inner = name.starts_with("SAGEBUILD_");
      if (stand_ins.contains(name) && !is_inner)
        return fmt::format("macro '{}' is sagebuild's own and used by the source", name);
      if (full.taken_back.contains(name))
        return fmt::format("macro '{}' is taken back by torch's headers and used by the source",
                           name);
    } else if (!stand_ins.contains(name) && in_full->second != rest) {
      return fmt::format("macro '{}' has another value with sagebuild's headers", name);
    }
  }
  return std::nullopt;
}

std::set<std::string, std::less<>> defined_macros(std::string_view header) {
  std::set<std::string, std::less<>> names;
  for (std::string_view line : lines_of(header)) {
    line = trimmed(line);
    if (take_prefix(line, "#define ")) names.emplace(name_and_rest(line).first);
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
  const auto text = [](const auto& at, const auto& all) {
    return at == all.end() ? "its end" : std::string(*at);
  };
  return fmt::format("PTX differs at line {}: '{}' is '{}'", here - left_lines.begin() + 1,
                     text(here, left_lines), text(there, right_lines));
}

}  // namespace sagebuild
