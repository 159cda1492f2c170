#pragma once
// Events as lines on standard error: one line that overwrites itself on a terminal, a line per
// finished step elsewhere.

#include <chrono>
#include <mutex>
#include <string>

#include "sagebuild/cli/transfer_line.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

class ConsoleReporter : public Reporter {
 public:
  // verbosity -1: warnings and failures only; 1: details as well. `live`: the self-overwriting
  // line.
  ConsoleReporter(int verbosity, bool live, bool color);
  ~ConsoleReporter() override;

  void stage(std::string_view text) override;
  void note(std::string_view text) override;
  void warning(std::string_view text) override;
  void detail(std::string_view text) override;
  void transfer(const TransferProgress& progress) override;
  void transferred(const TransferProgress& progress, std::string_view text) override;
  void step_started(const StepProgress& progress) override;
  void step_finished(const StepProgress& progress) override;
  void part_finished(const StepProgress& progress) override;
  void waiting(const StepProgress& progress) override;
  void step_failed(std::string_view label, std::string_view command, std::string_view output,
                   std::string_view log) override;

 private:
  using Clock = std::chrono::steady_clock;
  // A lasting line, behind a mark of our own that may be coloured.
  void line(std::string_view text, std::string_view mark = "");
  void overwrite(std::string_view text);  // the live line
  void clear();

  std::mutex mutex_;  // one over all calls
  int verbosity_;
  bool live_;
  bool color_;
  bool has_live_line_ = false;
  Clock::time_point last_transfer_{};
  Clock::time_point last_line_ = Clock::now();
  std::string last_what_;
  bool was_whole_ = false;
  TransferRate rate_;
};

}  // namespace sagebuild
