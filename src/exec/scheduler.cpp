#include "sagebuild/exec/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "attempt.hpp"
#include "failures.hpp"
#include "in_process.hpp"
#include "nodes.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "twins.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

class Scheduler {
 public:
  Scheduler(StepGraph graph, const ExecSettings& settings, Reporter& report)
      : settings_(settings),
        report_(report),
        processes_(settings.processes == nullptr ? own_processes_.emplace() : *settings.processes),
        in_process_(settings.limits.jobs, [this] { processes_.wake(); }) {
    parts_ = graph.size();
    nodes_.add(std::move(graph), kNoNode, settings.history);
  }

  ExecOutcome run() {
    try {
      while (true) {
        start_what_fits();
        if (running_.empty() && in_process_.running() == 0) break;
        go_on_when_something_ends();
      }
    } catch (...) {
      processes_.stop_all();
      throw;
    }
    failures_.throw_if_any();
    if (!nodes_.all_done())
      throw Error(ErrorKind::bug, "some steps of the build never became ready");
    outcome_.wall_seconds = now();
    return std::move(outcome_);
  }

 private:
  using Need = Nodes::Need;

  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  const Step& step_of(NodeId id) const { return nodes_.at(id).step; }
  unsigned jobs() const { return std::max(1U, settings_.limits.jobs); }
  std::uint64_t memory_for(NodeId id) const { return step_of(id).expected_memory; }

  void go_on_when_something_ends() {
    const auto finished = processes_.wait(std::chrono::seconds(1));
    throw_if_interrupted();
    bool has_ended = finished.has_value();
    if (finished) process_ended(finished->id, finished->result);
    // One by one, since what becomes of one may give up another.
    while (const auto ended = in_process_.take_ended()) {
      work_ended(*ended);
      has_ended = true;
    }
    if (!has_ended) report_waiting();
  }

  // --- what may start ---

  Need need_of(NodeId id) const {
    const Step& step = step_of(id);
    if (!attempts_.contains(id) && wants_preparing(step, settings_)) return Need::worker;
    if (step.expand) return Need::nothing;
    return step.command ? Need::process : Need::worker;
  }

  bool has_core() const { return running_.size() + in_process_.running() < jobs(); }

  // One always may, beside whatever runs: by it is found what the cache has, and what waits for the
  // processes that have ended.
  bool has_worker() const { return in_process_.running() == 0 || has_core(); }

  bool has_memory(NodeId id) const {
    if (running_.empty()) return true;
    std::uint64_t taken = 0;
    for (const auto& [process, running] : running_) {
      if (alone_.contains(running)) return false;
      taken += memory_for(running);
    }
    if (alone_.contains(id)) return false;
    return settings_.limits.memory == 0 || taken + memory_for(id) <= settings_.limits.memory;
  }

  void start_what_fits() {
    while (true) {
      while (!to_accept_.empty() && has_worker()) {
        const NodeId id = to_accept_.front();
        to_accept_.pop_front();
        start_accepting(id);
      }
      if (!failures_.empty()) return;
      throw_if_interrupted();
      const auto next =
          nodes_.take_ready([&](NodeId id) { return need_of(id); }, [&] { return has_worker(); },
                            [&] { return has_core(); }, [&](NodeId id) { return has_memory(id); });
      if (!next) return;
      start(*next);
    }
  }

  // --- a step's way: prepared, run or expanded, accepted, done ---

  void start(NodeId id) {
    if (attempts_.contains(id)) return go_on(id);
    Attempt& attempt = attempts_[id];
    attempt.started = now();
    const Step& step = step_of(id);
    if (!wants_preparing(step, settings_)) return go_on(id);
    attempt.lane = free_lane();
    attempt.asked = twins_.ended();
    in_process_.start(id, [this, &step, &attempt] { prepare(step, settings_, attempt); });
  }

  void work_ended(const InProcess::Ended& ended) {
    const bool was_accepted = accepting_.erase(ended.node) > 0;
    std::optional<Error> error;
    guarded(
        [&] {
          if (ended.error) std::rethrow_exception(ended.error);
        },
        [&](const Error& thrown) { error = thrown; });
    if (was_accepted && error)
      refused(ended.node, *error);
    else if (was_accepted)
      accepted(ended.node);
    else if (error)
      failed_to_start(ended.node, *error);
    else
      prepared(ended.node);
  }

  void prepared(NodeId id) {
    Attempt& attempt = attempts_.at(id);
    if (attempt.hit) {
      if (!attempt.hit->diagnostics.empty()) report_.detail(attempt.hit->diagnostics);
      return done(id);
    }
    attempt.lane.reset();
    if (need_of(id) == Need::process || !failures_.empty()) return nodes_.put_back(id);
    go_on(id);
  }

  void failed_to_start(NodeId id, const Error& error) {
    failed(id, {step_of(id).label, attempts_.at(id).command, error.rendered(), ""}, error.message);
  }

  // What the cache does not have is made.
  void go_on(NodeId id) {
    const Step& step = step_of(id);
    const Attempt& attempt = attempts_.at(id);
    if (attempt.key) {
      const Digest key = attempt.key->digest();
      if (twins_.ended_since(key, attempt.asked)) return ask_again(id);
      if (twins_.runs(key)) return twins_.wait(key, id);  // what runs now will be its hit
    }
    guarded(
        [&] {
          if (step.expand) {
            if (auto graph = step.expand(nullptr)) return add_below(id, *std::move(graph));
          }
          auto command = step.command ? step.command() : std::nullopt;
          if (command)
            launch(id, *std::move(command));
          else
            to_accept(id);
        },
        [&](const Error& error) { failed_to_start(id, error); });
  }

  void ask_again(NodeId id) {
    attempts_.erase(id);
    nodes_.put_back(id);
  }

  void launch(NodeId id, Command command) {
    Attempt& attempt = attempts_.at(id);
    if (command.log.empty()) command.log = settings_.logs / fmt::format("{:05}.log", id);
    attempt.command = shell_line(command.argv);
    attempt.log = command.log;
    attempt.started = now();
    attempt.lane = free_lane();
    running_.emplace(processes_.start(command), id);
    if (attempt.key) twins_.begin(attempt.key->digest());
    report_.step_started(progress(step_of(id).label));
  }

  void process_ended(ProcessRunner::Id process, const ProcessResult& result) {
    const NodeId id = running_.at(process);
    running_.erase(process);
    std::uint64_t together = result.peak_memory;
    for (const auto& [other, running] : running_) together += memory_for(running);
    outcome_.peak_memory = std::max(outcome_.peak_memory, together);
    outcome_.cpu_seconds += result.cpu_seconds;
    Attempt& attempt = attempts_.at(id);
    attempt.result = result;
    if (result.ok()) return to_accept(id);
    key_ended(id);
    if (result.killed_for_memory && alone_.insert(id).second) {
      report_.warning(fmt::format("'{}' was killed for memory at {}; it is run again, alone",
                                  step_of(id).label, human_size(result.peak_memory)));
      return ask_again(id);
    }
    std::string output;
    guarded([&] { output = read_file_if_exists(attempt.log).value_or(""); },
            [&](const Error& error) { output = error.rendered(); });
    failed(
        id,
        {step_of(id).label, attempt.command, output + result.status_text(), attempt.log.string()},
        fmt::format("{}\n{}", result.status_text(), result.diagnostics));
  }

  // Steps with the key of one that ran are asked again, now that its result is there, or that there
  // is none.
  void key_ended(NodeId id) {
    const Attempt& attempt = attempts_.at(id);
    if (!attempt.key) return;
    for (const NodeId twin : twins_.end(attempt.key->digest()))
      if (nodes_.at(twin).state == Node::State::started) ask_again(twin);
  }

  void to_accept(NodeId id) {
    if (wants_accepting(step_of(id), settings_, attempts_.at(id)))
      to_accept_.push_back(id);
    else
      accepted(id);
  }

  void start_accepting(NodeId id) {
    Attempt& attempt = attempts_.at(id);
    const bool expanded = nodes_.at(id).state == Node::State::expanded;
    if (!attempt.lane && !expanded) attempt.lane = free_lane();
    accepting_.insert(id);
    in_process_.start(id,
                      [this, &step = step_of(id), &attempt] { accept(step, settings_, attempt); });
  }

  void accepted(NodeId id) {
    key_ended(id);
    if (nodes_.at(id).state == Node::State::expanded) return children_accepted(id);
    const Attempt& attempt = attempts_.at(id);
    if (!attempt.command.empty()) {
      expected_ += step_of(id).expected_seconds;
      took_ += attempt.result.wall_seconds;
    }
    done(id);
  }

  void refused(NodeId id, const Error& error) {
    key_ended(id);
    const Step& step = step_of(id);
    const Attempt& attempt = attempts_.at(id);
    if (nodes_.at(id).state == Node::State::expanded)
      return another_way(id, {step.label, "", error.rendered(), ""}, {step.stage, error.message});
    failed(id,
           {step.label, attempt.command, attempt.result.diagnostics + error.rendered(),
            attempt.log.string()},
           error.message);
  }

  void done(NodeId id) {
    const Step& step = step_of(id);
    const Attempt attempt = std::move(attempts_.at(id));
    attempts_.erase(id);
    const bool cached = attempt.hit.has_value();
    const double cpu_seconds = attempt.result.cpu_seconds;
    outcome_.steps.push_back({step.stage, step.subject, step.label, cached, attempt.started, now(),
                              attempt.lane.value_or(0), cpu_seconds, attempt.result.peak_memory});
    for (NodeId above = nodes_.at(id).parent; above != kNoNode; above = nodes_.at(above).parent)
      cpu_below_[above] += cpu_seconds;
    const NodeId parent = nodes_.done(id);
    StepProgress event = progress(cached ? step.label + " (cached)" : step.label);
    event.seconds = now() - attempt.started;
    report_.step_finished(event);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(id).parent == kNoNode) part_done(id, cpu_seconds);
  }

  // The user thinks of sources and modules, not of what they are made of.
  void part_done(NodeId id, double cpu_seconds) {
    ++parts_done_;
    const Step& step = step_of(id);
    StepProgress event = progress(cpu_seconds > 0 ? step.label : step.label + " (cached)");
    event.seconds = cpu_seconds;
    report_.part_finished(event);
  }

  // --- steps of many ---

  void add_below(NodeId id, StepGraph graph) {
    const bool is_empty = graph.empty();
    nodes_.add(std::move(graph), id, settings_.history);
    if (is_empty) children_done(id);  // nothing is left to wait for
  }

  // All sub-steps are done, so the step itself is: it has outputs of its own to check and store.
  void children_done(NodeId id) {
    attempts_.at(id).result.cpu_seconds = cpu_below_[id];  // what a later hit saves
    to_accept(id);
  }

  void children_accepted(NodeId id) {
    attempts_.erase(id);
    const NodeId parent = nodes_.done(id);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(id).parent == kNoNode) part_done(id, cpu_below_[id]);
  }

  // A sub-step's failure is its parent's business first: it may know another way.
  void failed(NodeId id, Failure failure, std::string reason) {
    failed(id, std::move(failure), {nodes_.at(id).step.stage, std::move(reason)});
  }

  // `why` is what the innermost step failed of.
  void failed(NodeId id, Failure failure, const StepFailure& why) {
    attempts_.erase(id);
    const NodeId parent = nodes_.at(id).parent;
    if (parent != kNoNode) return another_way(parent, std::move(failure), why);
    failures_.add(std::move(failure), report_);
    tell_what_runs();
  }

  // The build has failed, but not ended: minutes of compiling are not thrown away.
  void tell_what_runs() {
    if (running_.empty()) return;
    std::vector<std::string> labels;
    for (const auto& [process, running] : running_)
      labels.push_back(fmt::format("'{}'", step_of(running).label));
    report_.warning(
        fmt::format("the build has failed, and waits for what still runs, so that it is kept: {}; "
                    "interrupt it to end at once",
                    join(labels, ", ")));
  }

  // Nothing of the old way goes on when the step is asked for a new one: they share its state.
  void give_up_below(NodeId id) {
    const std::vector<NodeId> abandoned = nodes_.abandon_children(id);
    const auto is_abandoned = [&](NodeId node) {
      return std::ranges::find(abandoned, node) != abandoned.end();
    };
    std::erase_if(running_, [&](const auto& entry) {
      if (!is_abandoned(entry.second)) return false;
      processes_.kill_now(entry.first);
      return true;
    });
    std::erase_if(to_accept_, is_abandoned);
    in_process_.drop(abandoned);
    for (const NodeId node : abandoned) {
      accepting_.erase(node);
      if (!attempts_.contains(node)) continue;
      key_ended(node);
      attempts_.erase(node);
    }
  }

  void another_way(NodeId id, Failure failure, const StepFailure& why) {
    give_up_below(id);
    std::optional<StepGraph> graph;
    guarded([&] { graph = step_of(id).expand(&why); },
            [&](const Error& error) { failure.output += "\n" + error.rendered(); });
    if (!graph) return failed(id, std::move(failure), why);
    add_below(id, *std::move(graph));
  }

  StepProgress progress(std::string label) const {
    return {parts_done_, parts_, std::move(label), 0, seconds_left()};
  }

  // How long steps took against what was expected of them: another machine, or another load than
  // last time. Some seconds have to be known before it says anything.
  double pace() const {
    constexpr double kTrust = 20;
    return std::clamp((took_ + kTrust) / (expected_ + kTrust), 0.25, 4.0);
  }

  double seconds_left() const {
    std::map<NodeId, double> running_for;
    for (const auto& [process, running] : running_)
      running_for.emplace(running, now() - attempts_.at(running).started);
    return pace() * nodes_.seconds_left(running_for, settings_.limits.jobs);
  }

  void report_waiting() {
    std::optional<NodeId> oldest;
    for (const auto& [id, attempt] : attempts_)
      if (attempt.lane && (!oldest || attempt.started < attempts_.at(*oldest).started)) oldest = id;
    if (!oldest) return;
    const std::string& label = step_of(*oldest).label;
    StepProgress event = progress(failures_.empty() ? label : "failed, waiting for " + label);
    event.seconds = now() - attempts_.at(*oldest).started;
    report_.waiting(event);
  }

  unsigned free_lane() const {
    std::set<unsigned> taken;
    for (const auto& [id, attempt] : attempts_)
      if (attempt.lane) taken.insert(*attempt.lane);
    unsigned lane = 0;
    while (taken.contains(lane)) ++lane;
    return lane;
  }

  ExecSettings settings_;
  Reporter& report_;
  Nodes nodes_;
  std::size_t parts_ = 0;  // steps of the graph that was given
  std::size_t parts_done_ = 0;
  std::map<NodeId, Attempt> attempts_;           // at what was started and is not done
  std::map<ProcessRunner::Id, NodeId> running_;  // processes
  std::deque<NodeId> to_accept_;                 // whose process, or all below, has ended
  std::set<NodeId> accepting_;                   // of the work in this process; the rest prepares
  std::set<NodeId> alone_;                       // killed for memory once
  Twins twins_;
  std::map<NodeId, double> cpu_below_;  // seconds of the sub-steps that were run
  double expected_ = 0;                 // seconds, of the processes that have ended
  double took_ = 0;
  Failures failures_{settings_};
  ExecOutcome outcome_;
  Clock::time_point begin_ = Clock::now();
  std::optional<Processes> own_processes_;
  ProcessRunner& processes_;
  InProcess in_process_;  // the last: its threads use all of this
};

}  // namespace

ExecOutcome execute(StepGraph graph, const ExecSettings& settings, Reporter& report) {
  make_folders(settings.logs);
  return Scheduler(std::move(graph), settings, report).run();
}

}  // namespace sagebuild
