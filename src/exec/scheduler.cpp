#include "sagebuild/exec/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>
#include <utility>

#include "attempt.hpp"
#include "failures.hpp"
#include "in_process.hpp"
#include "nodes.hpp"
#include "progress.hpp"
#include "running.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/signals.hpp"
#include "twins.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

class Scheduler {
 public:
  Scheduler(StepGraph graph, const ExecSettings& settings, Reporter& report)
      : settings_(settings),
        report_(report),
        running_(nodes_, settings.limits.memory),
        progress_(nodes_, attempts_, running_, settings.limits.jobs, graph.size(), report),
        processes_(settings.processes == nullptr ? own_processes_.emplace() : *settings.processes),
        in_process_(settings.limits.jobs, [this] { processes_.wake(); }) {
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
    return progress_.outcome();
  }

 private:
  using Need = Nodes::Need;

  const Step& step_of(NodeId id) const { return nodes_.at(id).step; }
  unsigned jobs() const { return std::max(1U, settings_.limits.jobs); }

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
    if (!has_ended) progress_.tell_what_is_waited_for(!failures_.empty());
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

  void start_what_fits() {
    while (true) {
      while (!to_accept_.empty() && has_worker()) {
        const NodeId id = to_accept_.front();
        to_accept_.pop_front();
        start_accepting(id);
      }
      if (!failures_.empty()) return;
      throw_if_interrupted();
      const auto next = nodes_.take_ready([&](NodeId id) { return need_of(id); },
                                          [&] { return has_worker(); }, [&] { return has_core(); },
                                          [&](NodeId id) { return running_.has_memory_for(id); });
      if (!next) return;
      start(*next);
    }
  }

  // --- a step's way: prepared, run or expanded, accepted, done ---

  void start(NodeId id) {
    if (attempts_.contains(id)) return go_on(id);
    Attempt& attempt = attempts_[id];
    attempt.started = progress_.now();
    const Step& step = step_of(id);
    if (!wants_preparing(step, settings_)) return go_on(id);
    attempt.lane = free_lane(attempts_);
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
    attempt.started = progress_.now();
    attempt.lane = free_lane(attempts_);
    running_.add(processes_.start(command), id);
    if (attempt.key) twins_.begin(attempt.key->digest());
    progress_.step_started(id);
  }

  void process_ended(ProcessRunner::Id process, const ProcessResult& result) {
    const NodeId id = running_.take(process);
    progress_.process_ended(result);
    Attempt& attempt = attempts_.at(id);
    attempt.result = result;
    if (result.ok()) return to_accept(id);
    key_ended(id);
    if (result.killed_for_memory && running_.set_alone(id)) {
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
    if (!attempt.lane && !expanded) attempt.lane = free_lane(attempts_);
    accepting_.insert(id);
    in_process_.start(id,
                      [this, &step = step_of(id), &attempt] { accept(step, settings_, attempt); });
  }

  void accepted(NodeId id) {
    key_ended(id);
    if (nodes_.at(id).state == Node::State::expanded) return children_accepted(id);
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
    const Attempt attempt = std::move(attempts_.at(id));
    attempts_.erase(id);
    const NodeId parent = nodes_.done(id);
    progress_.step_done(id, attempt);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(id).parent == kNoNode) progress_.part_done(id, attempt.result.cpu_seconds);
  }

  // --- steps of many ---

  void add_below(NodeId id, StepGraph graph) {
    const bool is_empty = graph.empty();
    nodes_.add(std::move(graph), id, settings_.history);
    if (is_empty) children_done(id);  // nothing is left to wait for
  }

  // All sub-steps are done, so the step itself is: it has outputs of its own to check and store.
  void children_done(NodeId id) {
    attempts_.at(id).result.cpu_seconds = progress_.cpu_below(id);  // what a later hit saves
    to_accept(id);
  }

  void children_accepted(NodeId id) {
    attempts_.erase(id);
    const NodeId parent = nodes_.done(id);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(id).parent == kNoNode) progress_.part_done(id, progress_.cpu_below(id));
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
    progress_.tell_what_runs();
  }

  // Nothing of the old way goes on when the step is asked for a new one: they share its state.
  void give_up_below(NodeId id) {
    const std::vector<NodeId> abandoned = nodes_.abandon_children(id);
    const auto is_abandoned = [&](NodeId node) {
      return std::ranges::find(abandoned, node) != abandoned.end();
    };
    for (const ProcessRunner::Id process : running_.take_all_of(abandoned))
      processes_.kill_now(process);
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

  ExecSettings settings_;
  Reporter& report_;
  Nodes nodes_;
  Attempts attempts_;  // at what was started and is not done
  Running running_;
  Progress progress_;
  std::deque<NodeId> to_accept_;  // whose process, or all below, has ended
  std::set<NodeId> accepting_;    // of the work in this process; the rest prepares
  Twins twins_;
  Failures failures_{settings_};
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
