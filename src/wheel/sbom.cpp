#include "sbom.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

std::string package_url(std::string_view type, std::string_view name, const std::string& version) {
  return fmt::format("pkg:{}/{}@{}", type, name, replaced(version, "+", "%2B"));
}

Json component(const char* type, const std::string& name, const std::string& version,
               const std::string& url) {
  Json made = {{"type", type}, {"bom-ref", url}, {"name", name}};
  if (!version.empty()) made["version"] = version;
  if (url.starts_with("pkg:")) made["purl"] = url;
  return made;
}

Json wheel_component(const Provenance& provenance, const WheelName& name) {
  std::string package = lower(name.distribution);
  for (char& c : package)
    if (c == '_' || c == '.') c = '-';
  Json made =
      component("library", package, name.version, package_url("pypi", package, name.version));
  const Checkout& checkout = provenance.tree.checkout;
  if (checkout.location.find("://") != std::string::npos &&
      !checkout.location.starts_with("file://"))
    made["externalReferences"] = Json::array({{{"type", "vcs"}, {"url", checkout.location}}});
  if (!checkout.commit.empty())
    made["pedigree"] = {{"commits", Json::array({{{"uid", checkout.commit}}})}};
  made["properties"] = Json::array();
  for (const AppliedRule& rule : provenance.tree.rules)
    made["properties"].push_back({{"name", "sagebuild:rule"}, {"value", rule.id}});
  made["properties"].push_back(
      {{"name", "sagebuild:architectures"}, {"value", print(provenance.plan.archs)}});
  return made;
}

Json tool(const std::string& name, const std::string& version, const std::string& url) {
  Json made = component("application", name, version, url);
  made["scope"] = "excluded";  // it made the wheel, and is not needed to use it
  return made;
}

// The toolkit's and the host compiler's programs, by content.
void add_tools(const Provenance& provenance, Json& components) {
  const Toolchain& tools = provenance.toolchain;
  if (tools.nvcc_build.empty()) return;
  Json cuda = tool("cuda-toolkit", tools.nvcc_build,
                   package_url("generic", "cuda-toolkit", tools.nvcc_build));
  Json host = tool("host-compiler", tools.host_version.text(), "tool:host");
  for (const auto& [name, digest] : provenance.tools) {
    const Json hashes = Json::array({{{"alg", "SHA-256"}, {"content", digest.hex()}}});
    if (name == "host") {
      host["hashes"] = hashes;
      continue;
    }
    Json part = tool(name, "", "tool:" + name);
    part["hashes"] = hashes;
    cuda["components"].push_back(std::move(part));
  }
  components.push_back(std::move(cuda));
  components.push_back(std::move(host));
}

}  // namespace

std::string sbom_json(const Provenance& provenance, const WheelName& name) {
  const PythonEnv& python = provenance.python;
  const Json about = wheel_component(provenance, name);
  Json components = Json::array();
  Json needed = Json::array();
  if (python.torch) {
    Json torch = component("library", "torch", python.torch->version,
                           package_url("pypi", "torch", python.torch->version));
    torch["scope"] = "required";
    needed.push_back(torch["bom-ref"]);
    components.push_back(std::move(torch));
  }
  add_tools(provenance, components);
  if (!python.setuptools.empty())
    components.push_back(tool("setuptools", python.setuptools,
                              package_url("pypi", "setuptools", python.setuptools)));
  const Json maker = {
      {"type", "application"}, {"name", "sagebuild"}, {"version", provenance.sagebuild_version}};
  const Json depends = {{"ref", about["bom-ref"]}, {"dependsOn", needed}};
  const Json document = {
      {"$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
      {"bomFormat", "CycloneDX"},
      {"specVersion", "1.6"},
      {"version", 1},
      {"metadata", {{"tools", {{"components", Json::array({maker})}}}, {"component", about}}},
      {"components", components},
      {"dependencies", Json::array({depends})}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sagebuild
