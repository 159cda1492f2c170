#include "sagebuild/app/wheel_edit.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/app/replacement.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/wheel/module_facts.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Of the wheel's libraries, which may be for another machine than this one.
std::string machine_of(const std::vector<ModuleFacts>& modules) {
  const auto is = [&](unsigned machine) {
    return std::ranges::any_of(modules, [&](const auto& one) { return one.machine == machine; });
  };
  if (is(EM_X86_64)) return "x86_64";
  if (is(EM_AARCH64)) return "aarch64";
  return machine_architecture();
}

void warn_of_untrue(const fs::path& file, const std::string& platform,
                    const std::vector<ModuleFacts>& modules, Reporter& report) {
  for (const std::string_view tag : split(platform, ".")) {
    const auto most = floors_of_platform(tag);
    if (!most) continue;
    for (const ModuleFacts& module : modules)
      if (!fits(module.floors, *most))
        report.warning(fmt::format("'{}': {} is not true of {}, which runs on {}",
                                   file.filename().string(), tag, module.path,
                                   distributions_for(module.floors)));
  }
}

// The change with the platform that "auto" stands for.
WheelChange settled(const fs::path& file, WheelChange change, Reporter& report) {
  if (!change.platform) return change;
  const auto modules = libraries_in(WheelReader(file));
  if (*change.platform != kAutoPlatform) {
    warn_of_untrue(file, *change.platform, modules, report);
    return change;
  }
  const PlatformTag lowest = lowest_platform(modules, machine_of(modules));
  if (!lowest.reason.empty())
    report.note(fmt::format("'{}' is {}: {}", file.filename().string(), lowest.tag, lowest.reason));
  change.platform = lowest.tag;
  return change;
}

EditedWheel planned(const fs::path& file, const WheelEdit& edit, Reporter& report) {
  if (!is_file(file))
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", file.string()), {},
                "name one or more wheels");
  const SoundWheel wheel = require_sound_wheel(file, throw_if_interrupted);
  const WheelName name = changed_name(wheel.name, settled(file, edit.change, report));
  if (name == wheel.name)
    throw Error(ErrorKind::usage, fmt::format("'{}' has that name already", file.string()), {},
                "nothing is to be done");
  const fs::path folder = edit.output.empty() ? file.parent_path() : edit.output;
  return {file, folder / name.file_name()};
}

void require_free(const EditedWheel& wheel, bool force) {
  require_no_folder(wheel.to);
  if (force || !path_exists(wheel.to)) return;
  throw Error(ErrorKind::usage, fmt::format("there is a file '{}'", wheel.to.string()), {},
              "--force replaces it; or give another folder with --output");
}

}  // namespace

std::vector<EditedWheel> edit_wheels(const WheelEdit& edit, Reporter& report) {
  // A label or a tag that is none is told before any wheel is read.
  WheelChange plain = edit.change;
  if (plain.platform == kAutoPlatform) plain.platform.reset();
  (void)changed_name({}, plain);
  std::vector<EditedWheel> wheels;
  std::set<fs::path> targets;
  for (const fs::path& file : edit.files) {
    wheels.push_back(planned(file, edit, report));
    require_free(wheels.back(), edit.force);
    if (!targets.insert(wheels.back().to).second)
      throw Error(ErrorKind::usage,
                  fmt::format("two wheels would be '{}'", wheels.back().to.string()), {},
                  "name one of them");
  }
  for (const EditedWheel& wheel : wheels) {
    for (const std::string& note : rewrite_wheel(wheel.from, wheel.to, throw_if_interrupted))
      report.note(note);
  }
  return wheels;
}

}  // namespace sagebuild
