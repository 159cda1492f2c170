#include <nlohmann/json.hpp>

#include "sagebuild/model/plan_json.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const PlannedModule& module) {
  Json sources = Json::array();
  for (const PlannedSource& source : module.sources) {
    if (source.recorded.language != Language::cuda) continue;
    Json targets = Json::array();
    for (const Target& target : source.targets) targets.push_back(target_json(target));
    sources.push_back(
        {{"source", source.recorded.source.filename().string()}, {"targets", targets}});
  }
  return {{"name", module.name}, {"file", module.output.string()}, {"sources", sources}};
}

}  // namespace

std::string provenance_json(const Provenance& provenance) {
  const Checkout& checkout = provenance.tree.checkout;
  Json rules = Json::array();
  for (const AppliedRule& rule : provenance.tree.rules) {
    rules.push_back(
        {{"id", rule.id}, {"file", rule.file}, {"why", rule.why}, {"replacements", rule.count}});
  }
  Json modules = Json::array();
  for (const PlannedModule& module : provenance.plan.modules) modules.push_back(json_of(module));
  // A local folder's path is this machine's business.
  const bool is_url = checkout.location.find("://") != std::string::npos;
  Json document = {{"schema", "sagebuild.provenance/1"},
                   {"sagebuild", provenance.sagebuild_version},
                   {"recipe", provenance.recipe},
                   {"source",
                    {{"url", is_url ? checkout.location : ""},
                     {"ref", checkout.ref},
                     {"commit", checkout.commit},
                     {"dirty", checkout.dirty}}},
                   {"rules", rules},
                   {"archs", print(provenance.plan.archs)},
                   {"modules", modules},
                   {"left_out", left_out_json(provenance.plan.dropped)},
                   {"cuda",
                    {{"version", provenance.toolchain.cuda.major_minor()},
                     {"nvcc", provenance.toolchain.nvcc_build}}},
                   {"host_compiler", provenance.toolchain.host_version.text()},
                   {"python", provenance.python.tag},
                   {"torch", provenance.python.torch ? provenance.python.torch->version : ""}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sagebuild
