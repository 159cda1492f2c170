#pragma once
// Steps run one after another: the smallest executor that keeps what model/step.hpp promises.

#include <fmt/format.h>

#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/step.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

struct StepRun {
  std::string kind;
  std::string label;
  bool hit = false;
  double cpu_seconds = 0;
  std::uint64_t peak_memory = 0;
};

class StepRunner {
 public:
  explicit StepRunner(ActionCache& cache) : cache_(cache) {}

  std::vector<StepRun> runs;  // of what had a command or a hit

  void run(const Step& step) {
    if (auto failure = try_step(step))
      throw Error(ErrorKind::failed, step.label + ": " + failure->reason, {failure->reason});
  }

  // How many processes of that kind ran.
  std::size_t count(std::string_view kind) const {
    std::size_t number = 0;
    for (const auto& run : runs) number += run.kind == kind && !run.hit ? 1U : 0U;
    return number;
  }

 private:
  std::optional<StepFailure> try_step(const Step& step) {
    const auto started = ActionCache::Clock::now();
    if (!step.folder.empty()) {
      make_empty_folder(step.folder);
      for (const auto& input : step.inputs) copy_content(input.from, step.folder / input.name);
    }
    const auto key = step.key ? step.key() : std::nullopt;
    if (key && restored(step, *key)) {
      runs.push_back({std::string(name_of(step.stage)), step.label, true});
      return finished(step);
    }
    ActionResult result;
    if (step.expand) {
      if (auto failure = expanded(step)) return failure;
    } else if (auto command = step.command ? step.command() : std::nullopt) {
      const auto process = sagebuild::run(*command);
      runs.push_back({std::string(name_of(step.stage)), step.label, false, process.cpu_seconds,
                      process.peak_memory});
      if (!process.ok())
        return StepFailure{step.stage, process.status_text() + "\n" + process.diagnostics};
      result.diagnostics = process.diagnostics;
    }
    try {
      if (step.check) step.check();
      if (key && step.scope)
        cache_.store_by_files(*key, *step.scope, step.files_read(), started, step.outputs, result);
      else if (key)
        cache_.store(*key, step.outputs, result);
    } catch (const Error& error) {
      return StepFailure{step.stage, error.rendered()};
    }
    return finished(step);
  }

  bool restored(const Step& step, const ActionKey& key) {
    const auto result = step.scope ? cache_.lookup_by_files(key, *step.scope) : cache_.lookup(key);
    return result && cache_.materialize(*result, step.outputs);
  }

  std::optional<StepFailure> finished(const Step& step) {
    try {
      if (step.finish) step.finish();
    } catch (const Error& error) {
      return StepFailure{step.stage, error.rendered()};
    }
    return std::nullopt;
  }

  // The sub-steps stand in an order that satisfies `after`.
  std::optional<StepFailure> expanded(const Step& step) {
    std::optional<StepFailure> failure;
    while (const auto graph = step.expand(failure ? &*failure : nullptr)) {
      failure.reset();
      for (const auto& sub : *graph) {
        failure = try_step(sub);
        if (failure) break;
      }
      if (!failure) return std::nullopt;
    }
    return failure.value_or(StepFailure{step.stage, "no way to do it"});
  }

  ActionCache& cache_;
};

}  // namespace sagebuild
