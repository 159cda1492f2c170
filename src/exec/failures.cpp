#include "failures.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

void Failures::add(Failure failure, Reporter& report) {
  keep_log(failure);
  report.step_failed(failure.label, failure.command, failure.output, failure.log);
  failures_.push_back(std::move(failure));
}

// What a step writes into its own folder goes with that folder.
void Failures::keep_log(Failure& failure) const {
  if (!settings_.keeps_logs) failure.log.clear();
  if (failure.log.empty() || fs::path(failure.log).parent_path() == settings_.logs) return;
  const fs::path kept = settings_.logs / fmt::format("failed-{}.log", failures_.size() + 1);
  guarded([&] { copy_content(std::exchange(failure.log, kept.string()), kept); },
          [&](const Error&) { failure.log.clear(); });
}

void Failures::throw_if_any() const {
  if (failures_.empty()) return;
  std::vector<std::string> causes;
  for (const Failure& failure : failures_)
    causes.push_back(fmt::format("'{}' failed", failure.label));
  throw Error(ErrorKind::failed,
              failures_.size() == 1 ? "a step of the build failed"
                                    : fmt::format("{} steps of the build failed", failures_.size()),
              std::move(causes), "the whole output stands above", failures_.front().log);
}

}  // namespace sagebuild
