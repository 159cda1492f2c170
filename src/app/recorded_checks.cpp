#include "sagebuild/app/recorded_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

bool is_switch_name(std::string_view text) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  return text.size() > 2 && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

// Whether the text between two quotes is what a line asks the environment for: environ["X"],
// getenv('X'), "X" in environ.
bool is_asked(std::string_view before, std::string_view behind) {
  before = trimmed(before);
  return before.ends_with('(') || before.ends_with('[') || trimmed(behind).starts_with("in ");
}

struct Switch {
  std::optional<std::string> value;  // what its line compares with, if that is plain
  std::string where;                 // empty: not in the text of setup.py
};
using Switches = std::map<std::string, Switch>;

// "TRUE" of `os.getenv("X", "FALSE") == "TRUE":`; `behind` is what follows the name.
std::optional<std::string> compared_value(std::string_view behind) {
  auto at = behind.find("==");
  if (at == std::string_view::npos) return std::nullopt;
  behind = trimmed(behind.substr(at + 2));
  if (!behind.starts_with('"') && !behind.starts_with('\'')) return std::nullopt;
  at = behind.find(behind.front(), 1);
  const std::string_view value = behind.substr(1, at == std::string_view::npos ? 0 : at - 1);
  if (value.empty() || value.find_first_of(" $`\\\"'") != std::string_view::npos)
    return std::nullopt;
  return std::string(value);
}

// Those that a run never came to are here, too.
Switches switches_in(const std::string& setup_py) {
  Switches switches;
  int number = 0;
  for (const auto line : lines_of(std::string_view(setup_py))) {
    ++number;
    if (line.find("environ") == std::string_view::npos &&
        line.find("getenv") == std::string_view::npos)
      continue;
    for (auto start = line.find_first_of("\"'"); start != std::string_view::npos;) {
      const auto end = line.find(line[start], start + 1);
      if (end == std::string_view::npos) break;
      const auto name = line.substr(start + 1, end - start - 1);
      if (is_switch_name(name) && is_asked(line.substr(0, start), line.substr(end + 1))) {
        switches.emplace(name,
                         Switch{compared_value(line.substr(end + 1)),
                                fmt::format("line {} of setup.py: {}", number, trimmed(line))});
      }
      start = line.find_first_of("\"'", end + 1);
    }
  }
  return switches;
}

// The variables that setup.py looks at and that have no value, or another than its text asks for;
// but for those that say nothing of what is built.
Switches unset_switches(const RecordedBuild& recorded, const fs::path& project,
                        const Environment& passed) {
  auto switches = switches_in(read_file_if_exists(project / "setup.py").value_or(""));
  for (const std::string& name : recorded.variables) switches.emplace(name, Switch{});
  const Environment base = clean_environment();
  std::erase_if(switches, [&](const auto& entry) {
    const std::string& name = entry.first;
    const auto given = passed.find(name);
    // "1" is no help where the text wants "TRUE".
    const bool is_on =
        given != passed.end() && entry.second.value.value_or(given->second) == given->second;
    return is_on || base.contains(name) || is_own_variable(name) || !is_switch_name(name);
  });
  return switches;
}

// Throws MESSAGE with the switches as causes and in the hint; `otherwise` is the rest of the hint.
[[noreturn]] void fail(std::string message, std::vector<std::string> causes,
                       const Switches& switches, const std::string& otherwise) {
  std::vector<std::string> names;
  for (const auto& [name, found] : switches) {
    names.push_back(name);
    if (!found.where.empty()) causes.push_back(found.where);
  }
  std::string hint = otherwise;
  if (!names.empty()) {
    const auto forcing = std::ranges::find_if(
        names, [](const std::string& name) { return name.find("FORCE") != std::string::npos; });
    const std::string& first = forcing == names.end() ? names.front() : *forcing;
    hint = fmt::format("setup.py looks at {}: try --env {}={}; {}", join(names, ", "), first,
                       switches.at(first).value.value_or("1"), otherwise);
  }
  throw Error(ErrorKind::failed, std::move(message), std::move(causes), std::move(hint));
}

[[noreturn]] void fail_uncompiled(const RecordedBuild& recorded, const Switches& switches) {
  const WheelReader wheel(recorded.wheel);
  for (const WheelEntry& entry : wheel.entries()) {
    if (!entry.name.ends_with(".so")) continue;
    fail("setup.py of the project made a wheel without compiling",
         {fmt::format("it holds '{}', for architectures that nobody asked for", entry.name)},
         switches, "setup.py took a ready wheel, and its text says when it does not");
  }
  fail("setup.py of the project compiles no extension module", {}, switches,
       "sagebuild is for packages with CUDA extensions; for others `pip wheel` is enough");
}

bool takes_version_from_git(const fs::path& project) {
  std::string text;
  for (const char* file : {"setup.py", "setup.cfg", "pyproject.toml"})
    text += read_file_if_exists(project / file).value_or("");
  constexpr std::array<std::string_view, 5> kSigns = {"setuptools_scm", "setuptools-scm",
                                                      "use_scm_version", "versioneer", "describe"};
  return std::ranges::any_of(
      kSigns, [&](std::string_view sign) { return text.find(sign) != std::string::npos; });
}

}  // namespace

std::string joined_hints(std::string first, const std::string& second) {
  return first.empty() || second.empty() ? first + second : first + "; " + second;
}

std::string hint_of_own_arch_list(const fs::path& project, const Environment& passed,
                                  const ArchList& archs) {
  for (const auto& [name, _] : unset_switches({}, project, passed)) {
    if (name.find("ARCH") == std::string::npos) continue;
    return fmt::format("setup.py looks at {}: try --env {}=\"{}\", separated as its text wants it",
                       name, name, print(archs));
  }
  return "";
}

std::string hint_of_asked_gpu(const fs::path& project, const Environment& passed) {
  if (passed.contains(kGpusVariable)) return "";
  constexpr std::array kQuestions = {"cuda.is_available", "cuda.device_count", "cuda.get_device_"};
  const std::string text = read_file_if_exists(project / "setup.py").value_or("");
  int number = 0;
  for (const auto line : lines_of(std::string_view(text))) {
    ++number;
    if (std::ranges::any_of(kQuestions, [&](const char* question) {
          return line.find(question) != std::string_view::npos;
        }))
      return fmt::format(
          "line {} of setup.py asks for a GPU: --assume-gpus tells it of those that --arch names",
          number);
  }
  return "";
}

bool has_device_code(const RecordedModule& module) {
  return std::ranges::any_of(module.sources, [](const RecordedSource& source) {
    return source.language == Language::cuda;
  });
}

void require_device_code(const RecordedBuild& recorded, const fs::path& project,
                         const Environment& passed, bool allow_cpu) {
  const bool has_code = std::ranges::any_of(recorded.modules, has_device_code);
  if (has_code || (allow_cpu && !recorded.modules.empty())) return;
  const auto switches = unset_switches(recorded, project, passed);
  if (recorded.modules.empty()) fail_uncompiled(recorded, switches);
  fail("no module of this package has a CUDA source",
       {fmt::format("setup.py compiles '{}' from C++ alone", recorded.modules.front().name)},
       switches,
       joined_hints(hint_of_asked_gpu(project, passed),
                    "--allow-cpu builds it without device code"));
}

void warn_of_version(const RecordedBuild& recorded, const Checkout& checkout,
                     const fs::path& project, Reporter& report) {
  if (!takes_version_from_git(project)) return;
  const auto name = parse_wheel_name(recorded.wheel.filename().string());
  const std::string version = name ? name->version : "";
  if (version == "0.0.0") {
    report.warning(
        "setup.py says that its version is 0.0.0: does this Python lack setuptools_scm, or what "
        "else tells it?");
  } else if (const auto tags = read_file_if_exists(checkout.root / ".git/packed-refs");
             tags && path_exists(checkout.root / ".git/shallow") &&
             tags->find(checkout.commit) == std::string::npos) {
    report.warning(fmt::format(
        "the clone has no history, so the version {} that setup.py takes from git may be wrong: "
        "give a full clone as --source, or --env SETUPTOOLS_SCM_PRETEND_VERSION=VERSION",
        version));
  }
}

void report_variables(const RecordedBuild& recorded, const Environment& passed, Reporter& report) {
  const Environment base = clean_environment();
  for (const std::string& name : recorded.variables) {
    const auto value = passed.find(name);
    const bool is_held_back = value == passed.end() && !base.contains(name) &&
                              !is_own_variable(name) && environment_value(name).has_value();
    if (is_held_back)
      report.note(fmt::format("setup.py asks for {}, which is not passed to it: --env {} does that",
                              name, name));
    else if (value != passed.end())
      report.detail(
          fmt::format("setup.py asks for {}: {}", name,
                      is_secret_variable(name) ? "set" : fmt::format("'{}'", value->second)));
    else
      report.detail(fmt::format(
          "setup.py asks for {}: {}", name,
          is_own_variable(name) || base.contains(name) ? "set by sagebuild" : "not set"));
  }
}

std::vector<std::string> asked_of_environment(const RecordedBuild& recorded,
                                              const Environment& passed,
                                              const std::vector<std::string>& options) {
  const Environment base = clean_environment();
  std::set<std::string> given;
  for (const std::string& option : options) given.insert(option.substr(0, option.find('=')));
  std::set<std::string> asked;
  for (const std::string& name : recorded.variables) {
    const auto value = passed.find(name);
    if (value != passed.end() && !base.contains(name) && !given.contains(name) &&
        !is_own_variable(name))
      asked.insert(name + "=" + value->second);
  }
  return {asked.begin(), asked.end()};
}

}  // namespace sagebuild
