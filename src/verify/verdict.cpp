#include "sagebuild/verify/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using How = GpuService::How;

struct Row {
  std::string stem;
  GpuService service;
  std::vector<GpuKernel> traps;
};

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

// "sm_80, sm_89 and 7 more"
std::string few(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 4;
  if (names.size() <= kShown + 1) return join(names, ", ");
  return fmt::format("{} and {} more", join({names.begin(), names.begin() + kShown}, ", "),
                     names.size() - kShown);
}

std::string lack_of(const Row& row) {
  const GpuService& service = row.service;
  if (service.served == 0) return fmt::format("{} has only {}", row.stem, few(service.present));
  return fmt::format("{} of {} sources in {} have no code for it",
                     service.containers - service.served, service.containers, row.stem);
}

GpuVerdict of_lacks(Arch gpu, const std::vector<Row>& rows) {
  std::vector<std::string> lacks;
  std::size_t whole = 0, some = 0;
  for (const Row& row : rows) {
    if (row.service.served < row.service.containers)
      lacks.push_back(lack_of(row));
    else
      ++whole;
    some += row.service.served != 0 ? 1U : 0U;
  }
  if (some == 0 && rows.size() > 1) {
    std::vector<std::string> present;
    for (const Row& row : rows)
      for (const std::string& name : row.service.present) add_once(present, name);
    return {gpu, "no", fmt::format("no module runs there: there is only {}", few(present))};
  }
  std::string reason = few(lacks);
  if (whole != 0) reason = fmt::format("{} of {} modules; {}", whole, rows.size(), reason);
  return {gpu, some == 0 ? "no" : "partly", reason};
}

GpuVerdict verdict_on(Arch gpu, const std::vector<Row>& rows) {
  const auto lacks = [](const Row& row) { return row.service.served < row.service.containers; };
  if (std::ranges::any_of(rows, lacks)) return of_lacks(gpu, rows);
  std::vector<std::string> traps, images, compiled;
  Version isa;
  for (const Row& row : rows) {
    if (!row.traps.empty())
      traps.push_back(fmt::format("{} of {} end{} in a trap there (it takes {})",
                                  counted(row.traps.size(), "kernel"), row.stem,
                                  row.traps.size() == 1 ? "s" : "", few(row.service.images)));
    for (const std::string& image : row.service.images)
      add_once(image.starts_with("compute_") ? compiled : images, image);
    isa = std::max(isa, row.service.ptx_isa);
  }
  if (!traps.empty()) return {gpu, "traps", few(traps)};
  if (!compiled.empty())
    return {gpu, "JIT",
            fmt::format("the driver compiles {} at first use; it must know CUDA {}", few(compiled),
                        cuda_of_isa(isa))};
  const auto is_own = [&](const std::string& name) {
    const std::string own = sm_name({gpu.major, gpu.minor});
    return name == own || (name.starts_with(own) && name.size() == own.size() + 1);
  };
  std::erase_if(images, is_own);
  return {gpu, "yes",
          images.empty() ? "machine code for it" : fmt::format("{} runs there", few(images))};
}

// What of the module counts on that GPU; nothing where it holds no GPU code.
std::optional<Row> row_of(const ModuleFacts& module, const Promise& promise, Arch gpu) {
  Row row{stem_of(module), service_of(module.gpu, gpu), {}};
  if (row.service.how == How::no_code) return std::nullopt;
  row.traps = wrong_traps(promise, row.stem, row.service, gpu);
  return row;
}

}  // namespace

std::vector<ModuleVerdicts> module_verdicts(const WheelFacts& wheel, const Promise& promise) {
  std::vector<ModuleVerdicts> all;
  for (const ModuleFacts& module : wheel.modules) {
    ModuleVerdicts verdicts{module.path, {}};
    for (const GpuGeneration& generation : gpu_generations()) {
      const Arch gpu = generation.capability;
      const auto row = row_of(module, promise, gpu);
      if (!row) continue;
      verdicts.gpus.push_back(must_serve(promise, row->stem, gpu)
                                  ? verdict_on(gpu, {*row})
                                  : GpuVerdict{gpu, "-", "it is not made for this GPU"});
    }
    if (!verdicts.gpus.empty()) all.push_back(std::move(verdicts));
  }
  return all;
}

std::vector<GpuVerdict> verdicts(const WheelFacts& wheel, const Promise& promise) {
  std::vector<GpuVerdict> all;
  for (const GpuGeneration& generation : gpu_generations()) {
    const Arch gpu = generation.capability;
    std::vector<Row> rows;
    std::vector<std::string> unwanted;
    for (const ModuleFacts& module : wheel.modules) {
      auto row = row_of(module, promise, gpu);
      if (!row) continue;
      if (must_serve(promise, row->stem, gpu))
        rows.push_back(std::move(*row));
      else
        unwanted.push_back(row->stem);
    }
    std::vector<std::string> missing;
    for (const auto& [name, is_needed] : missing_modules(wheel, promise, gpu))
      if (is_needed) missing.push_back(name);
    if (!rows.empty()) {
      GpuVerdict verdict = verdict_on(gpu, rows);
      if (!missing.empty() && verdict.word != "no")
        verdict = {gpu, "partly", fmt::format("it needs {}, which is missing", few(missing))};
      all.push_back(std::move(verdict));
    } else if (!unwanted.empty())
      all.push_back({gpu, "no",
                     unwanted.size() == 1 ? fmt::format("{} is not made for it", unwanted[0])
                                          : "no module is made for it"});
  }
  return all;
}

}  // namespace sagebuild
