#include "sagebuild/model/wheel_name.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kDigits = "0123456789";

bool is_name_text(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+!";
  return !text.empty() && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

// "py2.py3": no tag is empty.
bool is_tag_set(std::string_view text) {
  return !text.starts_with('.') && !text.ends_with('.') &&
         text.find("..") == std::string_view::npos;
}

// The parts of `text` between '-', empty ones kept, so that "a--b" is seen as what it is.
std::vector<std::string_view> dashed_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto dash = text.find('-');
    parts.push_back(text.substr(0, dash));
    if (dash == std::string_view::npos) return parts;
    text.remove_prefix(dash + 1);
  }
}

std::string_view leading(std::string_view text, std::string_view allowed) {
  return text.substr(0, text.find_first_not_of(allowed));
}

}  // namespace

std::string WheelName::local_label() const {
  const auto plus = version.find('+');
  return plus == std::string::npos ? "" : version.substr(plus + 1);
}

std::string WheelName::file_name() const {
  return fmt::format("{}-{}{}{}-{}-{}-{}.whl", distribution, version, build.empty() ? "" : "-",
                     build, python, abi, platform);
}

std::optional<WheelName> parse_wheel_name(std::string_view file_name) {
  if (!file_name.ends_with(".whl")) return std::nullopt;
  file_name.remove_suffix(4);
  const auto parts = dashed_parts(file_name);
  if (parts.size() != 5 && parts.size() != 6) return std::nullopt;
  for (const std::string_view part : parts) {
    if (!is_name_text(part)) return std::nullopt;
  }
  const bool has_build = parts.size() == 6;
  if (has_build && kDigits.find(parts[2].front()) == std::string_view::npos) return std::nullopt;
  if (kDigits.find(parts[1].front()) == std::string_view::npos) return std::nullopt;
  const std::size_t tags = has_build ? 3 : 2;
  for (std::size_t tag = tags; tag < tags + 3; ++tag)
    if (!is_tag_set(parts[tag])) return std::nullopt;
  return WheelName{std::string(parts[0]),
                   std::string(parts[1]),
                   has_build ? std::string(parts[2]) : "",
                   std::string(parts[tags]),
                   std::string(parts[tags + 1]),
                   std::string(parts[tags + 2])};
}

std::vector<std::string> expanded_tags(const WheelName& name) {
  std::vector<std::string> tags;
  for (const auto python : split(name.python, ".")) {
    for (const auto abi : split(name.abi, ".")) {
      for (const auto platform : split(name.platform, "."))
        tags.push_back(fmt::format("{}-{}-{}", python, abi, platform));
    }
  }
  return tags;
}

std::string python_of_tag(std::string_view tag) {
  if (!take_prefix(tag, "cp3") || tag.empty() || tag.find_first_not_of(kDigits) != tag.npos)
    return "";
  return fmt::format("3.{}", tag);
}

bool is_for_python(const WheelName& name, const Version& python, std::string_view tag) {
  const Version own{python.major(), python.minor()};
  for (const std::string_view one : split(name.python, ".")) {
    if (one.starts_with("py3")) return true;
    const auto first = parse_version(python_of_tag(one));
    if (!first) continue;
    for (const std::string_view abi : split(name.abi, ".")) {
      if (abi == "abi3" && *first <= own && !tag.ends_with('t')) return true;
      if (*first == own && (abi == tag || abi == "none")) return true;
    }
  }
  return false;
}

std::optional<Version> cuda_of_label(std::string_view label) {
  for (auto at = label.find("cu"); at != std::string_view::npos; at = label.find("cu", at + 1)) {
    const auto digits = leading(label.substr(at + 2), kDigits);
    if (digits.size() < 2) continue;
    // "cu12" names a major version alone; "cu92" is of a time before those had two digits.
    if (digits.size() == 2 && digits.front() == '1') return parse_version(digits);
    return parse_version(fmt::format("{}.{}", digits.substr(0, digits.size() - 1), digits.back()));
  }
  return std::nullopt;
}

std::optional<Version> torch_of_label(std::string_view label) {
  const auto at = label.find("torch");
  if (at == std::string_view::npos) return std::nullopt;
  return parse_version(leading(label.substr(at + 5), "0123456789."));
}

}  // namespace sagebuild
