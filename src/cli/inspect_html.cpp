#include <fmt/format.h>

#include "cli/inspect_rows.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/inspect_output.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verdict.hpp"

namespace sagebuild {
namespace {

// No script and nothing from elsewhere; the browser holds it too. Colours go with words, so that
// nobody has to tell red from green.
constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { --text: #1b1f24; --soft: #59636e; --page: #fff; --line: #d0d7de;
  --good: #b7ebc6; --doubtful: #fbe7a1; --bad: #ffc9c4; --none: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9198a1; --page: #0d1117;
  --line: #3d444d; --good: #1b5a2e; --doubtful: #6a5210; --bad: #7d2520; --none: #1c2128; } }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; color: var(--text);
  background: var(--page); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.map { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left;
  vertical-align: top; }
.map td { text-align: center; min-width: 3.2rem; }
.map tbody th { position: sticky; left: 0; background: var(--page); min-width: 8.5rem;
  max-width: 14rem;
  overflow-wrap: anywhere; }
.map th small { display: block; font-weight: normal; color: var(--soft); }
.good { background: var(--good); } .doubtful { background: var(--doubtful); }
.bad { background: var(--bad); } .plain { background: var(--none); }
.total { font-weight: bold; }
summary { cursor: pointer; overflow-wrap: anywhere; padding: .3rem 0; }
footer { margin-top: 2rem; color: var(--soft); }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
</style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable_line(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string_view class_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "good";
    case Tone::bad:
      return "bad";
    case Tone::doubtful:
      return "doubtful";
    case Tone::plain:
    case Tone::strong:
      break;
  }
  return "plain";
}

std::string cell(const GpuVerdict& verdict) {
  return fmt::format("<td class=\"{}\" title=\"{}\">{}</td>",
                     class_of(tone_of_verdict(verdict.word)), escaped(verdict.reason),
                     escaped(verdict.word));
}

std::string list(const std::vector<FactRow>& rows) {
  std::string text = "<dl>\n";
  for (const FactRow& row : rows)
    text += fmt::format("<dt>{}</dt><dd{}>{}</dd>\n", escaped(row.label),
                        row.tone == Tone::bad ? " class=\"bad\"" : "", escaped(row.text));
  return text + "</dl>\n";
}

// "RTX 40, L4, L40S": the map has room for the first alone.
std::string_view first_name(std::string_view names) { return names.substr(0, names.find(',')); }

std::string heat_map(const std::vector<ModuleVerdicts>& modules,
                     const std::vector<GpuVerdict>& whole) {
  std::string text =
      "<h2>Which module runs on which GPU</h2>\n<div "
      "class=\"map\"><table>\n<thead><tr><th>module</th>";
  for (const GpuGeneration& generation : gpu_generations())
    text += fmt::format("<th title=\"{}\">{}<small>{}</small></th>", escaped(generation.name),
                        dotted(generation.capability), escaped(first_name(generation.name)));
  text += "</tr></thead>\n<tbody>\n<tr class=\"total\"><th>all together</th>";
  for (const GpuVerdict& verdict : whole) text += cell(verdict);
  text += "</tr>\n";
  for (const ModuleVerdicts& module : modules) {
    text += fmt::format("<tr><th>{}</th>", escaped(module.path));
    for (const GpuVerdict& verdict : module.gpus) text += cell(verdict);
    text += "</tr>\n";
  }
  return text +
         "</tbody>\n</table></div>\n<p>yes: machine code for it. JIT: the driver compiles PTX at "
         "first use. traps: a kernel ends with an error there. -: the module is not made for this "
         "GPU.</p>\n";
}

std::string reasons(const std::vector<GpuVerdict>& whole) {
  std::string text = "<h2>Runs on</h2>\n<table>\n";
  for (const GpuVerdict& verdict : whole)
    text += fmt::format("<tr><th>{}</th>{}<td>{}</td></tr>\n", escaped(described_gpu(verdict.gpu)),
                        cell(verdict), escaped(verdict.reason));
  return text + "</table>\n";
}

}  // namespace

std::string inspect_html(const WheelFacts& facts, const Promise& promise) {
  std::string text = fmt::format("{}<title>{}</title>\n</head>\n<body>\n<h1>{}</h1>\n", kHead,
                                 escaped(facts.file), escaped(facts.file));
  std::vector<FactRow> rows = wheel_rows(facts, promise);
  rows.insert(rows.begin(), {"size", human_size(facts.size)});
  text += list(rows);
  const std::vector<GpuVerdict> whole = verdicts(facts, promise);
  if (whole.empty())
    text += "<p>There is no GPU code in it.</p>\n";
  else
    text += heat_map(module_verdicts(facts, promise), whole) + reasons(whole);
  text += "<h2>Modules</h2>\n";
  for (const ModuleFacts& module : facts.modules)
    text +=
        fmt::format("<details open><summary>{}  {}</summary>\n{}</details>\n", escaped(module.path),
                    human_size(module.size), list(module_rows(module, false)));
  for (const std::string& lost : facts.unreadable)
    text += fmt::format("<p class=\"bad\">unreadable: {}</p>\n", escaped(lost));
  return text + fmt::format("<footer>sagebuild {} inspect</footer>\n</body>\n</html>\n",
                            escaped(program_version()));
}

}  // namespace sagebuild
