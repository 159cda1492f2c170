#include "progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

double Progress::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void Progress::step_started(NodeId id) { report_.step_started(progress(step_of(id).label)); }

void Progress::process_ended(const ProcessResult& result) {
  outcome_.peak_memory =
      std::max(outcome_.peak_memory, result.peak_memory + running_.expected_memory());
  outcome_.cpu_seconds += result.cpu_seconds;
}

void Progress::step_done(NodeId id, const Attempt& attempt) {
  const Step& step = step_of(id);
  const bool cached = attempt.hit.has_value();
  const double cpu_seconds = attempt.result.cpu_seconds;
  if (!attempt.command.empty()) {
    expected_ += step.expected_seconds;
    took_ += attempt.result.wall_seconds;
  }
  outcome_.steps.push_back({step.stage, step.subject, step.label, cached, attempt.started, now(),
                            attempt.lane.value_or(0), cpu_seconds, attempt.result.peak_memory});
  for (NodeId above = nodes_.at(id).parent; above != kNoNode; above = nodes_.at(above).parent)
    cpu_below_[above] += cpu_seconds;
  StepProgress event = progress(cached ? step.label + " (cached)" : step.label);
  event.seconds = now() - attempt.started;
  report_.step_finished(event);
}

void Progress::part_done(NodeId id, double cpu_seconds) {
  ++parts_done_;
  const Step& step = step_of(id);
  StepProgress event = progress(cpu_seconds > 0 ? step.label : step.label + " (cached)");
  event.seconds = cpu_seconds;
  report_.part_finished(event);
}

double Progress::cpu_below(NodeId id) const {
  const auto known = cpu_below_.find(id);
  return known == cpu_below_.end() ? 0 : known->second;
}

void Progress::tell_what_is_waited_for(bool has_failed) const {
  std::optional<NodeId> oldest;
  for (const auto& [id, attempt] : attempts_)
    if (attempt.lane && (!oldest || attempt.started < attempts_.at(*oldest).started)) oldest = id;
  if (!oldest) return;
  const std::string& label = step_of(*oldest).label;
  StepProgress event = progress(has_failed ? "failed, waiting for " + label : label);
  event.seconds = now() - attempts_.at(*oldest).started;
  report_.waiting(event);
}

void Progress::tell_what_runs() const {
  if (running_.empty()) return;
  std::vector<std::string> labels;
  for (const NodeId node : running_.nodes())
    labels.push_back(fmt::format("'{}'", step_of(node).label));
  report_.warning(
      fmt::format("the build has failed, and waits for what still runs, so that it is kept: {}; "
                  "interrupt it to end at once",
                  join(labels, ", ")));
}

ExecOutcome Progress::outcome() {
  outcome_.wall_seconds = now();
  return std::move(outcome_);
}

StepProgress Progress::progress(std::string label) const {
  return {parts_done_, parts_, std::move(label), 0, seconds_left()};
}

double Progress::seconds_left() const {
  std::map<NodeId, double> running_for;
  for (const NodeId node : running_.nodes())
    running_for.emplace(node, now() - attempts_.at(node).started);
  return pace() * nodes_.seconds_left(running_for, jobs_);
}

// How long steps took against what was expected of them: another machine, or another load than
// last time. Some seconds have to be known before it says anything.
double Progress::pace() const {
  constexpr double kTrust = 20;
  return std::clamp((took_ + kTrust) / (expected_ + kTrust), 0.25, 4.0);
}

}  // namespace sagebuild
