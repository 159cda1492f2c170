#include "cli/completion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

bool is_path(const std::string& value) {
  const auto has = [&](const char* word) { return value.find(word) != std::string::npos; };
  return has("FILE") || has("DIR") || has("WHEEL");
}

// "auto|full": all the words that an option takes. "URL|DIR" and "N" are kinds of them.
std::vector<std::string> choices_of(const std::string& value) {
  const bool is_words = std::ranges::all_of(
      value, [](char c) { return (c >= 'a' && c <= 'z') || c == '|' || c == '-'; });
  std::vector<std::string> words;
  if (is_words)
    for (const std::string_view word : split(value, "|")) words.emplace_back(word);
  return words;
}

// Global options may stand behind every command.
std::vector<OptionFacts> options_at(const std::vector<CommandFacts>& commands,
                                    const CommandFacts& command) {
  std::vector<OptionFacts> options = command.options;
  if (command.path.empty()) return options;
  for (const OptionFacts& global : commands.front().options) {
    const bool is_own = std::ranges::any_of(
        options, [&](const OptionFacts& own) { return own.names.back() == global.names.back(); });
    if (!is_own && global.names.back() != "--version") options.push_back(global);
  }
  return options;
}

std::set<std::string> names_with_value(const std::vector<CommandFacts>& commands) {
  std::set<std::string> names;
  for (const CommandFacts& command : commands)
    for (const OptionFacts& option : command.options)
      if (!option.value.empty()) names.insert(option.names.begin(), option.names.end());
  return names;
}

std::string pattern_of(const std::vector<std::string>& names) { return join(names, "|"); }

// What bash and zsh have in common: which command the words before the cursor name, in $path.
std::string path_code(const std::vector<CommandFacts>& commands, std::string_view words,
                      std::string_view first, std::string_view end) {
  std::vector<std::string> known;
  for (const CommandFacts& command : commands)
    if (!command.path.empty()) known.push_back(fmt::format("\"{}\"", command.path));
  const std::set<std::string> valued = names_with_value(commands);
  return fmt::format(
      "  for ((i = {}; i < {}; i++)); do\n"
      "    case ${{{}[i]}} in\n"
      "      {}) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) case \"${{at:+$at }}${{{}[i]}}\" in\n"
      "           {}) at=\"${{at:+$at }}${{{}[i]}}\" ;;\n"
      "         esac ;;\n"
      "    esac\n"
      "  done\n",
      first, end, words, pattern_of({valued.begin(), valued.end()}), words, join(known, "|"),
      words);
}

// And where the word before the cursor wants a value: `action` is the code that completes it.
std::string value_cases(const std::vector<CommandFacts>& commands,
                        const std::function<std::string(const OptionFacts&)>& action) {
  std::string text;
  for (const CommandFacts& command : commands) {
    for (const OptionFacts& option : options_at(commands, command)) {
      if (option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names)
        patterns.push_back(fmt::format("\"{}:{}\"", command.path, name));
      text += fmt::format("    {}) {}return ;;\n", pattern_of(patterns), action(option));
    }
  }
  return text;
}

std::string bash_script(const std::vector<CommandFacts>& commands) {
  std::string text =
      "# bash completion of sagebuild: source <(sagebuild completion bash)\n"
      "_sagebuild() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= i\n"
      "  COMPREPLY=()\n" +
      path_code(commands, "COMP_WORDS", "1", "COMP_CWORD") + "  case $at:$prev in\n";
  text += value_cases(commands, [](const OptionFacts& option) -> std::string {
    if (const auto words = choices_of(option.value); !words.empty())
      return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); ", join(words, " "));
    return is_path(option.value) ? "compopt -o default; " : "";
  });
  text += "  esac\n  case $at in\n";
  for (const CommandFacts& command : commands) {
    std::vector<std::string> words;
    for (const auto& [name, help] : command.below) words.push_back(name);
    for (const OptionFacts& option : options_at(commands, command))
      words.insert(words.end(), option.names.begin(), option.names.end());
    std::string operand;
    for (const OptionFacts& one : command.operands) {
      const auto choices = choices_of(one.value);
      words.insert(words.begin(), choices.begin(), choices.end());
      if (is_path(one.value)) operand = "[[ $cur == -* ]] || { compopt -o default; return; }; ";
    }
    text += fmt::format("    \"{}\") {}COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")) ;;\n",
                        command.path, operand, join(words, " "));
  }
  return text + "  esac\n}\ncomplete -F _sagebuild sagebuild\n";
}

// Of _describe a ':' ends the word.
std::string described(const std::string& name, const std::string& help) {
  return shell_quoted(fmt::format("{}:{}", replaced(name, ":", "\\:"), help));
}

std::string zsh_script(const std::vector<CommandFacts>& commands) {
  std::string text =
      "#compdef sagebuild\n"
      "# zsh completion of sagebuild: sagebuild completion zsh > FOLDER_OF_FPATH/_sagebuild\n"
      "_sagebuild() {\n"
      "  local prev=${words[CURRENT-1]} at= i\n"
      "  local -a options commands\n" +
      path_code(commands, "words", "2", "CURRENT") + "  case $at:$prev in\n";
  text += value_cases(commands, [](const OptionFacts& option) -> std::string {
    if (const auto words = choices_of(option.value); !words.empty())
      return fmt::format("compadd -- {}; ", join(words, " "));
    if (is_path(option.value)) return "_files; ";
    return fmt::format("_message {}; ", shell_quoted(option.value));
  });
  text += "  esac\n  case $at in\n";
  for (const CommandFacts& command : commands) {
    text += fmt::format("    \"{}\")\n", command.path);
    for (const auto& [name, help] : command.below)
      text += fmt::format("      commands+=({})\n", described(name, help));
    for (const OptionFacts& option : options_at(commands, command))
      for (const std::string& name : option.names)
        text += fmt::format("      options+=({})\n", described(name, option.help));
    for (const OptionFacts& one : command.operands) {
      const auto choices = choices_of(one.value);
      for (const std::string& word : choices)
        text += fmt::format("      commands+=({})\n", described(word, one.help));
      if (is_path(one.value)) text += "      [[ $PREFIX == -* ]] || { _files; return; }\n";
    }
    text += "      ;;\n";
  }
  return text +
         "  esac\n"
         "  (( $#commands )) && [[ $PREFIX != -* ]] && _describe command commands\n"
         "  [[ $PREFIX == -* ]] && _describe option options\n"
         "}\n"
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _sagebuild \"$@\"; "
         "else compdef _sagebuild sagebuild; fi\n";
}

std::string fish_script(const std::vector<CommandFacts>& commands) {
  std::vector<std::string> known;
  for (const CommandFacts& command : commands)
    if (!command.path.empty()) known.push_back(shell_quoted(command.path));
  const std::set<std::string> valued = names_with_value(commands);
  std::string text = fmt::format(
      "# fish completion of sagebuild: sagebuild completion fish | source\n"
      "function __sagebuild_at\n"
      "  set -l at ''\n"
      "  set -l skip 0\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    if test $skip = 1; set skip 0; continue; end\n"
      "    if contains -- $word {}; set skip 1; continue; end\n"
      "    if string match -q -- '-*' $word; continue; end\n"
      "    set -l next (string trim \"$at $word\")\n"
      "    if contains -- $next {}; set at $next; end\n"
      "  end\n"
      "  test \"$at\" = \"$argv[1]\"\n"
      "end\n"
      "complete -c sagebuild -f\n",
      join({valued.begin(), valued.end()}, " "), join(known, " "));
  for (const CommandFacts& command : commands) {
    const std::string head =
        fmt::format("complete -c sagebuild -n {}",
                    shell_quoted(fmt::format("__sagebuild_at '{}'", command.path)));
    for (const auto& [name, help] : command.below)
      text += fmt::format("{} -a {} -d {}\n", head, name, shell_quoted(help));
    for (const OptionFacts& option : options_at(commands, command)) {
      text += head;
      for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      const auto words = choices_of(option.value);
      if (!words.empty())
        text += " -x -a " + shell_quoted(join(words, " "));
      else if (is_path(option.value))
        text += " -r -F";
      else if (!option.value.empty())
        text += " -x";
      text += fmt::format(" -d {}\n", shell_quoted(option.help));
    }
    for (const OptionFacts& one : command.operands) {
      const auto choices = choices_of(one.value);
      if (is_path(one.value)) text += head + " -F\n";
      if (!choices.empty())
        text += fmt::format("{} -a {}\n", head, shell_quoted(join(choices, " ")));
    }
  }
  return text;
}

}  // namespace

std::string completion_script(const std::vector<CommandFacts>& commands, std::string_view shell) {
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  throw Error(ErrorKind::usage, fmt::format("there is no completion for '{}'", shell), {},
              "one of bash, zsh, fish");
}

}  // namespace sagebuild
