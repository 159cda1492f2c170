#include "verify/specifiers.hpp"

#include <algorithm>
#include <string>

#include "sagebuild/base/strings.hpp"

namespace sagebuild::verifying {
namespace {

// Whether the first numbers of both are the same, as "==2.11.*" and "~=2.11.0" ask of two.
bool share(const Version& one, const Version& other, std::ptrdiff_t count) {
  return (count < 1 || one.major() == other.major()) &&
         (count < 2 || one.minor() == other.minor()) && (count < 3 || one.patch() == other.patch());
}

bool part_allows(std::string_view part, const Version& release) {
  const auto begin = part.find_first_of("0123456789");
  if (begin == std::string_view::npos) return true;
  const std::string_view sign = trimmed(part.substr(0, begin));
  const std::string_view number = part.substr(begin);
  const Version bound = parse_version(number).value_or(Version{});
  const auto dots =
      std::ranges::count(number.substr(0, number.find_first_not_of("0123456789.")), '.');
  const bool is_prefix = number.find('*') != std::string_view::npos;
  if (sign == "~=") return release >= bound && share(release, bound, dots);
  if (sign == "!=") return is_prefix ? !share(release, bound, dots) : release != bound;
  if (sign == "<") return release < bound;
  if (sign == "<=") return release <= bound;
  if (sign == ">") return release > bound;
  if (sign == ">=") return release >= bound;
  return is_prefix ? share(release, bound, dots) : release == bound;
}

using Truth = std::optional<bool>;  // nothing: not known

// What "or" makes of two with `decisive` true, "and" with false.
Truth joined(Truth one, Truth other, bool decisive) {
  if (one == decisive || other == decisive) return decisive;
  return one && other ? Truth(!decisive) : std::nullopt;
}

class MarkerReader {
 public:
  explicit MarkerReader(std::string_view text) : rest_(text) {}

  Truth whole() {
    const Truth truth = any();
    return trimmed(rest_).empty() ? truth : std::nullopt;
  }

 private:
  Truth any() {
    Truth truth = every();
    while (take("or")) truth = joined(truth, every(), true);
    return truth;
  }

  Truth every() {
    Truth truth = one();
    while (take("and")) truth = joined(truth, one(), false);
    return truth;
  }

  Truth one() {
    if (take("(")) {
      const Truth truth = any();
      return take(")") ? truth : std::nullopt;
    }
    const auto left = value();
    const bool is_equal = take("==");
    const bool is_other = !is_equal && take("!=");
    if (!is_equal && !is_other) {
      for (const std::string_view sign : {"not", "in", "<=", ">=", "~=", "<", ">"}) take(sign);
    }
    const auto right = value();
    if (!left || !right || (!is_equal && !is_other)) return std::nullopt;
    return (*left == *right) == is_equal;
  }

  bool take(std::string_view word) {
    rest_ = trimmed(rest_);
    return take_prefix(rest_, word);
  }

  // Of a text in quotes, or of what is known of Linux.
  std::optional<std::string> value() {
    rest_ = trimmed(rest_);
    const bool is_text = rest_.starts_with('"') || rest_.starts_with('\'');
    const auto end =
        is_text ? rest_.find(rest_[0], 1) : rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyz_.");
    const std::string word(rest_.substr(0, end));
    rest_.remove_prefix(std::min(word.size() + (is_text ? 1 : 0), rest_.size()));
    if (is_text) return word.substr(1);
    if (word == "sys_platform") return "linux";
    if (word == "platform_system") return "Linux";
    if (word == "os_name") return "posix";
    return std::nullopt;
  }

  std::string_view rest_;
};

}  // namespace

bool allows(std::string_view specifiers, const Version& release) {
  return std::ranges::all_of(split(specifiers, ","), [&](std::string_view part) {
    return part_allows(trimmed(part), release);
  });
}

bool ends_below(std::string_view specifiers, const Version& version) {
  return std::ranges::any_of(split(specifiers, ","), [&](std::string_view part) {
    part = trimmed(part);
    const auto begin = part.find_first_of("0123456789");
    if (begin == std::string_view::npos) return false;
    const std::string_view number = part.substr(begin);
    const auto bound = parse_version(number);
    if (!bound || part.starts_with('>') || part.starts_with('!')) return false;
    // "~=2.4" lets in every 2.x.
    if (part.starts_with('~') && std::ranges::count(number, '.') < 2) return false;
    return *bound < version ||
           (part.starts_with('<') && !part.starts_with("<=") && *bound == version);
  });
}

std::optional<bool> holds_on_linux(std::string_view marker) {
  constexpr std::ptrdiff_t kMostBrackets = 50;
  if (std::ranges::count(marker, '(') > kMostBrackets) return std::nullopt;
  return MarkerReader(marker).whole();
}

}  // namespace sagebuild::verifying
