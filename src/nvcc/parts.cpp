#include "sagebuild/nvcc/parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/text.hpp"

namespace sagebuild {

std::vector<std::vector<std::size_t>> parts_of(const std::vector<Launcher>& launchers,
                                               std::size_t most) {
  std::size_t all = 0, starting = 0;
  for (const Launcher& launcher : launchers) {
    all += launcher.launches;
    starting += launcher.launches > 0 ? 1 : 0;
  }
  const std::size_t count = std::min(most, starting);
  if (count < 2) return {};
  // In the order of the text, each part with its share of the launches, and none without.
  std::vector<std::vector<std::size_t>> parts(count);
  std::size_t part = 0, before = 0, left = starting;
  for (std::size_t i = 0; i < launchers.size(); ++i) {
    const std::size_t launches = launchers[i].launches;
    if (launches == 0) {
      parts.front().push_back(i);
      continue;
    }
    const bool has_share = before * count >= all * (part + 1);
    const bool is_needed = left == count - part - 1;  // one for each part that has none yet
    if (part + 1 < count && !parts[part].empty() && (has_share || is_needed)) ++part;
    parts[part].push_back(i);
    before += launches;
    --left;
  }
  return parts;
}

std::string with_bodies_of(std::string_view text, const std::vector<Launcher>& launchers,
                           const std::vector<std::size_t>& kept) {
  std::string result;
  result.reserve(text.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < launchers.size(); ++i) {
    if (std::ranges::find(kept, i) != kept.end()) continue;
    const Launcher& cut = launchers[i];
    result.append(text.substr(at, cut.begin - at)).append(";\n").append(cut.marker);
    at = cut.end;
  }
  return result.append(text.substr(at));
}

std::string what_is_twice(const std::vector<PartContent>& parts) {
  std::set<std::string_view> seen;
  const auto add = [&](std::string_view what, const std::vector<std::string>& names) {
    const std::set<std::string_view> own(names.begin(), names.end());
    for (const auto name : own)
      if (!seen.insert(name).second) return fmt::format("{} '{}' is in two parts", what, name);
    return std::string();
  };
  for (const auto& [what, names] : {std::pair("kernel", &PartContent::kernels),
                                    std::pair("device function", &PartContent::functions),
                                    std::pair("device variable", &PartContent::variables),
                                    std::pair("variable", &PartContent::local_data)}) {
    seen.clear();
    for (const PartContent& part : parts)
      if (auto twice = add(what, part.*names); !twice.empty()) return twice;
  }
  return "";
}

namespace {

std::string_view without_linkage(std::string_view line) {
  for (const std::string_view linkage : {".visible ", ".weak "}) take_prefix(line, linkage);
  return line;
}

// The name in `.visible .global .align 4 .u32 counter;`; empty if the line makes no variable, or a
// string of the compiler's: of printf and assert, __func__ and its kin.
std::string_view variable_of(std::string_view line) {
  line = without_linkage(line);
  if (!line.starts_with(".global ") && !line.starts_with(".const ")) return {};
  std::string_view name = trimmed(line.substr(0, line.find_first_of("[=;")));
  name = name.substr(name.rfind(' ') + 1);
  const bool is_text = name.starts_with("$str") || name.starts_with("__unnamed_") ||
                       name.starts_with("__cudart_") ||
                       name.find("__func__") != std::string_view::npos ||
                       name.find("__PRETTY_FUNCTION__") != std::string_view::npos;
  return is_text ? std::string_view() : name;
}

std::vector<std::string_view> variables_of(std::string_view ptx) {
  std::vector<std::string_view> names;
  for (const std::string_view line : lines_of(ptx))
    if (const auto name = variable_of(line); !name.empty()) names.push_back(name);
  return names;
}

}  // namespace

std::vector<std::string> module_functions(std::string_view ptx, std::string_view id) {
  std::vector<std::string> names;
  for (const std::string_view written : lines_of(ptx)) {
    // .visible .func  (.param .b32 func_retval0) _Z1fff(
    const std::string_view line = without_linkage(written);
    if (!line.starts_with(".func")) continue;
    const auto end = line.rfind('(');
    const std::string_view before = trimmed(line.substr(0, end));
    const auto begin = before.find_last_of(" )\t") + 1;
    names.push_back(replaced(std::string(before.substr(begin)), id, ""));
  }
  return names;
}

std::vector<std::string> module_variables(std::string_view ptx, std::string_view id) {
  if (variables_of(ptx).empty()) return {};  // mostly, and counting uses takes long
  const std::string used = without_unreferenced_globals(ptx);
  std::vector<std::string> names;
  for (const std::string_view name : variables_of(used))
    names.push_back(replaced(std::string(name), id, ""));
  return names;
}

}  // namespace sagebuild
