#include "sagebuild/model/plan_json.hpp"

#include <nlohmann/json.hpp>

namespace sagebuild {

using Json = nlohmann::ordered_json;

Json target_json(const Target& target) {
  Json code = Json::array();
  if (target.sass) code.push_back(sm_name(target.real));
  if (target.ptx) code.push_back(compute_name(target.virtual_arch));
  return {{"from", compute_name(target.virtual_arch)}, {"code", code}, {"reason", target.reason}};
}

Json left_out_json(const std::vector<DroppedModule>& modules) {
  Json rows = Json::array();
  for (const DroppedModule& module : modules)
    rows.push_back({{"name", module.name}, {"reason", module.reason}});
  return rows;
}

}  // namespace sagebuild
