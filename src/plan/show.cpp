#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/plan_json.hpp"
#include "sagebuild/plan/plan.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::array<std::string, 4>;

std::string expected(const SourceForecast& source) {
  if (source.cached) return "cached";
  std::string cost = "about " + human_time(source.cpu_seconds);
  if (source.parts > 1) cost += fmt::format(", in {} parts", source.parts);
  return source.reason.empty() ? cost : fmt::format("{}, {}: {}", cost, source.mode, source.reason);
}

// Why a module has the targets that it has, where the recipe says so: its name need not be theirs.
std::string reasons(const BuildPlan& plan) {
  std::string text;
  for (const PlannedModule& module : plan.modules) {
    const auto source =
        std::ranges::find_if(module.sources, [](const auto& one) { return !one.targets.empty(); });
    if (source == module.sources.end()) continue;
    for (const Target& target : source->targets) {
      if (target.reason.empty() || target.reason == kAskedFor) continue;
      text += fmt::format("  {} {}: {}\n", module.name, describe({target}), target.reason);
    }
  }
  return text.empty() ? "" : "why:\n" + text;
}

std::string totals(const BuildForecast& forecast) {
  const auto cached = std::ranges::count_if(forecast.sources, &SourceForecast::cached);
  std::string text =
      fmt::format("{}, {} cached", counted(forecast.sources.size(), "source"), cached);
  if (forecast.cpu_seconds > 0) {
    text += fmt::format("; at most {} of CPU time in {}, {} of memory",
                        human_time(forecast.cpu_seconds), human_time(forecast.wall_seconds),
                        human_size(forecast.peak_memory));
  }
  return text + "\n";
}

Json json_of_source(const PlannedSource& source) {
  Json targets = Json::array();
  for (const Target& target : source.targets) targets.push_back(target_json(target));
  return {{"source", source.recorded.source.string()},
          {"language", source.recorded.language == Language::cuda ? "cuda" : "c++"},
          {"standard", standard_of(source)},
          {"targets", targets}};
}

Json document_of(const BuildPlan& plan) {
  Json modules = Json::array();
  for (const PlannedModule& module : plan.modules) {
    Json sources = Json::array();
    for (const PlannedSource& source : module.sources) sources.push_back(json_of_source(source));
    modules.push_back({{"name", module.name},
                       {"output", module.output.string()},
                       {"sources", sources},
                       {"link", module.link}});
  }
  return {{"schema", "sagebuild.plan/2"},
          {"archs", print(plan.archs)},
          {"modules", modules},
          {"left_out", left_out_json(plan.dropped)},
          {"warnings", plan.warnings}};
}

std::string printed(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string table_of(const BuildPlan& plan, const BuildForecast& forecast) {
  std::vector<Row> rows = {{"module", "source", "targets", "expected"}};
  auto next = forecast.sources.begin();
  for (const PlannedModule& module : plan.modules) {
    for (const PlannedSource& source : module.sources) {
      rows.push_back(
          {module.name, source.recorded.source.filename().string(),
           source.recorded.language == Language::cuda ? describe(source.targets) : "host",
           expected(*next++)});
    }
  }
  std::array<std::size_t, 3> width{};
  for (const Row& row : rows)
    for (std::size_t column = 0; column < width.size(); ++column)
      width[column] = std::max(width[column], row[column].size());
  std::string text;
  for (const auto& [module, source, targets, cost] : rows)
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {}\n", module, width[0], source, width[1], targets,
                        width[2], cost);
  for (const DroppedModule& module : plan.dropped)
    text += fmt::format("{:<{}}  left out: {}\n", module.name, width[0], module.reason);
  text += reasons(plan) + totals(forecast);
  return forecast.wheel.empty() ? text : text + fmt::format("wheel: {}\n", forecast.wheel);
}

std::string json_of(const BuildPlan& plan) { return printed(document_of(plan)); }

std::string json_of(const BuildPlan& plan, const BuildForecast& forecast) {
  Json document = document_of(plan);
  auto next = forecast.sources.begin();
  for (Json& module : document["modules"]) {
    for (Json& source : module["sources"]) {
      const SourceForecast& expected = *next++;
      source["cached"] = expected.cached;
      source["mode"] = expected.mode;
      source["mode_reason"] = expected.reason;
      source["parts"] = expected.parts;
      source["cpu_seconds"] = expected.cpu_seconds;
    }
  }
  document["wheel"] = forecast.wheel;
  document["cpu_seconds"] = forecast.cpu_seconds;
  document["wall_seconds"] = forecast.wall_seconds;
  document["peak_memory"] = forecast.peak_memory;
  return printed(document);
}

}  // namespace sagebuild
