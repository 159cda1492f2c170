#include "sagebuild/exec/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;

class Scheduler {
 public:
  Scheduler(const StepGraph& graph, const Limits& limits, std::filesystem::path logs, Reporter& report)
      : graph_(graph),
        limits_(limits),
        logs_(std::move(logs)),
        report_(report),
        priority_(critical_path(graph)),
        waits_for_(graph.size()),
        followers_(graph.size()) {
    for (StepId id = 0; id < graph.size(); ++id) {
      waits_for_[id] = graph[id].after.size();
      for (const StepId earlier : graph[id].after) followers_[earlier].push_back(id);
      if (waits_for_[id] == 0) ready_.insert(id);
    }
  }

  ExecOutcome run() {
    while (true) {
      start_what_fits();
      if (running_.empty()) break;
      const auto finished = processes_.wait(std::chrono::seconds(1));
      if (interrupted() != 0) {
        processes_.stop_all();
        throw_if_interrupted();
      }
      if (finished)
        ended(finished->id, finished->result);
      else
        report_waiting();
    }
    throw_if_failed();
    if (outcome_.steps.size() != graph_.size()) throw Error(ErrorKind::bug, "the graph of steps has a circle");
    outcome_.wall_seconds = now();
    return std::move(outcome_);
  }

 private:
  struct Running {
    StepId step;
    double started;
    unsigned lane;
    std::filesystem::path log;
  };

  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  unsigned threads_running() const {
    unsigned sum = 0;
    for (const auto& [id, running] : running_) sum += graph_[running.step].threads;
    return sum;
  }

  std::uint64_t memory_running() const {
    std::uint64_t sum = 0;
    for (const auto& [id, running] : running_) sum += graph_[running.step].expected_memory;
    return sum;
  }

  bool fits(StepId id) const {
    if (running_.empty()) return true;
    if (alone_.contains(id) ||
        std::ranges::any_of(running_, [&](const auto& entry) { return alone_.contains(entry.second.step); })) {
      return false;
    }
    if (threads_running() + graph_[id].threads > limits_.jobs) return false;
    return limits_.memory == 0 || memory_running() + graph_[id].expected_memory <= limits_.memory;
  }

  // Longest chain first; a shorter one may pass where the first does not fit into memory.
  void start_what_fits() {
    while (failures_.empty() && !ready_.empty()) {
      throw_if_interrupted();
      std::vector<StepId> order(ready_.begin(), ready_.end());
      std::ranges::stable_sort(order, std::greater<>(), [&](StepId id) { return priority_[id]; });
      const auto next = std::ranges::find_if(order, [&](StepId id) { return fits(id); });
      if (next == order.end()) return;
      ready_.erase(*next);
      start(*next);
    }
  }

  void start(StepId id) {
    const Step& step = graph_[id];
    const double started = now();
    try {
      if (step.cached && step.cached()) return done({id, step.kind, step.subject, step.label, true, started, now()});
      auto command = step.command ? step.command() : std::nullopt;
      if (!command) {
        if (step.finish) step.finish({});
        return done({id, step.kind, step.subject, step.label, false, started, now()});
      }
      if (command->log.empty()) command->log = logs_ / fmt::format("{:04}.log", id);
      write_file(command->log, shell_line(command->argv) + "\n");
      Running running{id, started, free_lane(), command->log};
      commands_[id] = shell_line(command->argv);
      report_.step_started(progress(step.label));
      running_.emplace(processes_.start(*command), std::move(running));
    } catch (const Error& error) {
      failed(id, error.rendered(), "");
    }
  }

  void ended(Processes::Id process, const ProcessResult& result) {
    const Running running = running_.at(process);
    // What ran beside it counts for the peak, since all of it was there at once.
    std::uint64_t together = result.peak_memory;
    for (const auto& [other, state] : running_) {
      if (other != process) together += graph_[state.step].expected_memory;
    }
    outcome_.peak_memory = std::max(outcome_.peak_memory, together);
    outcome_.cpu_seconds += result.cpu_seconds;
    running_.erase(process);
    const StepId id = running.step;
    const Step& step = graph_[id];
    if (result.killed_for_memory && alone_.insert(id).second) {
      report_.warning(fmt::format("'{}' was killed for memory at {}; it is run again, alone", step.label,
                                  human_size(result.peak_memory)));
      ready_.insert(id);
      return;
    }
    const auto output = [&] {
      const std::string text = read_file_if_exists(running.log).value_or("");
      return text.substr(std::min(text.size(), commands_[id].size() + 1));
    };
    if (!result.ok()) return failed(id, fmt::format("{}{}", output(), result.status_text()), running.log.string());
    try {
      if (step.finish) step.finish(result);
    } catch (const Error& error) {
      return failed(id, output() + error.rendered(), running.log.string());
    }
    done({id, step.kind, step.subject, step.label, false, running.started, now(), running.lane, result.cpu_seconds,
          result.peak_memory});
  }

  void done(StepRecord record) {
    for (const StepId later : followers_[record.id]) {
      if (--waits_for_[later] == 0) ready_.insert(later);
    }
    const double seconds = record.ended - record.started;
    const std::string label = record.cached ? record.label + " (cached)" : record.label;
    outcome_.steps.push_back(std::move(record));
    StepProgress event = progress(label);
    event.seconds = seconds;
    report_.step_finished(event);
  }

  void failed(StepId id, std::string_view output, std::string log) {
    report_.step_failed(graph_[id].label, commands_[id], output, log);
    failures_.push_back({graph_[id].label, std::move(log)});
  }

  void throw_if_failed() const {
    if (failures_.empty()) return;
    std::vector<std::string> causes;
    for (const auto& failure : failures_) causes.push_back("'" + failure.first + "' failed");
    throw Error(ErrorKind::failed,
                failures_.size() == 1 ? "a step of the build failed"
                                      : fmt::format("{} steps of the build failed", failures_.size()),
                std::move(causes), "the whole output stands above", failures_.front().second);
  }

  StepProgress progress(const std::string& label) const {
    return {outcome_.steps.size(), graph_.size(), label, 0, seconds_left()};
  }

  void report_waiting() {
    const auto oldest = std::ranges::min_element(running_, {}, [](const auto& entry) { return entry.second.started; });
    StepProgress event = progress(graph_[oldest->second.step].label);
    event.seconds = now() - oldest->second.started;
    report_.waiting(event);
  }

  // What is left by expectation, corrected by how true the expectations were so far. At least the longest chain.
  double seconds_left() const {
    double expected_done = 0;
    double took = 0;
    std::vector<bool> is_done(graph_.size());
    for (const StepRecord& record : outcome_.steps) {
      is_done[record.id] = true;
      if (record.cached) continue;
      expected_done += graph_[record.id].expected_seconds;
      took += record.ended - record.started;
    }
    double left = 0;
    double longest = 0;
    for (StepId id = 0; id < graph_.size(); ++id) {
      if (is_done[id]) continue;
      left += graph_[id].expected_seconds;
      longest = std::max(longest, priority_[id]);
    }
    for (const auto& [process, running] : running_) {
      left -= std::min(graph_[running.step].expected_seconds, now() - running.started);
    }
    const double truth = expected_done > 5 ? took / expected_done : 1;
    return std::max(left / std::max(1U, limits_.jobs), running_.empty() ? longest : 0) * truth;
  }

  unsigned free_lane() const {
    std::set<unsigned> taken;
    for (const auto& [process, running] : running_) taken.insert(running.lane);
    unsigned lane = 0;
    while (taken.contains(lane)) ++lane;
    return lane;
  }

  const StepGraph& graph_;
  Limits limits_;
  std::filesystem::path logs_;
  Reporter& report_;
  std::vector<double> priority_;
  std::vector<std::size_t> waits_for_;
  std::vector<std::vector<StepId>> followers_;
  std::set<StepId> ready_;
  std::set<StepId> alone_;  // killed for memory once
  std::map<StepId, std::string> commands_;
  std::map<Processes::Id, Running> running_;
  std::vector<std::pair<std::string, std::string>> failures_;  // label, log
  Processes processes_;
  ExecOutcome outcome_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

std::vector<double> critical_path(const StepGraph& graph) {
  std::vector<std::vector<StepId>> followers(graph.size());
  for (StepId id = 0; id < graph.size(); ++id) {
    for (const StepId earlier : graph[id].after) followers[earlier].push_back(id);
  }
  std::vector<double> length(graph.size(), -1);
  // Depth first with a stack of its own: a graph can be deeper than the call stack likes.
  for (StepId root = 0; root < graph.size(); ++root) {
    std::vector<StepId> stack = {root};
    while (!stack.empty()) {
      const StepId id = stack.back();
      double longest = 0;
      bool complete = true;
      for (const StepId later : followers[id]) {
        if (length[later] < 0) {
          stack.push_back(later);
          complete = false;
          if (stack.size() > 2 * graph.size() + 2) throw Error(ErrorKind::bug, "the graph of steps has a circle");
        } else {
          longest = std::max(longest, length[later]);
        }
      }
      if (!complete) continue;
      length[id] = graph[id].expected_seconds + longest;
      stack.pop_back();
    }
  }
  return length;
}

ExecOutcome execute(const StepGraph& graph, const Limits& limits, const std::filesystem::path& logs, Reporter& report) {
  make_folders(logs);
  return Scheduler(graph, limits, logs, report).run();
}

}  // namespace sagebuild
