#pragma once
// What is wrong with a wheel, as a value: `verify` prints it, `build` and `upload` refuse by it.

#include <cstdint>
#include <string>
#include <vector>

namespace sagebuild {

enum class Severity : std::uint8_t { note, warning, error };
std::string name_of(Severity severity);  // "error"

struct Finding {
  std::string code;  // "SB101"
  Severity severity = Severity::warning;
  std::string subject;  // the module, a file of the wheel, or the wheel
  std::string message;  // what is so, with its numbers
};

// How strict the severities are: `publish` is the default; `strict` makes errors of warnings;
// `local` makes notes of what only matters on other machines.
enum class Policy : std::uint8_t { strict, publish, local };

struct FindingKind {
  std::string code;
  std::string title;  // "a GPU that was promised is not served"
  Severity severity;  // under `publish`
  bool elsewhere;     // matters on other machines alone
  std::string sees;   // what a user would see
  std::string fix;
};

// Every kind, sorted by code. Told in docs/inspect.md, "Findings", too.
const std::vector<FindingKind>& finding_kinds();
const FindingKind* finding_kind(std::string_view code);  // null: there is no such code
Severity severity_of(const FindingKind& kind, Policy policy);

}  // namespace sagebuild
