#include "sagebuild/app/arch_choice.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
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

ArchList inherited(const ArchChoice& choice, const std::string& text, Reporter& report) {
  InheritedArchList parsed = parse_inherited_arch_list(text);
  if (!parsed.dropped.empty()) {
    report.warning(
        fmt::format("{} names {}, which this code cannot serve: left out", choice.origin, join(parsed.dropped, " ")));
  }
  if (parsed.list.empty()) {
    throw Error(ErrorKind::usage, fmt::format("{} ('{}') names nothing that this code can serve", choice.origin, text),
                {}, "give --arch, for example --arch 8.9");
  }
  return std::move(parsed.list);
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

ArchList choose_archs(const ArchChoice& choice, const std::optional<Recipe>& recipe, Reporter& report) {
  const auto say = [&](const ArchList& list, std::string_view origin) {
    report.note(fmt::format("architectures {} (from {})", print(list), origin));
    return list;
  };
  if (!choice.text.empty()) {
    const std::string text = with_native_replaced(choice.text);
    return say(choice.inherited ? inherited(choice, text, report) : parse_arch_list(text), choice.origin);
  }
  if (const std::string local = local_gpu_archs(); !local.empty()) {
    const InheritedArchList found = parse_inherited_arch_list(local);
    if (!found.list.empty()) return say(found.list, "the GPU of this machine");
  }
  if (recipe && !recipe->default_archs.empty())
    return say(recipe->default_archs, fmt::format("recipe '{}'", recipe->name));
  throw Error(ErrorKind::usage, "no architecture to build for",
              {"this machine has no GPU, and no recipe fits the source"},
              "give --arch, for example --arch \"8.9 12.0+PTX\"");
}

}  // namespace sagebuild
