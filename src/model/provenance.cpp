#include "sagebuild/model/provenance.hpp"

#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// None of these throws: others may have written it.
const json& at(const json& document, const char* pointer) {
  static const json kNothing;
  const json::json_pointer place(pointer);
  return document.contains(place) ? document.at(place) : kNothing;
}

std::string text_at(const json& document, const char* pointer) {
  const json& value = at(document, pointer);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool switch_at(const json& document, const char* pointer, bool otherwise) {
  const json& value = at(document, pointer);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::vector<std::string> texts_at(const json& document, const char* pointer) {
  std::vector<std::string> texts;
  for (const json& value : at(document, pointer))
    if (value.is_string()) texts.push_back(value.get<std::string>());
  return texts;
}

// Of an array's objects, so that strings and numbers in it are passed over.
std::vector<json> rows_at(const json& document, const char* pointer) {
  std::vector<json> rows;
  const json& value = at(document, pointer);
  if (!value.is_array()) return rows;
  for (const json& row : value)
    if (row.is_object()) rows.push_back(row);
  return rows;
}

// Both shapes have rules and modules alike, in other places.
void read_made(const json& place, StatedProvenance& stated) {
  for (const json& rule : rows_at(place, "/rules")) stated.rules.push_back(text_at(rule, "/id"));
  for (const json& row : rows_at(place, "/modules")) {
    StatedProvenance::Module& module = stated.modules.emplace_back();
    module.name = text_at(row, "/name");
    for (const json& part : rows_at(row, "/sources")) {
      StatedProvenance::Source& source = module.sources.emplace_back();
      source.name = text_at(part, "/source");
      source.headers = text_at(part, "/headers");
      for (const json& target : rows_at(part, "/targets"))
        for (std::string& code : texts_at(target, "/code")) source.code.push_back(std::move(code));
    }
  }
}

void read_flat(const json& document, StatedProvenance& stated) {
  stated.sagebuild = text_at(document, "/sagebuild");
  stated.recipe = text_at(document, "/recipe");
  stated.url = text_at(document, "/source/url");
  stated.ref = text_at(document, "/source/ref");
  stated.commit = text_at(document, "/source/commit");
  stated.dirty = switch_at(document, "/source/dirty", false);
  stated.archs = text_at(document, "/archs");
  stated.cuda = text_at(document, "/cuda/version");
  stated.python = text_at(document, "/python");
  stated.torch = text_at(document, "/torch");
  read_made(document, stated);
}

void read_parameters(const json& external, BuildParameters& parameters) {
  if (const std::string headers = text_at(external, "/headers"); !headers.empty())
    parameters.headers = headers;
  if (const std::string told = text_at(external, "/compress"); !told.empty())
    parameters.compression = told;
  parameters.plain_platform = text_at(external, "/platform") == "linux";
  parameters.parts = switch_at(external, "/parts", true);
  parameters.patch = switch_at(external, "/patch", true);
  parameters.assume_gpus = switch_at(external, "/assume_gpus", false);
  parameters.allow_cpu = switch_at(external, "/allow_cpu", false);
  parameters.subfolder = text_at(external, "/source/subfolder");
  parameters.variables = texts_at(external, "/variables");
  if (at(external, "/nvcc_flags").is_array())
    parameters.nvcc_flags = texts_at(external, "/nvcc_flags");
  const json& date = at(external, "/source_date_epoch");
  if (date.is_number_integer()) parameters.source_date_epoch = date.get<std::int64_t>();
}

void read_material(const json& row, StatedProvenance& stated) {
  const std::string name = text_at(row, "/name");
  const std::string version = text_at(row, "/annotations/version");
  const std::string digest = text_at(row, "/digest/sha256");
  if (name == "source") {
    stated.commit = text_at(row, "/digest/gitCommit");
    stated.dirty = switch_at(row, "/annotations/dirty", false);
  } else if (!name.empty()) {
    stated.materials[name] = digest.empty() ? version : digest;
  }
  if (name == "cuda") stated.cuda = version;
  if (name == "python") stated.python = text_at(row, "/annotations/tag");
  if (name == "torch") stated.torch = version;
}

void read_slsa(const json& document, StatedProvenance& stated) {
  const json& external = at(document, "/buildDefinition/externalParameters");
  stated.sagebuild = text_at(document, "/runDetails/builder/version/sagebuild");
  stated.recipe = text_at(external, "/recipe");
  const std::string url = text_at(external, "/source/uri");
  std::string_view address = url;
  take_prefix(address, "git+");
  if (address != kLocalSource) stated.url = address;
  stated.ref = text_at(external, "/source/ref");
  stated.archs = text_at(external, "/archs");
  read_parameters(external, stated.parameters);
  read_made(at(document, "/buildDefinition/internalParameters"), stated);
  for (const json& row : rows_at(document, "/buildDefinition/resolvedDependencies"))
    read_material(row, stated);
}

}  // namespace

std::optional<StatedProvenance> read_provenance(std::string_view text) {
  const auto document = parse_json(text).value;
  if (!document || !document->is_object()) return std::nullopt;
  StatedProvenance stated;
  if (document->contains("buildDefinition"))
    read_slsa(*document, stated);
  else
    read_flat(*document, stated);
  return stated;
}

}  // namespace sagebuild
