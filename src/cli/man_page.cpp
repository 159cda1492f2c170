#include "cli/man_page.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

// A backslash begins an escape, '-' would be set as a hyphen, and a line that begins with a point
// or a quote is a macro.
std::string roff(std::string_view text) {
  std::string safe = replaced(replaced(std::string(text), "\\", "\\e"), "-", "\\-");
  std::string lines;
  for (const std::string_view line : lines_of(safe)) {
    if (!lines.empty()) lines += '\n';
    if (line.starts_with('.') || line.starts_with('\'')) lines += "\\&";
    lines += line;
  }
  return lines;
}

std::string dashed(const CommandFacts& command) {
  return command.path.empty() ? "sagebuild" : "sagebuild-" + replaced(command.path, " ", "-");
}

std::string shown(const OptionFacts& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
  std::string text = join(names, ", ");
  if (!option.value.empty()) text += " \\fI" + roff(option.value) + "\\fR";
  return text + (option.is_list ? " ..." : "");
}

std::string synopsis(const CommandFacts& command) {
  std::string text = fmt::format(".SH SYNOPSIS\n.B sagebuild{}\n",
                                 command.path.empty() ? "" : " " + roff(command.path));
  text += command.below.empty() ? "[\\fIOPTIONS\\fR]" : "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR";
  for (const OptionFacts& operand : command.operands)
    text += fmt::format(" [\\fI{}\\fR]", roff(operand.value));
  return text + "\n";
}

std::string options(const CommandFacts& command) {
  std::string text, group;
  for (const OptionFacts& option : command.options) {
    if (text.empty()) text = ".SH OPTIONS\n";
    if (option.group != group && option.group != "Options")
      text += fmt::format(".SS {}\n", roff(option.group));
    group = option.group;
    text += fmt::format(".TP\n{}\n{}\n", shown(option), roff(option.help));
  }
  return text;
}

}  // namespace

std::string man_page_name(const CommandFacts& command) { return dashed(command) + ".1"; }

std::string man_page(const CommandFacts& command, const std::vector<CommandFacts>& commands) {
  std::string text =
      fmt::format(".TH {} 1 \"\" \"sagebuild {}\" \"sagebuild\"\n.SH NAME\n{} \\- {}\n",
                  dashed(command), program_version(), roff(dashed(command)), roff(command.help));
  text += synopsis(command);
  for (const OptionFacts& operand : command.operands) {
    text += fmt::format("{}.TP\n\\fI{}\\fR\n{}\n",
                        &operand == command.operands.data() ? ".SH OPERANDS\n" : "",
                        roff(operand.value), roff(operand.help));
  }
  if (!command.below.empty()) text += ".SH COMMANDS\n";
  for (const auto& [name, help] : command.below)
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(name), roff(help));
  text += options(command);
  // "Examples:" and the lines below it, or the exit codes
  if (!command.footer.empty()) {
    std::string_view footer = command.footer;
    const bool is_examples = take_prefix(footer, "Examples:\n");
    text += fmt::format(".SH {}\n.nf\n{}\n.fi\n", is_examples ? "EXAMPLES" : "NOTES", roff(footer));
  }
  if (command.path.empty()) return text;
  return text + fmt::format(
                    ".SH SEE ALSO\n.BR sagebuild (1),\nwhich has the options of all "
                    "commands ({} in all) and the exit codes\n",
                    commands.size() - 1);
}

}  // namespace sagebuild
