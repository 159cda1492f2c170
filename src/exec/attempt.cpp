#include "attempt.hpp"

#include <set>

#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// The step's own folder, with copies of what it reads: nobody else writes there.
void lay_out(const Step& step) {
  if (step.folder.empty()) return;
  make_empty_folder(step.folder);
  for (const StepInput& input : step.inputs) copy_content(input.from, step.folder / input.name);
}

std::optional<ActionResult> restored(const Step& step, const ActionKey& key, ActionCache& cache) {
  auto result = step.scope ? cache.lookup_by_files(key, *step.scope) : cache.lookup(key);
  if (!result || !cache.materialize(*result, step.outputs)) return std::nullopt;
  return result;
}

void store(const Step& step, ActionCache& cache, const Attempt& attempt) {
  ActionResult result;
  result.diagnostics = attempt.result.diagnostics;
  result.cpu_seconds = attempt.result.cpu_seconds;
  result.wall_seconds = attempt.result.wall_seconds;
  result.peak_memory = attempt.result.peak_memory;
  if (!step.scope) {
    cache.store(*attempt.key, step.outputs, std::move(result));
    return;
  }
  const auto files = step.files_read ? step.files_read() : std::vector<fs::path>{};
  cache.store_by_files(*attempt.key, *step.scope, files, attempt.keyed_at, step.outputs,
                       std::move(result));
}

}  // namespace

unsigned free_lane(const Attempts& attempts) {
  std::set<unsigned> taken;
  for (const auto& [id, attempt] : attempts)
    if (attempt.lane) taken.insert(*attempt.lane);
  unsigned lane = 0;
  while (taken.contains(lane)) ++lane;
  return lane;
}

bool wants_preparing(const Step& step, const ExecSettings& settings) {
  return !step.folder.empty() || (settings.cache != nullptr && step.key);
}

void prepare(const Step& step, const ExecSettings& settings, Attempt& attempt) {
  attempt.keyed_at = ActionCache::Clock::now();
  lay_out(step);
  if (settings.cache == nullptr || !step.key) return;
  attempt.key = step.key();
  if (!attempt.key) return;
  attempt.hit = restored(step, *attempt.key, *settings.cache);
  if (attempt.hit && step.finish) step.finish();
}

bool wants_accepting(const Step& step, const ExecSettings& settings, const Attempt& attempt) {
  const bool costs = settings.history != nullptr && !attempt.command.empty();
  return step.check || step.finish || attempt.key || costs || !attempt.log.empty();
}

void accept(const Step& step, const ExecSettings& settings, const Attempt& attempt) {
  if (step.check) step.check();
  if (attempt.key) store(step, *settings.cache, attempt);
  if (!attempt.command.empty() && settings.history != nullptr)
    settings.history->put(
        name_of(step.stage), step.subject,
        {attempt.result.cpu_seconds, attempt.result.wall_seconds, attempt.result.peak_memory});
  if (attempt.result.diagnostics.empty() && !attempt.log.empty()) remove_path(attempt.log);
  if (step.finish) step.finish();
}

}  // namespace sagebuild
