#pragma once
// The checks by what they look at. Each adds what it finds.

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild::verifying {

class Findings {
 public:
  explicit Findings(Policy policy) : policy_(policy) {}
  void add(std::string_view code, std::string subject, std::string message);
  // Of what may be right as it is: no more than a warning, since an error stops a build.
  void suspect(std::string_view code, std::string subject, std::string message);
  // One or the other.
  void add_if(bool is_sure, std::string_view code, std::string subject, std::string message);
  std::vector<Finding> sorted() &&;

 private:
  void put(std::string_view code, Severity most, std::string subject, std::string message);

  Policy policy_;
  std::vector<Finding> found_;
};

// Which GPUs are served: SB101 to SB113.
void check_gpus(const WheelFacts& wheel, const Promise& promise, Findings& found);
// Whether torch has what they want of it: SB121, SB122, SB136.
void check_torch(const WheelFacts& wheel, const Promise& promise, Findings& found);
// Whether its modules can be loaded: SB123 to SB135, SB139.
void check_modules(const WheelFacts& wheel, const Promise& promise, Findings& found);
// The archive, its metadata, its source: SB140 to SB150.
void check_wheel(const WheelFacts& wheel, const Promise& promise, Findings& found);

}  // namespace sagebuild::verifying
