#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/plan/plan.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

std::string row_text(const PlannedSource& source) {
  return source.recorded.language == Language::cuda ? describe(source.targets) : "host";
}

Json json_of_target(const Target& target) {
  Json codes = Json::array();
  if (target.sass) codes.push_back(sm_name(target.real));
  if (target.ptx) codes.push_back(compute_name(target.virtual_arch));
  return {{"arch", compute_name(target.virtual_arch)}, {"code", codes}, {"reason", target.reason}};
}

}  // namespace

std::string table_of(const BuildPlan& plan) {
  std::size_t module_width = 6;
  std::size_t source_width = 6;
  for (const PlannedModule& module : plan.modules) {
    module_width = std::max(module_width, module.name.size());
    for (const PlannedSource& source : module.sources) {
      source_width = std::max(source_width, source.recorded.source.filename().string().size());
    }
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  targets\n", "module", module_width, "source", source_width);
  for (const PlannedModule& module : plan.modules) {
    for (const PlannedSource& source : module.sources) {
      text += fmt::format("{:<{}}  {:<{}}  {}\n", module.name, module_width, source.recorded.source.filename().string(),
                          source_width, row_text(source));
    }
  }
  for (const DroppedModule& module : plan.dropped)
    text += fmt::format("{:<{}}  left out: {}\n", module.name, module_width, module.reason);
  return text;
}

std::string json_of(const BuildPlan& plan) {
  Json modules = Json::array();
  for (const PlannedModule& module : plan.modules) {
    Json sources = Json::array();
    for (const PlannedSource& source : module.sources) {
      Json targets = Json::array();
      for (const Target& target : source.targets) targets.push_back(json_of_target(target));
      sources.push_back({{"source", source.recorded.source.string()},
                         {"language", source.recorded.language == Language::cuda ? "cuda" : "c++"},
                         {"standard", source.cxx_standard},
                         {"targets", targets}});
    }
    modules.push_back(
        {{"name", module.name}, {"output", module.output.string()}, {"sources", sources}, {"link", module.link}});
  }
  Json dropped = Json::array();
  for (const DroppedModule& module : plan.dropped)
    dropped.push_back({{"name", module.name}, {"reason", module.reason}});
  const Json document = {{"schema", "sagebuild.plan/1"},
                         {"archs", print(plan.archs)},
                         {"modules", modules},
                         {"dropped", dropped},
                         {"warnings", plan.warnings}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sagebuild
