#pragma once
// A reporter that keeps what it was told, for assertions.

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

class RecordingReporter : public Reporter {
 public:
  std::vector<std::string> stages, notes, warnings, details, finished, parts, failures;
  std::vector<TransferProgress> transfers;

  void stage(std::string_view text) override { keep(stages, text); }
  void note(std::string_view text) override { keep(notes, text); }
  void warning(std::string_view text) override { keep(warnings, text); }
  void detail(std::string_view text) override { keep(details, text); }
  void transfer(const TransferProgress& progress) override { transfers.push_back(progress); }
  void step_started(const StepProgress&) override {}
  void step_finished(const StepProgress& progress) override { finished.push_back(progress.label); }
  void part_finished(const StepProgress& progress) override {
    parts.push_back(std::to_string(progress.done) + "/" + std::to_string(progress.total) + " " +
                    progress.label);
  }
  void step_failed(std::string_view label, std::string_view, std::string_view output,
                   std::string_view) override {
    failures.push_back(std::string(label) + "\n" + std::string(output));
  }

  static bool any_has(const std::vector<std::string>& lines, std::string_view text) {
    return std::ranges::any_of(
        lines, [&](const auto& line) { return line.find(text) != std::string::npos; });
  }

 private:
  // What steps do inside the process, they report from other threads.
  void keep(std::vector<std::string>& lines, std::string_view text) {
    const std::lock_guard lock(mutex_);
    lines.emplace_back(text);
  }

  std::mutex mutex_;
};

}  // namespace sagebuild
