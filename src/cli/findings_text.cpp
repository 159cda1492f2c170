#include <fmt/format.h>

#include <algorithm>

#include "cli/text_lines.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/inspect_output.hpp"

namespace sagebuild {

std::string findings_text(const Verification& verification, const TextStyle& style) {
  std::string text;
  std::string last;
  std::size_t errors = 0, warnings = 0;
  for (const Finding& finding : verification.findings) {
    const FindingKind& kind = *finding_kind(finding.code);
    errors += finding.severity == Severity::error ? 1U : 0U;
    warnings += finding.severity == Severity::warning ? 1U : 0U;
    if (last != finding.code) {
      const Tone tone = finding.severity == Severity::error     ? Tone::bad
                        : finding.severity == Severity::warning ? Tone::doubtful
                                                                : Tone::plain;
      if (!last.empty()) text += '\n';
      text += fmt::format("{} {} {}\n",
                          toned(fmt::format("{}:", name_of(finding.severity)), tone, style.color),
                          finding.code, toned(kind.title, Tone::strong, style.color));
      text += filled("  a user sees", 13, kind.sees, 15, style.width);
      text += filled("  mend it", 9, kind.fix, 15, style.width);
    }
    text += filled("  ", 2, printable_line(fmt::format("{}: {}", finding.subject, finding.message)),
                   4, style.width);
    last = finding.code;
  }
  const Promise& promise = verification.promise;
  if (!text.empty()) text += '\n';
  return text + fmt::format("{}: {}, {}{}\n", verification.facts.file, counted(errors, "error"),
                            counted(warnings, "warning"),
                            promise.archs.empty() ? ""
                                                  : fmt::format("; {} promises {}", promise.origin,
                                                                print(promise.archs)));
}

std::string explained(const FindingKind& kind) {
  return fmt::format("{}  {}\n\n  severity      {}{}\n  a user sees   {}\n  mend it       {}\n",
                     kind.code, kind.title, name_of(kind.severity),
                     kind.elsewhere ? " (a note with --policy local)" : "", kind.sees, kind.fix);
}

}  // namespace sagebuild
