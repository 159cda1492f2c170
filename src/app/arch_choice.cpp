#include "sagebuild/app/arch_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/known_archs.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

// "8.0 9.0 12.0+PTX" for `all-major`.
std::string all_archs(bool majors_only, const std::optional<Recipe>& recipe, const Version& cuda) {
  std::vector<std::string> items;
  int last_major = 0;
  for (const Arch arch : known_archs()) {
    if ((recipe && !serves(*recipe, arch)) || !why_not_built(arch, cuda).empty()) continue;
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
std::string with_words_replaced(const std::string& text, const std::optional<Recipe>& recipe,
                                const Version& cuda) {
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

// What this toolkit and this recipe can serve of it; the rest is a warning.
ArchList servable(const std::string& text, std::string_view origin,
                  const std::optional<Recipe>& recipe, const Version& cuda, Reporter& report) {
  const InheritedArchList parsed = parse_inherited_arch_list(text);
  std::vector<std::string> reasons;
  for (const std::string& item : parsed.dropped)
    reasons.push_back(fmt::format("{} is not known", item));
  ArchList list;
  for (const ArchRequest& request : parsed.list) {
    std::string reason = why_not_built(request.arch, cuda);
    if (reason.empty() && recipe && !serves(*recipe, request.arch))
      reason = fmt::format("recipe '{}' has no code for {}", recipe->name, dotted(request.arch));
    if (reason.empty())
      list.push_back(request);
    else
      reasons.push_back(std::move(reason));
  }
  if (!reasons.empty())
    report.warning(
        fmt::format("left out of what {} names ('{}'): {}", origin, text, join(reasons, "; ")));
  return list;
}

}  // namespace

std::string archs_for_torch(const ArchList& archs) {
  constexpr Arch kUnknownToTorch{8, 8};
  constexpr Arch kNearestBelow{8, 6};
  const bool has_family = std::ranges::any_of(archs, [](const ArchRequest& request) {
    return request.arch.feature == ArchFeature::family;
  });
  std::vector<std::string> items;
  for (ArchRequest request : archs) {
    // All plain, then: flags that name some targets and not others would be taken for setup.py's
    // own.
    if (has_family) request.arch.feature = ArchFeature::plain;
    if (request.arch == kUnknownToTorch) request.arch = kNearestBelow;
    items.push_back(dotted(request.arch) + (request.ptx ? "+PTX" : ""));
  }
  return join(items, ";");
}

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

ArchList choose_archs(const ArchChoice& choice, const std::optional<Recipe>& recipe,
                      const Version& cuda, Reporter& report) {
  const auto say = [&](const ArchList& list, std::string_view origin) {
    report.note(fmt::format("architectures {} (from {})", print(list), origin));
    return list;
  };
  if (!choice.text.empty()) {
    const std::string text = with_words_replaced(choice.text, recipe, cuda);
    if (!choice.inherited) return say(parse_arch_list(text), choice.origin);
    const ArchList list = servable(text, choice.origin, recipe, cuda, report);
    if (!list.empty()) return say(list, choice.origin);
    throw Error(ErrorKind::usage,
                fmt::format("{} ('{}') names nothing that can be built", choice.origin, text), {},
                "give --arch, for example --arch 8.9");
  }
  constexpr std::string_view kLocal = "the GPU of this machine";
  if (const std::string local = local_gpu_archs(); !local.empty()) {
    const ArchList list = servable(local, kLocal, recipe, cuda, report);
    if (!list.empty()) return say(list, kLocal);
  }
  if (recipe && !recipe->default_archs.empty())
    return say(recipe->default_archs, fmt::format("recipe '{}'", recipe->name));
  throw Error(ErrorKind::usage, "no architecture to build for",
              {"this machine has no GPU that can be built for, and no recipe fits the source"},
              "give --arch, for example --arch \"8.9 12.0+PTX\"");
}

}  // namespace sagebuild
