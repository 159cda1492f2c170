#include "sagebuild/app/rebuild.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "app/build_parameters.hpp"
#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

SourceSpec source_of(const StatedProvenance& stated, const RebuildSettings& settings) {
  const std::string& place = settings.source.empty() ? stated.url : settings.source;
  if (place.empty())
    throw Error(ErrorKind::usage, "the wheel's provenance names no address of its source",
                {"it was built from a folder or an archive of its builder's machine"},
                "--source FOLDER or URL says where the source is");
  // A folder with changes is not its commit.
  const std::string ref = stated.dirty ? "" : stated.commit.empty() ? stated.ref : stated.commit;
  SourceSpec source = read_source(place, ref, stated.parameters.subfolder);
  source.offline = settings.offline;
  return source;
}

std::string name_of_variable(const std::string& variable) {
  return variable.substr(0, variable.find('='));
}

// In the order of the provenance, which is part of its bytes.
std::vector<std::string> variables_of(const StatedProvenance& stated,
                                      const RebuildSettings& settings) {
  std::vector<std::string> given = settings.variables;
  std::vector<std::string> variables;
  for (const std::string& told : stated.parameters.variables) {
    const auto found = std::ranges::find(given, name_of_variable(told), name_of_variable);
    if (found != given.end()) {
      variables.push_back(*found);
      given.erase(found);
      continue;
    }
    if (told.find('=') == std::string::npos && !environment_value(told))
      throw Error(
          ErrorKind::usage,
          fmt::format("the build was given the variable {}, whose value is not known", told),
          {"a provenance has no values that may be secrets or paths"},
          fmt::format("--env {}=VALUE", told));
    variables.push_back(told);  // a name alone: its value in the environment
  }
  std::ranges::move(given, std::back_inserter(variables));
  return variables;
}

void require_same_date(const StatedProvenance& stated) {
  const std::int64_t then = stated.parameters.source_date_epoch;
  if (then < 0 || then == source_date_epoch()) return;
  throw Error(ErrorKind::usage,
              fmt::format("the wheel was built with SOURCE_DATE_EPOCH={}, and now it is {}", then,
                          source_date_epoch()),
              {}, fmt::format("SOURCE_DATE_EPOCH={} sagebuild verify --rebuild ...", then));
}

// nvcc reads them itself: with others it is another build.
void require_same_nvcc_flags(const StatedProvenance& stated) {
  if (!stated.parameters.nvcc_flags) return;
  for (const std::string name : kNvccFlagVariables) {
    const auto found = std::ranges::find(*stated.parameters.nvcc_flags, name, name_of_variable);
    const std::string then = found == stated.parameters.nvcc_flags->end() ? "" : *found;
    const auto value = environment_value(name);
    const std::string now = value ? name + "=" + *value : "";
    const bool is_untold = then == name;  // its value may be a path
    if (then == now || (is_untold && value)) continue;
    throw Error(ErrorKind::usage,
                fmt::format("the wheel was built with {}, and now there is {}",
                            then.empty() ? "no " + name : then, now.empty() ? "none" : now),
                {},
                then.empty() ? "unset " + name
                             : fmt::format("{}='{}' sagebuild verify --rebuild ...", name,
                                           is_untold ? "as its builder had it"
                                                     : then.substr(name.size() + 1)));
  }
}

Compression compression_of(const BuildParameters& told) {
  if (const auto known = compression_named(told.compression)) return *known;
  throw Error(
      ErrorKind::usage,
      fmt::format("the wheel was built with --compress {}, which this sagebuild does not know",
                  told.compression),
      {}, "take the sagebuild that built it");
}

std::map<std::string, std::string> digests_of(const fs::path& wheel) {
  const WheelReader reader(wheel);
  std::map<std::string, std::string> digests;
  for (std::size_t i = 0; i < reader.entries().size(); ++i) {
    Sha256 hash;
    reader.stream(i, [&](std::string_view piece) {
      hash.update(piece);
      throw_if_interrupted();
    });
    digests[reader.entries()[i].name] = hash.finish().hex();
  }
  return digests;
}

std::vector<std::string> reasons_of(const StatedProvenance& then, const StatedProvenance& now) {
  std::vector<std::string> reasons;
  const auto compare = [&](const std::string& what, const std::string& old,
                           const std::string& present) {
    if (old != present)
      reasons.push_back(fmt::format("{}: {} then, {} now", what, old.empty() ? "none" : old,
                                    present.empty() ? "none" : present));
  };
  compare("sagebuild", then.sagebuild, now.sagebuild);
  compare("commit", then.commit, now.commit);
  compare("variables", join(then.parameters.variables, " "), join(now.parameters.variables, " "));
  auto all = then.materials;
  all.insert(now.materials.begin(), now.materials.end());
  for (const auto& [name, unused] : all) {
    const auto of = [&](const StatedProvenance& one) {
      const auto found = one.materials.find(name);
      return found == one.materials.end() ? std::string() : found->second.substr(0, 16);
    };
    compare(name, of(then), of(now));
  }
  return reasons;
}

void require_free(const fs::path& wheel) {
  if (is_there(wheel))
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is there, and --output would replace it", wheel.string()), {},
                "name another folder for the second wheel");
}

void keep(const fs::path& wheel, const fs::path& folder) {
  make_folders(folder);
  require_free(folder / wheel.filename());
  copy_whole(wheel, folder / wheel.filename());
}

}  // namespace

BuildSettings settings_for_rebuild(const StatedProvenance& stated, RebuildSettings settings) {
  require_same_date(stated);
  require_same_nvcc_flags(stated);
  const BuildParameters& told = stated.parameters;
  BuildSettings build;
  build.source = source_of(stated, settings);
  build.told_source = ToldSource{stated.url, stated.ref};
  build.recipe = stated.recipe;
  if (!settings.recipe.empty()) build.recipe = settings.recipe;
  build.recipe_file = settings.recipe_file;
  build.archs = {stated.archs, "its provenance", false};
  build.python = settings.python;
  if (!build.python.path) {
    if (build.python.python.empty()) build.python.python = python_of_tag(stated.python);
    if (const auto torch = parse_version(stated.torch)) build.python.torch = torch->text();
    build.python.cuda = stated.cuda;
  }
  build.toolchain = settings.toolchain;
  if (const auto cuda = parse_version(stated.cuda); cuda && !build.toolchain.cuda_home)
    build.toolchain.cuda = *cuda;
  build.setup_variables = variables_of(stated, settings);
  const auto headers = header_choice_named(told.headers);
  build.headers = headers.value_or(HeaderChoice::automatic);
  build.compression = compression_of(told);
  build.plain_platform = told.plain_platform;
  build.parts = told.parts;
  build.patch = told.patch;
  build.assume_gpus = told.assume_gpus;
  build.allow_cpu = told.allow_cpu;
  build.limits = settings.limits;
  build.cache = std::move(settings.cache);
  build.force = true;
  build.unverified = true;  // the bytes are what counts
  return build;
}

std::vector<std::string> differences_of(const fs::path& one, const fs::path& other) {
  std::vector<std::string> differences;
  if (sha256_file(one) == sha256_file(other)) return differences;
  const auto first = digests_of(one);
  const auto second = digests_of(other);
  for (const auto& [name, digest] : first) {
    const auto found = second.find(name);
    if (found == second.end())
      differences.push_back(name + " is in the first alone");
    else if (found->second != digest)
      differences.push_back(name + " differs");
  }
  for (const auto& [name, digest] : second)
    if (!first.contains(name)) differences.push_back(name + " is in the second alone");
  if (differences.empty())
    differences.emplace_back("every file is the same, and packed in another way");
  return differences;
}

RebuildOutcome rebuild_wheel(RebuildSettings settings, Reporter& report) {
  const SoundWheel wheel = require_sound_wheel(settings.wheel, throw_if_interrupted);
  const auto stated = wheel.provenance ? read_provenance(*wheel.provenance) : std::nullopt;
  if (!stated || stated->archs.empty())
    throw Error(ErrorKind::usage,
                fmt::format("'{}' does not say how it was built", settings.wheel.string()), {},
                "only wheels that sagebuild made can be built again");
  const fs::path first = settings.wheel;
  const fs::path kept = settings.output;
  if (!kept.empty()) require_free(kept / first.filename());
  // Beside no other wheel: what is compared is not replaced.
  const TempDir folder;
  BuildSettings build = settings_for_rebuild(*stated, std::move(settings));
  build.output = folder.path();
  const fs::path second = sagebuild::build(std::move(build), report).wheel.path;
  if (!kept.empty()) keep(second, kept);
  RebuildOutcome outcome;
  outcome.wheel = second.filename().string();
  outcome.sha256 = sha256_file(first).hex();
  outcome.differences = differences_of(first, second);
  if (outcome.wheel != first.filename().string())
    outcome.differences.insert(outcome.differences.begin(),
                               fmt::format("the second is called '{}'", outcome.wheel));
  if (outcome.is_same()) return outcome;
  const SoundWheel made = require_sound_wheel(second, throw_if_interrupted);
  if (const auto now = read_provenance(made.provenance.value_or("")))
    outcome.reasons = reasons_of(*stated, *now);
  return outcome;
}

}  // namespace sagebuild
