#include "sagebuild/verify/verify.hpp"

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "verify/checks.hpp"

namespace sagebuild {

namespace verifying {

void Findings::add(std::string_view code, std::string subject, std::string message) {
  put(code, Severity::error, std::move(subject), std::move(message));
}

void Findings::suspect(std::string_view code, std::string subject, std::string message) {
  put(code, Severity::warning, std::move(subject), std::move(message));
}

void Findings::add_if(bool is_sure, std::string_view code, std::string subject,
                      std::string message) {
  put(code, is_sure ? Severity::error : Severity::warning, std::move(subject), std::move(message));
}

void Findings::put(std::string_view code, Severity most, std::string subject, std::string message) {
  const FindingKind* known = finding_kind(code);
  if (known == nullptr) throw Error(ErrorKind::bug, fmt::format("no finding is called {}", code));
  FindingKind kind = *known;
  kind.severity = std::min(kind.severity, most);
  found_.push_back({kind.code, severity_of(kind, policy_), std::move(subject), std::move(message)});
}

std::vector<Finding> Findings::sorted() && {
  sort_findings(found_);
  return std::move(found_);
}

}  // namespace verifying

void sort_findings(std::vector<Finding>& findings) {
  std::ranges::stable_sort(findings, [](const Finding& one, const Finding& other) {
    if (one.severity != other.severity) return one.severity > other.severity;
    return one.code < other.code;
  });
}

std::vector<Finding> verify_wheel(const WheelFacts& wheel, const Promise& promise, Policy policy) {
  verifying::Findings found(policy);
  verifying::check_gpus(wheel, promise, found);
  verifying::check_torch(wheel, promise, found);
  verifying::check_modules(wheel, promise, found);
  verifying::check_wheel(wheel, promise, found);
  return std::move(found).sorted();
}

}  // namespace sagebuild
