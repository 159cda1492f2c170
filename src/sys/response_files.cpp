#include "sagebuild/sys/response_files.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr int kMostFiles = 2000;

// Not a shell's rules: a backslash takes the next character as it is, between quotes of either kind
// too, and a quote that is never closed ends with the text.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_blank = std::string_view(" \t\n\v\f\r").find(c) != std::string_view::npos;
    if (is_blank && quote == 0) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '\\') {
      if (++i < text.size()) word += text[i];
    } else if (quote != 0 ? c == quote : c == '\'' || c == '"') {
      quote = quote == 0 ? c : '\0';
    } else {
      word += c;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::optional<std::string> text_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored) || fs::is_directory(path, ignored)) return std::nullopt;
  try {
    std::string text = read_file(path);
    return text.substr(0, text.find('\0'));  // the tools read it as a C string
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<std::string> with_response_files(std::vector<std::string> argv, const fs::path& cwd) {
  int files = 0;
  for (std::size_t i = 1; i < argv.size();) {
    const auto text = argv[i].starts_with('@') ? text_of(cwd / argv[i].substr(1)) : std::nullopt;
    if (!text) {
      ++i;
      continue;
    }
    if (++files == kMostFiles)
      throw Error(ErrorKind::failed,
                  fmt::format("'{}' names files of arguments without end", argv[i]), {},
                  "a file of arguments must not name itself");
    const std::vector<std::string> words = words_of(*text);
    const auto place = argv.erase(argv.begin() + static_cast<std::ptrdiff_t>(i));
    argv.insert(place, words.begin(),
                words.end());  // and looked at again, from the first of them on
  }
  return argv;
}

}  // namespace sagebuild
