#include "sagebuild/app/wheel_edit.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "sagebuild/app/replacement.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/wheel/module_facts.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWriteTag = "write the tag: --platform-tag TAG";

[[noreturn]] void refuse_auto(const fs::path& file, const std::string& why) {
  throw Error(ErrorKind::usage,
              fmt::format("no platform tag can be found for '{}'", file.filename().string()), {why},
              kWriteTag);
}

// Throws Error{failed} with the entry that cannot be read.
std::vector<ModuleFacts> libraries_of(const WheelReader& wheel) {
  std::string entry;
  try {
    return libraries_in(wheel, [&](const std::string& name) {
      entry = name;
      return true;
    });
  } catch (const Error& error) {
    throw Error(error.kind,
                fmt::format("cannot read the library '{}' in '{}'", entry,
                            wheel.path().filename().string()),
                error.causes, kWriteTag);
  }
}

// "libfoo.so.1", "_k.pyd"
bool is_named_library(std::string_view entry) {
  const std::string_view name = file_name(entry);
  return name.ends_with(".so") || name.find(".so.") != std::string_view::npos ||
         name.ends_with(".pyd") || name.ends_with(".dll") || name.ends_with(".dylib");
}

// The machine that all libraries of a wheel for Linux with glibc are for.
std::string machine_of(const WheelReader& wheel, const std::vector<ModuleFacts>& modules,
                       const std::string& platform) {
  for (const std::string_view tag : split(platform, "."))
    if (!tag.starts_with("linux_") && !tag.starts_with("manylinux"))
      refuse_auto(wheel.path(), fmt::format("it is for {}, and not for Linux with glibc", tag));
  for (const WheelEntry& entry : wheel.entries())
    if (is_named_library(entry.name) &&
        std::ranges::find(modules, entry.name, &ModuleFacts::path) == modules.end())
      refuse_auto(wheel.path(), fmt::format("{} is no library for Linux", entry.name));
  std::string machine;
  for (const ModuleFacts& module : modules) {
    if (!module.is_linked) continue;
    const std::string name = elf_machine_name(module.machine);
    if (module.machine != EM_X86_64 && module.machine != EM_AARCH64)
      refuse_auto(wheel.path(), fmt::format("{} is for {}, and only x86_64 and aarch64 are known",
                                            module.path, name));
    if (!machine.empty() && machine != name)
      refuse_auto(wheel.path(),
                  fmt::format("{} is for {}, and others for {}", module.path, name, machine));
    machine = name;
  }
  if (machine.empty()) refuse_auto(wheel.path(), "it holds no library");
  return machine;
}

std::string lowest_tag(const WheelReader& wheel, const std::string& platform, Reporter& report) {
  const auto modules = libraries_of(wheel);
  const PlatformTag lowest = lowest_platform(modules, machine_of(wheel, modules, platform));
  if (!lowest.reason.empty())
    report.note(
        fmt::format("'{}' is {}: {}", wheel.path().filename().string(), lowest.tag, lowest.reason));
  return lowest.tag;
}

void warn_of_untrue_platform(const WheelReader& wheel, const std::string& platform,
                             Reporter& report) {
  const std::string file = wheel.path().filename().string();
  std::vector<ModuleFacts> modules;
  try {
    modules = libraries_of(wheel);
  } catch (const Error& error) {
    report.warning(
        fmt::format("'{}': whether {} is true is not known: {}", file, platform, error.message));
    return;
  }
  for (const std::string_view tag : split(platform, "."))
    if (const std::string why = untrue_reason(tag, modules); !why.empty())
      report.warning(fmt::format("'{}': {} is not true: {}", file, tag, why));
}

// "311" of "_k.cpython-311-x86_64-linux-gnu.so", "313t" of another build; empty: it does not say.
std::string python_of_module(std::string_view entry) {
  constexpr std::string_view kMark = ".cpython-";
  const auto at = entry.rfind(kMark);
  if (at == std::string_view::npos || !is_named_library(entry)) return "";
  const std::string_view rest = entry.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find_first_of("-.")));
}

// Modules say in their names which Python loads them. A wheel with modules for several promises
// more than one of its tags can say, so there only a tag of a Python that none is for is untrue.
void warn_of_untrue_python(const WheelReader& wheel, const WheelChange& change, Reporter& report) {
  std::set<std::string> abis, pythons;
  std::string example;
  for (const WheelEntry& entry : wheel.entries()) {
    const std::string python = python_of_module(entry.name);
    if (python.empty()) continue;
    abis.insert("cp" + python);
    pythons.insert("cp" + python.substr(0, python.find_first_not_of("0123456789")));
    example = entry.name;
  }
  if (abis.empty()) return;
  const auto warn = [&](const std::optional<std::string>& tags,
                        const std::set<std::string>& fitting) {
    if (!tags) return;
    for (const std::string_view tag : split(*tags, ".")) {
      const bool is_untrue = !fitting.contains(std::string(tag)) && tag != "none" &&
                             (tag.starts_with("cp") || fitting.size() == 1);
      if (is_untrue)
        report.warning(fmt::format("'{}': {} is not true: {} is for {}",
                                   wheel.path().filename().string(), tag, example,
                                   "cp" + python_of_module(example)));
    }
  };
  warn(change.python, pythons);
  warn(change.abi, abis);
}

// The change with the platform that "auto" stands for.
WheelChange settled(const fs::path& file, const WheelName& name, WheelChange change,
                    Reporter& report) {
  const WheelReader wheel(file);
  warn_of_untrue_python(wheel, change, report);
  if (change.platform == kAutoPlatform)
    change.platform = lowest_tag(wheel, name.platform, report);
  else if (change.platform)
    warn_of_untrue_platform(wheel, *change.platform, report);
  return change;
}

// Nothing for a wheel that is to have the name that it has.
std::optional<EditedWheel> planned(const fs::path& file, const WheelEdit& edit, Reporter& report) {
  if (!is_file(file))
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", file.string()), {},
                "name one or more wheels");
  const SoundWheel wheel = require_sound_wheel(file, throw_if_interrupted);
  const WheelName name = changed_name(wheel.name, settled(file, wheel.name, edit.change, report));
  if (name == wheel.name) return std::nullopt;
  const fs::path folder = edit.output.empty() ? file.parent_path() : edit.output;
  return EditedWheel{file, folder / name.file_name()};
}

void require_free(const EditedWheel& wheel, const WheelEdit& edit) {
  for (const fs::path& file : edit.files) {
    std::error_code none;
    if (fs::equivalent(file, wheel.to, none))
      throw Error(
          ErrorKind::usage,
          fmt::format("'{}' would take the place of '{}'", wheel.to.string(), file.string()),
          {"wheels that are named stay as they are"}, "give another folder with --output");
  }
  require_no_folder(wheel.to);
  if (edit.force || !path_exists(wheel.to)) return;
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
    const auto wheel = planned(file, edit, report);
    if (!wheel) {
      const std::string what = fmt::format("'{}' has that name already", file.string());
      if (edit.files.size() == 1) throw Error(ErrorKind::usage, what, {}, "nothing is to be done");
      report.note(what);
      continue;
    }
    require_free(*wheel, edit);
    if (!targets.insert(real_path_if_any(absolute_path(wheel->to))).second)
      throw Error(ErrorKind::usage, fmt::format("two wheels would be '{}'", wheel->to.string()), {},
                  "name one of them");
    wheels.push_back(*wheel);
  }
  for (const EditedWheel& wheel : wheels) {
    for (const std::string& note : rewrite_wheel(wheel.from, wheel.to, throw_if_interrupted))
      report.note(note);
  }
  return wheels;
}

}  // namespace sagebuild
