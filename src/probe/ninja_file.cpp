#include "sagebuild/probe/ninja_file.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

struct Line {
  int number;
  bool indented;
  std::string text;  // continuations joined, not yet expanded
};

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : name_(name) { split_lines(text); }

  std::vector<NinjaBuild> run() {
    for (at_ = 0; at_ < lines_.size();) {
      const Line& line = lines_[at_++];
      std::string_view text = line.text;
      if (line.indented) fail(line, "an indented line that belongs to nothing");
      if (take_prefix(text, "rule ")) {
        rules_[std::string(trimmed(text))] = bindings();
      } else if (take_prefix(text, "build ")) {
        build(line, text);
      } else if (take_prefix(text, "default ")) {
        continue;
      } else {
        const auto [key, value] = assignment(line);
        globals_[key] = expanded(value, {});
      }
    }
    return std::move(builds_);
  }

 private:
  [[noreturn]] void fail(const Line& line, std::string_view why) const {
    throw Error(ErrorKind::failed, fmt::format("{}:{}: {}", name_, line.number, why),
                {line.text.substr(0, 200)});
  }

  void split_lines(std::string_view text) {
    int number = 0;
    std::string pending;
    int first = 0;
    for (std::string_view raw : lines_of(text)) {
      ++number;
      if (pending.empty())
        first = number;
      else
        while (raw.starts_with(' ')) raw.remove_prefix(1);
      // "$" at the end continues the line, unless it is itself escaped.
      std::size_t dollars = 0;
      while (dollars < raw.size() && raw[raw.size() - 1 - dollars] == '$') ++dollars;
      if (dollars % 2 == 1) {
        pending += raw.substr(0, raw.size() - 1);
        continue;
      }
      pending += raw;
      const auto content = trimmed(pending);
      if (!content.empty() && content.front() != '#')
        lines_.push_back({first, pending.front() == ' ', std::string(content)});
      pending.clear();
    }
  }

  std::pair<std::string, std::string> assignment(const Line& line) const {
    const auto equals = line.text.find('=');
    const std::string_view key = trimmed(std::string_view(line.text).substr(0, equals));
    if (equals == std::string::npos || key.find(' ') != std::string_view::npos)
      fail(line, "not understood");
    return {std::string(key), std::string(trimmed(std::string_view(line.text).substr(equals + 1)))};
  }

  Variables bindings() {
    Variables found;
    for (; at_ < lines_.size() && lines_[at_].indented; ++at_) {
      auto [name, value] = assignment(lines_[at_]);
      found.insert_or_assign(std::move(name), std::move(value));
    }
    return found;
  }

  // $name, ${name}, and the escapes "$ ", "$:", "$$". Unknown names are empty, as in ninja.
  std::string expanded(std::string_view text, const Variables& local, int depth = 0) const {
    if (depth > 20)
      throw Error(ErrorKind::failed, fmt::format("{}: a variable refers to itself", name_));
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$' || i + 1 == text.size()) {
        result += text[i];
        continue;
      }
      const char next = text[++i];
      if (next == ' ' || next == ':' || next == '$') {
        result += next;
        continue;
      }
      std::string_view key;
      if (next == '{') {
        const auto end = std::min(text.find('}', i), text.size());
        key = text.substr(i + 1, end - i - 1);
        i = end;
      } else {
        auto end = i;
        while (end < text.size() &&
               (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
          ++end;
        key = text.substr(i, end - i);
        i = end - 1;
      }
      if (const auto found = local.find(key); found != local.end())
        result += expanded(found->second, local, depth + 1);
      else if (const auto global = globals_.find(key); global != globals_.end())
        result += global->second;
    }
    return result;
  }

  // Paths up to an unescaped ":" or the end; escapes resolved.
  std::vector<std::string> paths(std::string_view& text, bool until_colon) const {
    std::vector<std::string> found;
    std::string path;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
      if (text[i] == '$' && i + 1 < text.size() &&
          (text[i + 1] == ' ' || text[i + 1] == ':' || text[i + 1] == '$')) {
        path += text[++i];
      } else if (text[i] == ' ' || (until_colon && text[i] == ':')) {
        if (!path.empty()) found.push_back(std::move(path));
        path.clear();
        if (text[i] == ':') break;
      } else {
        path += text[i];
      }
    }
    if (!path.empty()) found.push_back(std::move(path));
    text.remove_prefix(std::min(text.size(), i + 1));
    return found;
  }

  void build(const Line& line, std::string_view rest) {
    NinjaBuild build;
    build.outputs = paths(rest, true);
    auto words = paths(rest, false);
    if (words.empty() || build.outputs.empty())
      fail(line, "a build statement without output or rule");
    build.rule = words.front();
    // "|" and "||" begin implicit and order-only inputs, which are not on the command line.
    for (std::size_t i = 1; i < words.size() && words[i] != "|" && words[i] != "||"; ++i)
      build.inputs.push_back(words[i]);
    Variables local = bindings();
    if (build.rule == "phony") return;
    const auto rule = rules_.find(build.rule);
    if (rule == rules_.end() || !rule->second.contains("command"))
      fail(line, fmt::format("unknown rule '{}'", build.rule));
    local["in"] = escaped(build.inputs);
    local["out"] = escaped(build.outputs);
    build.command = expanded(rule->second.find("command")->second, local);
    builds_.push_back(std::move(build));
  }

  // As ninja does for $in and $out: quoted for the shell, and "$" doubled since the value is
  // expanded once more.
  static std::string escaped(const std::vector<std::string>& words) {
    return replaced(shell_line(words), "$", "$$");
  }

  std::string name_;
  std::vector<Line> lines_;
  std::size_t at_ = 0;
  Variables globals_;
  std::map<std::string, Variables, std::less<>> rules_;
  std::vector<NinjaBuild> builds_;
};

}  // namespace

std::vector<NinjaBuild> parse_ninja(std::string_view text, std::string_view name) {
  return Parser(text, name).run();
}

}  // namespace sagebuild
