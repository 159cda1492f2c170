#include "sagebuild/app/replacement.hpp"

#include <fmt/format.h>

#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/model/provenance.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/wheel/pack.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

constexpr std::uint64_t kProvenanceLimit = 10'000'000;  // bytes

std::optional<StatedProvenance> provenance_of(const std::filesystem::path& wheel) {
  try {
    const WheelReader reader(wheel);
    return read_provenance(reader.read(reader.dist_info() + "/sagebuild.json", kProvenanceLimit));
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Rules have their place and count in the file; which they are is what counts.
std::set<std::string> rule_ids(const StatedProvenance& stated) {
  return {stated.rules.begin(), stated.rules.end()};
}

}  // namespace

std::vector<std::filesystem::path> wheels_called(const std::filesystem::path& folder,
                                                 const WheelName& name) {
  std::vector<std::filesystem::path> wheels;
  for (const auto& path : entries_if_readable(folder)) {
    auto there = parse_wheel_name(path.filename().string());
    // One for another system or machine is no other choice here.
    if (!there || there->platform.find("linux") == std::string::npos ||
        !there->platform.ends_with("_" + machine_architecture()))
      continue;
    there->platform = name.platform;
    if (*there == name) wheels.push_back(path);
  }
  return wheels;
}

std::optional<std::string> other_content(const std::filesystem::path& wheel,
                                         const Provenance& ours) {
  if (!path_exists(wheel)) return std::nullopt;
  const auto theirs = provenance_of(wheel);
  if (!theirs || theirs->archs.empty()) return "it was not built by sagebuild";
  const StatedProvenance mine = read_provenance(provenance_json(ours)).value();
  if (theirs->archs != mine.archs)
    return fmt::format("it is for {}, this build for {}", theirs->archs, mine.archs);
  if (theirs->recipe != mine.recipe || rule_ids(*theirs) != rule_ids(mine))
    return "it was built by another recipe or other rules";
  return std::nullopt;
}

std::vector<std::filesystem::path> replaceable_wheels(const std::filesystem::path& folder,
                                                      const WheelName& name, const Provenance& ours,
                                                      bool force) {
  std::vector<std::filesystem::path> wheels = wheels_called(folder, name);
  for (const auto& wheel : wheels) {
    require_no_folder(wheel);
    const auto other = force ? std::nullopt : other_content(wheel, ours);
    if (other)
      throw Error(ErrorKind::usage, fmt::format("another wheel has the name '{}'", wheel.string()),
                  {*other}, "--force replaces it; or give another folder with --output");
  }
  return wheels;
}

void remove_others(const std::vector<std::filesystem::path>& wheels,
                   const std::filesystem::path& wheel, Reporter& report) {
  for (const auto& one : wheels) {
    if (one.filename() == wheel.filename()) continue;
    remove_path(one);
    report.note(fmt::format("'{}' is replaced: its platform tag is another", one.string()));
  }
}

void require_no_folder(const std::filesystem::path& wheel) {
  if (is_link(wheel) || !is_folder(wheel)) return;
  throw Error(ErrorKind::usage,
              fmt::format("a folder has the name of the wheel: '{}'", wheel.string()), {},
              "remove it, or give another folder with --output");
}

}  // namespace sagebuild
