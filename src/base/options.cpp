#include "sagebuild/base/options.hpp"

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

std::optional<std::string_view> value_of(const std::vector<std::string>& words, std::size_t& at,
                                         std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    std::string_view word = words[at];
    if (!take_prefix(word, name)) continue;
    if (word.empty() && at + 1 < words.size()) return words[++at];
    if (take_prefix(word, "=")) return word;
  }
  return std::nullopt;
}

}  // namespace sagebuild
