#include "sagebuild/exec/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "nodes.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

struct Running {
  NodeId node = kNoNode;
  std::string command;
  fs::path log;
  std::optional<ActionKey> key;
  ActionCache::Clock::time_point started_at;
  double started = 0;
  unsigned lane = 0;
  unsigned threads = 1;
};

class Scheduler {
 public:
  Scheduler(StepGraph graph, const ExecSettings& settings, Reporter& report)
      : settings_(settings), report_(report) {
    parts_ = graph.size();
    nodes_.add(std::move(graph), kNoNode, settings.history);
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
    if (!nodes_.all_done())
      throw Error(ErrorKind::bug, "some steps of the build never became ready");
    outcome_.wall_seconds = now();
    return std::move(outcome_);
  }

 private:
  struct Failure {
    std::string label, command, output, log;
  };

  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  const Step& step_of(const Running& running) const { return nodes_.at(running.node).step; }

  unsigned threads_for(NodeId id) const {
    return std::min(std::max(1U, settings_.limits.jobs), nodes_.at(id).step.threads);
  }
  std::uint64_t memory_for(NodeId id) const { return nodes_.at(id).step.expected_memory; }

  // Until enough of what runs has ended, as far as is known; nothing: there are enough now.
  std::optional<double> seconds_to_cores(NodeId id) const {
    unsigned taken = 0;
    std::multimap<double, unsigned> ends;
    for (const auto& [process, running] : running_) {
      taken += running.threads;
      ends.emplace(std::max(0.0, running.started + step_of(running).expected_seconds - now()),
                   running.threads);
    }
    std::optional<double> wait;
    for (auto end = ends.begin();
         end != ends.end() && taken + threads_for(id) > settings_.limits.jobs; ++end) {
      wait = end->first;
      taken -= end->second;
    }
    return wait;
  }

  bool has_memory(NodeId id) const {
    if (running_.empty()) return true;
    std::uint64_t taken = 0;
    for (const auto& [process, running] : running_) {
      if (alone_.contains(running.node)) return false;
      taken += memory_for(running.node);
    }
    if (alone_.contains(id)) return false;
    return settings_.limits.memory == 0 || taken + memory_for(id) <= settings_.limits.memory;
  }

  void start_what_fits() {
    while (failures_.empty()) {
      throw_if_interrupted();
      const auto next = nodes_.take_ready([&](NodeId id) { return seconds_to_cores(id); },
                                          [&](NodeId id) { return has_memory(id); });
      if (!next) return;
      start(*next);
    }
  }

  // The one boundary of a step: whatever its functions throw is its failure, but a signal and a bug
  // of ours end the build.
  template <class Work, class OnError>
  static void guarded(Work work, OnError on_error) {
    try {
      work();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (error.kind == ErrorKind::bug) throw;
      on_error(error);
    } catch (const std::exception& error) {
      on_error(Error(ErrorKind::failed, error.what()));
    }
  }

  // The step's own folder, with copies of what it reads: nobody else writes there.
  static void lay_out(const Step& step) {
    if (step.folder.empty()) return;
    make_empty_folder(step.folder);
    for (const StepInput& input : step.inputs) copy_content(input.from, step.folder / input.name);
  }

  void start(NodeId id) {
    Running running{
        id, "", "", std::nullopt, ActionCache::Clock::now(), now(), free_lane(), threads_for(id)};
    guarded([&] { begin(running); },
            [&](const Error& error) {
              failed(id, {nodes_.at(id).step.label, running.command, error.rendered(), ""},
                     error.message);
            });
  }

  void begin(Running& running) {
    const NodeId id = running.node;
    const Step& step = nodes_.at(id).step;
    lay_out(step);
    if (settings_.cache != nullptr && step.key) running.key = step.key();
    if (running.key && restored(step, *running.key)) return done(running, true, {});
    if (running.key && in_flight_.contains(running.key->digest())) {
      waiting_.emplace(running.key->digest(), id);  // what runs now will be its hit
      return;
    }
    if (step.expand) {
      if (auto graph = step.expand(nullptr)) {
        expanded_.insert_or_assign(id, std::move(running));
        return add_below(id, *std::move(graph));
      }
    }
    auto command = step.command ? step.command() : std::nullopt;
    if (!command) return accept(running, {});
    launch(*std::move(command), running);
  }

  bool restored(const Step& step, const ActionKey& key) {
    auto result = step.scope ? settings_.cache->lookup_by_files(key, *step.scope)
                             : settings_.cache->lookup(key);
    if (!result || !settings_.cache->materialize(*result, step.outputs)) return false;
    if (!result->diagnostics.empty()) report_.detail(result->diagnostics);
    return true;
  }

  void launch(Command command, Running& running) {
    if (command.log.empty()) command.log = settings_.logs / fmt::format("{:05}.log", running.node);
    running.command = shell_line(command.argv);
    running.log = command.log;
    const std::string& label = nodes_.at(running.node).step.label;
    if (running.key) in_flight_.insert(running.key->digest());
    running_.emplace(processes_.start(command), running);
    report_.step_started(progress(label));
  }

  void ended(Processes::Id process, const ProcessResult& result) {
    const Running running = std::move(running_.at(process));
    running_.erase(process);
    const ScopeExit wake([&] { wake_waiting(running); });
    std::uint64_t together = result.peak_memory;
    for (const auto& [other, state] : running_) together += memory_for(state.node);
    outcome_.peak_memory = std::max(outcome_.peak_memory, together);
    outcome_.cpu_seconds += result.cpu_seconds;
    const Step& step = step_of(running);
    if (result.killed_for_memory && alone_.insert(running.node).second) {
      report_.warning(fmt::format("'{}' was killed for memory at {}; it is run again, alone",
                                  step.label, human_size(result.peak_memory)));
      return nodes_.put_back(running.node);
    }
    if (!result.ok()) {
      std::string output;
      guarded([&] { output = read_file_if_exists(running.log).value_or(""); },
              [&](const Error& error) { output = error.rendered(); });
      return failed(
          running.node,
          {step.label, running.command, output + result.status_text(), running.log.string()},
          fmt::format("{}\n{}", result.status_text(), result.diagnostics));
    }
    guarded([&] { accept(running, result); },
            [&](const Error& error) {
              failed(running.node,
                     {step.label, running.command, result.diagnostics + error.rendered(),
                      running.log.string()},
                     error.message);
            });
  }

  // Steps with the key of one that ran are asked again, now that its result is there, or that there
  // is none.
  void wake_waiting(const Running& ended) {
    if (!ended.key) return;
    const Digest key = ended.key->digest();
    in_flight_.erase(key);
    const auto [first, last] = waiting_.equal_range(key);
    for (auto entry = first; entry != last; ++entry) {
      if (nodes_.at(entry->second).state == Node::State::started) nodes_.put_back(entry->second);
    }
    waiting_.erase(first, last);
  }

  // Exit 0: checked, stored, moved on.
  void accept(const Running& running, const ProcessResult& result) {
    const Step& step = step_of(running);
    if (step.check) step.check();
    if (running.key) store(running, result);
    if (!running.command.empty()) remember(running, result);
    if (result.diagnostics.empty() && !running.log.empty()) remove_path(running.log);
    done(running, false, result);
  }

  void remember(const Running& running, const ProcessResult& result) {
    const Step& step = step_of(running);
    // What a narrow run would have taken is what the next build is to weigh.
    const double seconds = running.threads > 1 ? result.cpu_seconds : result.wall_seconds;
    expected_ += step.expected_seconds;
    took_ += seconds;
    if (settings_.history == nullptr) return;
    settings_.history->put(step.kind, step.subject,
                           {result.cpu_seconds, seconds, result.peak_memory});
  }

  void store(const Running& running, const ProcessResult& process) {
    const Step& step = step_of(running);
    ActionResult result;
    result.diagnostics = process.diagnostics;
    result.cpu_seconds = process.cpu_seconds;
    result.wall_seconds = process.wall_seconds;
    result.peak_memory = process.peak_memory;
    if (!step.scope) {
      settings_.cache->store(*running.key, step.outputs, std::move(result));
    } else {
      const auto files = step.files_read ? step.files_read() : std::vector<fs::path>{};
      settings_.cache->store_by_files(*running.key, *step.scope, files, running.started_at,
                                      step.outputs, std::move(result));
    }
  }

  void done(const Running& running, bool cached, const ProcessResult& result) {
    const Step& step = step_of(running);
    if (step.finish) step.finish();
    outcome_.steps.push_back({step.kind, step.subject, step.label, cached, running.started, now(),
                              running.lane, result.cpu_seconds, result.peak_memory});
    for (NodeId above = nodes_.at(running.node).parent; above != kNoNode;
         above = nodes_.at(above).parent) {
      cpu_below_[above] += result.cpu_seconds;
    }
    const NodeId parent = nodes_.done(running.node);
    StepProgress event = progress(cached ? step.label + " (cached)" : step.label);
    event.seconds = now() - running.started;
    report_.step_finished(event);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(running.node).parent == kNoNode) part_done(running.node, result.cpu_seconds);
  }

  // The user thinks of sources and modules, not of what they are made of.
  void part_done(NodeId id, double cpu_seconds) {
    ++parts_done_;
    const Step& step = nodes_.at(id).step;
    StepProgress event = progress(cpu_seconds > 0 ? step.label : step.label + " (cached)");
    event.seconds = cpu_seconds;
    report_.part_finished(event);
  }

  void add_below(NodeId id, StepGraph graph) {
    const bool is_empty = graph.empty();
    nodes_.add(std::move(graph), id, settings_.history);
    if (is_empty) children_done(id);  // nothing is left to wait for
  }

  // All sub-steps are done, so the step itself is: it has outputs of its own to check and store.
  void children_done(NodeId id) {
    const Step& step = nodes_.at(id).step;
    std::optional<Error> refused;
    guarded(
        [&] {
          if (step.check) step.check();
          ProcessResult together;  // what a later hit saves is all that ran below
          together.cpu_seconds = cpu_below_[id];
          if (expanded_.at(id).key) store(expanded_.at(id), together);
          if (step.finish) step.finish();
        },
        [&](const Error& error) { refused = error; });
    if (refused)
      return another_way(id, {step.label, "", refused->rendered(), ""},
                         {step.kind, refused->message});
    const NodeId parent = nodes_.done(id);
    if (parent != kNoNode) children_done(parent);
    if (nodes_.at(id).parent == kNoNode) part_done(id, cpu_below_[id]);
  }

  // A sub-step's failure is its parent's business first: it may know another way.
  void failed(NodeId id, Failure failure, std::string reason) {
    const Node& node = nodes_.at(id);
    if (node.parent != kNoNode)
      return another_way(node.parent, std::move(failure), {node.step.kind, std::move(reason)});
    keep_log(failure);
    report_.step_failed(failure.label, failure.command, failure.output, failure.log);
    failures_.push_back(std::move(failure));
    tell_what_runs();
  }

  // What a step writes into its own folder goes with that folder.
  void keep_log(Failure& failure) const {
    if (!settings_.keeps_logs) failure.log.clear();
    if (failure.log.empty() || fs::path(failure.log).parent_path() == settings_.logs) return;
    const fs::path kept = settings_.logs / fmt::format("failed-{}.log", failures_.size() + 1);
    guarded([&] { copy_content(std::exchange(failure.log, kept.string()), kept); },
            [&](const Error&) { failure.log.clear(); });
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

  void another_way(NodeId id, Failure failure, const StepFailure& why) {
    const std::vector<NodeId> abandoned = nodes_.abandon_children(id);
    std::vector<Running> ended_early;
    std::erase_if(running_, [&](auto& entry) {
      const bool is_child = std::ranges::find(abandoned, entry.second.node) != abandoned.end();
      if (!is_child) return false;
      processes_.kill_now(entry.first);
      ended_early.push_back(std::move(entry.second));
      return true;
    });
    for (const Running& child : ended_early) wake_waiting(child);
    std::optional<StepGraph> graph;
    guarded([&] { graph = nodes_.at(id).step.expand(&why); },
            [&](const Error& error) { failure.output += "\n" + error.rendered(); });
    if (!graph) return failed(id, std::move(failure), why.reason);
    add_below(id, *std::move(graph));
  }

  void throw_if_failed() const {
    if (failures_.empty()) return;
    std::vector<std::string> causes;
    for (const Failure& failure : failures_)
      causes.push_back(fmt::format("'{}' failed", failure.label));
    throw Error(ErrorKind::failed,
                failures_.size() == 1
                    ? "a step of the build failed"
                    : fmt::format("{} steps of the build failed", failures_.size()),
                std::move(causes), "the whole output stands above", failures_.front().log);
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
      running_for.emplace(running.node, now() - running.started);
    return pace() * nodes_.seconds_left(running_for, settings_.limits.jobs);
  }

  void report_waiting() {
    const auto oldest = std::ranges::min_element(
        running_, {}, [](const auto& entry) { return entry.second.started; });
    const std::string& label = step_of(oldest->second).label;
    StepProgress event = progress(failures_.empty() ? label : "failed, waiting for " + label);
    event.seconds = now() - oldest->second.started;
    report_.waiting(event);
  }

  unsigned free_lane() const {
    std::set<unsigned> taken;
    for (const auto& [process, running] : running_) taken.insert(running.lane);
    unsigned lane = 0;
    while (taken.contains(lane)) ++lane;
    return lane;
  }

  ExecSettings settings_;
  Reporter& report_;
  Nodes nodes_;
  std::size_t parts_ = 0;  // steps of the graph that was given
  std::size_t parts_done_ = 0;
  std::set<NodeId> alone_;  // killed for memory once
  std::map<Processes::Id, Running> running_;
  std::map<NodeId, Running> expanded_;
  std::set<Digest> in_flight_;  // keys of what runs
  // Started, and waiting for the result of a step with the same key
  std::multimap<Digest, NodeId> waiting_;
  std::map<NodeId, double> cpu_below_;  // seconds of the sub-steps that were run
  double expected_ = 0;                 // seconds, of the processes that have ended
  double took_ = 0;
  std::vector<Failure> failures_;
  Processes processes_;
  ExecOutcome outcome_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

ExecOutcome execute(StepGraph graph, const ExecSettings& settings, Reporter& report) {
  make_folders(settings.logs);
  return Scheduler(std::move(graph), settings, report).run();
}

}  // namespace sagebuild
