#pragma once

#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// For a look ahead at what will be told when it is done.
class SilentReporter : public Reporter {
 public:
  void stage(std::string_view) override {}
  void note(std::string_view) override {}
  void warning(std::string_view) override {}
  void detail(std::string_view) override {}
  void transfer(const TransferProgress&) override {}
  void step_started(const StepProgress&) override {}
  void step_finished(const StepProgress&) override {}
  void step_failed(std::string_view, std::string_view, std::string_view,
                   std::string_view) override {}
};

}  // namespace sagebuild
