#include "sagebuild/app/arch_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/known_archs.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

bool has_code(const std::optional<Recipe>& recipe, Arch arch) {
  if (!recipe) return true;
  return std::ranges::any_of(recipe->modules, [&](const RecipeModule& module) {
    return std::ranges::find(module.targets, arch, &RecipeTarget::request) != module.targets.end();
  });
}

bool is_compiled_by(const Version& cuda, Arch arch) {
  const auto removed = removed_in_cuda(arch);
  return cuda.empty() || (first_cuda(arch) <= cuda && !(removed && cuda >= *removed));
}

// "8.0 9.0 12.0+PTX" for `all-major`.
std::string all_archs(bool majors_only, const std::optional<Recipe>& recipe, const Version& cuda) {
  std::vector<std::string> items;
  int last_major = 0;
  for (const Arch arch : known_archs()) {
    if (!has_code(recipe, arch) || !is_compiled_by(cuda, arch)) continue;
    const bool is_first = arch.major != last_major;
    last_major = arch.major;
    if (is_first || !majors_only) items.push_back(dotted(arch));
  }
  return join(items, " ") + (items.empty() ? "" : "+PTX");
}

std::string native_archs() {
  std::string found = local_gpu_archs();
  if (!found.empty()) return found;
  throw Error(ErrorKind::usage, "'native' was asked for, but this machine has no GPU", {},
              "name the architecture, for example 8.9");
}

// Blanks and separators stay as they are: names of GPUs hold blanks.
std::string with_words_replaced(const std::string& text, const std::optional<Recipe>& recipe, const Version& cuda) {
  constexpr std::string_view kSeparators = " \t\r\n,;";
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find_first_of(kSeparators, at), text.size());
    const std::string item = text.substr(at, end - at);
    const std::string word = lower(item);
    result += word == "native"      ? native_archs()
              : word == "all"       ? all_archs(false, recipe, cuda)
              : word == "all-major" ? all_archs(true, recipe, cuda)
                                    : item;
    if (end < text.size()) result += text[end];
    at = end + 1;
  }
  return result;
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

ArchList choose_archs(const ArchChoice& choice, const std::optional<Recipe>& recipe, const Version& cuda,
                      Reporter& report) {
  const auto say = [&](const ArchList& list, std::string_view origin) {
    report.note(fmt::format("architectures {} (from {})", print(list), origin));
    return list;
  };
  if (!choice.text.empty()) {
    const std::string text = with_words_replaced(choice.text, recipe, cuda);
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
