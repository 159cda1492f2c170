#include "portable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/elf_view.hpp"
#include "words.hpp"

namespace sagebuild::linking {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// The run path of `tokens[at]`, which moves on where that is a word of its own: "-rpath X",
// "--rpath=X", and "-R X" or "-RX" if X is a folder (a file is for its symbols).
std::optional<std::string> run_path_at(const std::vector<Token>& tokens, std::size_t& at,
                                       const fs::path& cwd) {
  std::string_view text = tokens[at].text;
  if (!tokens[at].linker) return std::nullopt;
  const bool has_next = at + 1 < tokens.size();
  if (text == "-rpath" || text == "--rpath")
    return has_next ? std::optional(tokens[++at].text) : std::nullopt;
  if (take_prefix(text, "--rpath=") || take_prefix(text, "-rpath=")) return std::string(text);
  if (!take_prefix(text, "-R")) return std::nullopt;
  const std::string value = text.empty() && has_next ? tokens[at + 1].text : std::string(text);
  std::error_code ignored;
  if (!is_below_origin(value) && !fs::is_directory(cwd / value, ignored)) return std::nullopt;
  if (text.empty()) ++at;
  return value;
}

void add(Words& argv, const Token& token) {
  if (token.linker) argv.emplace_back("-Xlinker");
  argv.push_back(token.text);
}

}  // namespace

PortableWords portable(const Words& argv, const fs::path& cwd) {
  PortableWords result;
  const std::vector<Token> tokens = tokens_of(argv);
  Words words = {argv.front()};
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    const auto run_path = run_path_at(tokens, at, cwd);
    if (!run_path) {
      add(words, tokens[at]);
      continue;
    }
    Words own;
    for (const std::string_view folder : split(*run_path, ":")) {
      if (is_below_origin(folder)) {
        own.emplace_back(folder);
        continue;
      }
      const std::string absolute = (cwd / folder).lexically_normal();
      result.dropped.push_back(absolute);
      words.insert(words.end(), {"-Xlinker", "-rpath-link", "-Xlinker", absolute});
    }
    if (!own.empty()) words.insert(words.end(), {"-Xlinker", "-rpath", "-Xlinker", join(own, ":")});
  }
  // As they were, where nothing had to go
  result.argv = result.dropped.empty() ? argv : std::move(words);
  // The last one of its kind counts. An object of an assembler that does not say is else taken to
  // want one.
  result.argv.insert(result.argv.end(), {"-Wl,-z,noexecstack"});
  return result;
}

std::string unportable(const fs::path& module) {
  for (const std::string& folder : dynamic_info(module).run_paths)
    if (!is_below_origin(folder))
      return fmt::format("its run path '{}' is a folder of this machine", folder);
  if (ElfView(module).stack() != ElfStack::plain) return "it asks for an executable stack";
  return "";
}

}  // namespace sagebuild::linking
