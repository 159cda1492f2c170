#include "sagebuild/app/arch_choice.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

std::string with_native_replaced(const std::string& text) {
  std::vector<std::string> items;
  for (const std::string_view item : split(text, " \t,;")) {
    if (lower(item) != "native") {
      items.emplace_back(item);
      continue;
    }
    items.push_back(local_gpu_archs());
    if (items.back().empty()) {
      throw Error(ErrorKind::usage, "'native' was asked for, but this machine has no GPU", {},
                  "name the architecture, for example 8.9");
    }
  }
  return join(items, " ");
}

// What this toolkit and this recipe can serve of it; the rest is a warning.
ArchList servable(const std::string& text, std::string_view origin, const std::optional<Recipe>& recipe,
                  const Toolchain& toolchain, Reporter& report) {
  const InheritedArchList parsed = parse_inherited_arch_list(text);
  std::vector<std::string> reasons;
  for (const std::string& item : parsed.dropped) reasons.push_back(fmt::format("{} is not known", item));
  ArchList list;
  for (const ArchRequest& request : parsed.list) {
    std::string reason = why_not_built(request.arch, toolchain);
    if (reason.empty() && recipe && !serves(*recipe, request.arch))
      reason = fmt::format("recipe '{}' has no code for {}", recipe->name, dotted(request.arch));
    if (reason.empty())
      list.push_back(request);
    else
      reasons.push_back(std::move(reason));
  }
  if (!reasons.empty())
    report.warning(fmt::format("left out of what {} names ('{}'): {}", origin, text, join(reasons, "; ")));
  return list;
}

}  // namespace

std::string local_gpu_archs() {
  if (!find_program("nvidia-smi")) return "";
  Command command{.argv = {"nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"}};
  command.deadline = std::chrono::seconds(10);
  const ProcessResult result = run(command);
  std::vector<std::string> archs;
  if (result.ok()) {
    for (const auto line : lines_of(result.output)) archs.emplace_back(trimmed(line));
  }
  return join(archs, " ");
}

ArchList choose_archs(const ArchChoice& choice, const std::optional<Recipe>& recipe, const Toolchain& toolchain,
                      Reporter& report) {
  const auto say = [&](const ArchList& list, std::string_view origin) {
    report.note(fmt::format("architectures {} (from {})", print(list), origin));
    return list;
  };
  if (!choice.text.empty()) {
    const std::string text = with_native_replaced(choice.text);
    if (!choice.inherited) return say(parse_arch_list(text), choice.origin);
    const ArchList list = servable(text, choice.origin, recipe, toolchain, report);
    if (!list.empty()) return say(list, choice.origin);
    throw Error(ErrorKind::usage, fmt::format("{} ('{}') names nothing that can be built", choice.origin, text), {},
                "give --arch, for example --arch 8.9");
  }
  constexpr std::string_view kLocal = "the GPU of this machine";
  if (const std::string local = local_gpu_archs(); !local.empty()) {
    const ArchList list = servable(local, kLocal, recipe, toolchain, report);
    if (!list.empty()) return say(list, kLocal);
  }
  if (recipe && !recipe->default_archs.empty())
    return say(recipe->default_archs, fmt::format("recipe '{}'", recipe->name));
  throw Error(ErrorKind::usage, "no architecture to build for",
              {"this machine has no GPU that can be built for, and no recipe fits the source"},
              "give --arch, for example --arch \"8.9 12.0+PTX\"");
}

}  // namespace sagebuild
