#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/plan_json.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

// A local folder's path is this machine's business.
std::string address_of(const Checkout& checkout) {
  if (checkout.location.find("://") == std::string::npos ||
      checkout.location.starts_with("file://"))
    return std::string(kLocalSource);
  return (checkout.commit.empty() ? "" : "git+") + checkout.location;
}

const CompiledSource* compiled(const Provenance& provenance, const std::string& module,
                               const std::string& source) {
  const auto found = std::ranges::find_if(provenance.sources, [&](const CompiledSource& one) {
    return one.module == module && one.source == source;
  });
  return found == provenance.sources.end() ? nullptr : &*found;
}

Json json_of(const PlannedModule& module, const Provenance& provenance) {
  Json sources = Json::array();
  for (const PlannedSource& source : module.sources) {
    const std::string name = source.recorded.source.filename().string();
    Json row = {{"source", name}};
    if (source.recorded.language == Language::cuda) {
      row["targets"] = Json::array();
      for (const Target& target : source.targets) row["targets"].push_back(target_json(target));
    }
    if (const CompiledSource* how = compiled(provenance, module.name, name)) {
      row["headers"] = how->headers;
      row["parts"] = how->parts;
    }
    sources.push_back(std::move(row));
  }
  return {{"name", module.name}, {"file", module.output.string()}, {"sources", sources}};
}

Json external_parameters(const Provenance& provenance) {
  const BuildParameters& chosen = provenance.parameters;
  const Checkout& checkout = provenance.tree.checkout;
  Json told = {
      {"source",
       {{"uri", address_of(checkout)}, {"ref", checkout.ref}, {"subfolder", chosen.subfolder}}},
      {"recipe", provenance.recipe},
      {"archs", print(provenance.plan.archs)},
      {"headers", chosen.headers},
      {"compress", chosen.compression},
      {"platform", chosen.plain_platform ? "linux" : "auto"},
      {"patch", chosen.patch},
      {"parts", chosen.parts},
      {"assume_gpus", chosen.assume_gpus},
      {"allow_cpu", chosen.allow_cpu},
      {"variables", chosen.variables},
      {"source_date_epoch", chosen.source_date_epoch}};
  if (chosen.nvcc_flags) told["nvcc_flags"] = *chosen.nvcc_flags;
  return told;
}

Json internal_parameters(const Provenance& provenance) {
  Json rules = Json::array();
  for (const AppliedRule& rule : provenance.tree.rules) {
    rules.push_back(
        {{"id", rule.id}, {"file", rule.file}, {"why", rule.why}, {"replacements", rule.count}});
  }
  Json modules = Json::array();
  for (const PlannedModule& module : provenance.plan.modules)
    modules.push_back(json_of(module, provenance));
  return {
      {"rules", rules}, {"modules", modules}, {"left_out", left_out_json(provenance.plan.dropped)}};
}

Json source_material(const Checkout& checkout) {
  Json source = {{"name", "source"}, {"uri", address_of(checkout)}};
  if (!checkout.commit.empty()) source["digest"] = {{"gitCommit", checkout.commit}};
  source["annotations"] = {{"dirty", checkout.dirty}};
  return source;
}

Json package(const char* name, const std::string& version) {
  return {{"name", name},
          {"uri", fmt::format("pkg:pypi/{}@{}", name, replaced(version, "+", "%2B"))},
          {"annotations", {{"version", version}}}};
}

Json materials(const Provenance& provenance) {
  const PythonEnv& python = provenance.python;
  const Toolchain& tools = provenance.toolchain;
  Json rows = Json::array();
  rows.push_back(source_material(provenance.tree.checkout));
  rows.push_back(
      {{"name", "cuda"},
       {"uri", fmt::format("pkg:generic/cuda-toolkit@{}", tools.nvcc_build)},
       {"annotations", {{"version", tools.cuda.major_minor()}, {"build", tools.nvcc_build}}}});
  for (const auto& [name, digest] : provenance.tools) {
    Json row = {{"name", "tool " + name}, {"digest", {{"sha256", digest.hex()}}}};
    if (name == "host") row["annotations"] = {{"version", tools.host_version.text()}};
    rows.push_back(std::move(row));
  }
  rows.push_back({{"name", "python"},
                  {"uri", fmt::format("pkg:generic/cpython@{}", python_version(python))},
                  {"annotations", {{"tag", python.tag}, {"version", python_version(python)}}}});
  if (python.torch) rows.push_back(package("torch", python.torch->version));
  if (!python.setuptools.empty()) rows.push_back(package("setuptools", python.setuptools));
  return rows;
}

}  // namespace

std::string python_version(const PythonEnv& python) {
  const auto version = parse_version(python.version);
  return version ? version->major_minor() : python.version;
}

std::string provenance_json(const Provenance& provenance) {
  // No times and no invocation: the same inputs give the same bytes.
  const Json document = {{"sagebuild_schema", "sagebuild.provenance/2"},
                         {"buildDefinition",
                          {{"buildType", "urn:sagebuild:build:1"},
                           {"externalParameters", external_parameters(provenance)},
                           {"internalParameters", internal_parameters(provenance)},
                           {"resolvedDependencies", materials(provenance)}}},
                         {"runDetails",
                          {{"builder",
                            {{"id", "urn:sagebuild:builder:1"},
                             {"version", {{"sagebuild", provenance.sagebuild_version}}}}}}}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sagebuild
