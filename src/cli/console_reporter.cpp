#include "sagebuild/cli/console_reporter.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/full_disk.hpp"
#include "cli/troubleshooting.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(60);
constexpr auto kTransferPause = std::chrono::milliseconds(200);
constexpr auto kTransferLine = std::chrono::seconds(15);  // where the line cannot overwrite itself
constexpr std::size_t kWideLine = 160;

std::string counted(const StepProgress& progress) {
  const auto width = std::to_string(progress.total).size();
  return fmt::format("[{:>{}}/{}] {}", progress.done, width, progress.total, progress.label);
}

std::string left(const StepProgress& progress) {
  if (progress.seconds_left < 0) return "";
  if (progress.seconds_left < 60) return ", under a minute left";
  return fmt::format(", about {:.0f} min left", progress.seconds_left / 60);
}

}  // namespace

ConsoleReporter::ConsoleReporter(int verbosity, bool live, bool color)
    : verbosity_(verbosity), live_(live), color_(color) {}
ConsoleReporter::~ConsoleReporter() { clear(); }

void ConsoleReporter::clear() {
  if (has_live_line_) std::fputs("\r\033[K", stderr);
  has_live_line_ = false;
}

void ConsoleReporter::overwrite(std::string_view text) {
  if (verbosity_ < 0) return;
  const std::string shown =
      shortened_in_middle(printable(redacted(text)), terminal_width(STDERR_FILENO) - 1);
  std::fputs(fmt::format("\r{}\033[K", shown).c_str(), stderr);
  std::fflush(stderr);
  has_live_line_ = true;
}

void ConsoleReporter::line(std::string_view text, std::string_view mark) {
  clear();
  std::fputs(std::string(mark).c_str(), stderr);
  // Not fmt::print, which throws: a full disk behind standard error ends no build.
  std::fputs((printable(redacted(text)) + "\n").c_str(), stderr);
  last_line_ = Clock::now();
}

void ConsoleReporter::stage(std::string_view text) {
  const std::lock_guard lock(mutex_);
  log_line(text);
  if (verbosity_ >= 0) line(text);
}

void ConsoleReporter::note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  log_line(text);
  if (verbosity_ >= 0) line(fmt::format("  {}", text));
}

void ConsoleReporter::warning(std::string_view text) {
  const std::lock_guard lock(mutex_);
  log_line(fmt::format("warning: {}", text));
  line(fmt::format(" {}", text), color_ ? "\033[33mwarning:\033[0m" : "warning:");
}

void ConsoleReporter::detail(std::string_view text) {
  const std::lock_guard lock(mutex_);
  log_line(text);
  if (verbosity_ > 0) line(fmt::format("  {}", text));
}

void ConsoleReporter::transfer(const TransferProgress& progress) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const bool is_new = progress.what != last_what_;
  const bool is_whole = progress.done == progress.total && progress.total > 0;
  // The end is always seen, once.
  const bool is_due = is_new || is_whole != was_whole_ ||
                      now - last_transfer_ >= (live_ ? kTransferPause : kTransferLine);
  if (!is_due) return;
  rate_.add(now, progress.done);
  last_transfer_ = now;
  last_what_ = progress.what;
  was_whole_ = is_whole;
  if (live_)
    overwrite(transfer_line(progress, rate_.per_second(), terminal_width(STDERR_FILENO) - 1));
  else if (!is_new && !is_whole && verbosity_ >= 0)  // short ones say nothing where a line stays
    line("  " + transfer_line(progress, rate_.per_second(), kWideLine));
}

void ConsoleReporter::transferred(const TransferProgress& progress, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const std::string shown =
      fmt::format("[{}/{}] {}", progress.objects_done, progress.objects_total, text);
  log_line(shown);
  if (!live_ && verbosity_ >= 0) line("  " + shown);
}

void ConsoleReporter::step_started(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  if (live_) overwrite(counted(progress) + left(progress));
}

void ConsoleReporter::step_finished(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  const std::string text = fmt::format("{}  {}", counted(progress), human_time(progress.seconds));
  log_line(progress.seconds_left < 0
               ? text
               : fmt::format("{}, {} left", text, human_time(progress.seconds_left)));
  if (live_ && verbosity_ <= 0)
    overwrite(text + left(progress));
  else if (verbosity_ > 0)
    line(text);
}

void ConsoleReporter::part_finished(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  if (live_ || verbosity_ != 0) return;  // the live line says it, and with -v each step has its own
  line(progress.seconds > 0
           ? fmt::format("{}  {} of CPU time", counted(progress), human_time(progress.seconds))
           : counted(progress));
}

void ConsoleReporter::waiting(const StepProgress& progress) {
  const std::lock_guard lock(mutex_);
  if (live_) {
    overwrite(
        fmt::format("{}  {}{}", counted(progress), human_time(progress.seconds), left(progress)));
  } else if (verbosity_ >= 0 && Clock::now() - last_line_ >= kHeartbeat) {
    line(fmt::format("{}  running for {}{}", counted(progress), human_time(progress.seconds),
                     left(progress)));
  }
}

void ConsoleReporter::step_failed(std::string_view label, std::string_view command,
                                  std::string_view output, std::string_view log) {
  const std::lock_guard lock(mutex_);
  std::string text = fmt::format("failed: {}\n", label);
  if (!command.empty()) text += fmt::format("  {}\n", command);
  text += output;
  while (text.ends_with('\n')) text.pop_back();
  if (!log.empty()) text += fmt::format("\n  log: {}", log);
  if (const auto full = full_disk_hint(output)) text += fmt::format("\n  {}", *full);
  if (const std::string page = trouble_page(output); !page.empty())
    text += fmt::format("\n  see {}", page);
  log_line(text);
  line(text);
}

}  // namespace sagebuild
