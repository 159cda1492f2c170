#include "sagebuild/app/replacement.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/wheel/pack.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kProvenanceLimit = 10'000'000;  // bytes

Json provenance_of(const std::filesystem::path& wheel) {
  try {
    const WheelReader reader(wheel);
    const auto text = reader.read(reader.dist_info() + "/sagebuild.json", kProvenanceLimit);
    return parse_json(text).value.value_or(Json());
  } catch (const Error&) {
    return {};
  }
}

// Rules have their place and count in the file; which they are is what counts.
std::set<std::string> rule_ids(const Json& provenance) {
  std::set<std::string> ids;
  for (const Json& rule : provenance.at("rules")) ids.insert(rule.at("id").get<std::string>());
  return ids;
}

}  // namespace

std::optional<std::string> other_content(const std::filesystem::path& wheel,
                                         const Provenance& ours) {
  if (!path_exists(wheel)) return std::nullopt;
  const Json theirs = provenance_of(wheel);
  const Json mine = Json::parse(provenance_json(ours));
  try {
    if (theirs.at("archs") != mine.at("archs"))
      return fmt::format("it is for {}, this build for {}", theirs.at("archs").get<std::string>(),
                         print(ours.plan.archs));
    if (theirs.at("recipe") != mine.at("recipe") || rule_ids(theirs) != rule_ids(mine))
      return "it was built by another recipe or other rules";
  } catch (const Json::exception&) {
    return "it was not built by sagebuild";
  }
  return std::nullopt;
}

void require_replaceable(const std::filesystem::path& wheel, const Provenance& ours) {
  const auto other = other_content(wheel, ours);
  if (!other) return;
  throw Error(ErrorKind::usage, fmt::format("another wheel has the name '{}'", wheel.string()),
              {*other}, "--force replaces it; or give another folder with --output");
}

void require_no_folder(const std::filesystem::path& wheel) {
  if (is_link(wheel) || !is_folder(wheel)) return;
  throw Error(ErrorKind::usage,
              fmt::format("a folder has the name of the wheel: '{}'", wheel.string()), {},
              "remove it, or give another folder with --output");
}

}  // namespace sagebuild
