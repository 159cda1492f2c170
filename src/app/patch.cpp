#include "sagebuild/app/patch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"
#include "sagebuild/vcs/diff.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kVerifyLists = {
    "8.0",
    "8.6",
    "8.9",
    "9.0",
    "12.0",
    "12.1",
    "8.0 8.6 8.9 9.0 12.0+PTX",
    "8.0;8.6,9.0 12.0+PTX",
    "compute_80;sm_80;compute_86;sm_86;compute_90;sm_90;compute_120;sm_120",
    "sm_120",
    "120",
    "12.0a",
    "9.9",
};

// What is patched: one file of a project, or all of them.
struct Subject {
  fs::path folder;   // of setup.py
  std::string file;  // relative to it; empty: all
  std::string shown;
  Recipe recipe;
};

Recipes recipes_of(const PatchSettings& settings) {
  return load_recipes(settings.data / "patches", settings.recipe_file);
}

[[noreturn]] void no_recipe(std::string_view what, const Recipes& recipes) {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes.all()) names.push_back(recipe.name);
  throw Error(ErrorKind::failed,
              fmt::format("'{}' is no project that sagebuild has rules for", what),
              {"known are: " + join(names, ", ")}, "`--recipe FILE` takes rules of your own");
}

// The file's place in its project: "sageattention/core.py" for /x/sageattention/core.py. Anything
// else is a setup.py.
std::string place_in_project(const fs::path& path, const RuleSet& rules) {
  const std::string text = absolute_path(path).lexically_normal().generic_string();
  std::string best;
  for (const Rule& rule : rules.rules) {
    if (text.ends_with("/" + rule.file) && rule.file.size() > best.size()) best = rule.file;
  }
  return best.empty() ? "setup.py" : best;
}

fs::path without_tail(fs::path path, const std::string& tail) {
  for (const auto& part : fs::path(tail)) {
    (void)part;
    path = path.parent_path();
  }
  return path;
}

std::optional<Recipe> recipe_by_name(const PatchSettings& settings, const Recipes& recipes) {
  if (!settings.recipe.empty()) return recipes.named(settings.recipe);
  if (settings.recipe_file) return recipes.all().front();
  return std::nullopt;
}

Subject folder_subject(const PatchSettings& settings, const Recipes& recipes) {
  Subject subject{settings.target, "", settings.target, {}};
  auto recipe = recipe_by_name(settings, recipes);
  if (!recipe) recipe = recipes.match(subject.folder);
  if (!recipe) no_recipe(settings.target, recipes);
  subject.recipe = *recipe;
  // A named subproject, given the whole project's folder.
  if (!recipe->subfolder.empty() && is_folder(subject.folder / recipe->subfolder)) {
    subject.folder /= recipe->subfolder;
  }
  return subject;
}

Subject file_subject(const PatchSettings& settings, const Recipes& recipes, std::string_view text) {
  const fs::path path = settings.target == "-" ? fs::path("setup.py") : fs::path(settings.target);
  Subject subject{absolute_path(path).parent_path(),
                  "setup.py",
                  settings.target == "-" ? "standard input" : path.string(),
                  {}};
  auto recipe = recipe_by_name(settings, recipes);
  // Not a setup.py: the project is told by the setup.py that lies where the rules for such a file
  // expect it.
  for (const Recipe& candidate : recipes.all()) {
    if (recipe || path.filename() == "setup.py") break;
    const std::string place = place_in_project(path, load_rules(candidate));
    if (place == "setup.py") continue;
    const fs::path folder = without_tail(absolute_path(path).lexically_normal(), place);
    const auto setup = read_file_if_exists(folder / "setup.py");
    const auto found = setup ? recipes.match_text(*setup) : std::nullopt;
    if (found && found->name == candidate.name) recipe = candidate;
  }
  if (!recipe) recipe = recipes.match_text(text);
  if (!recipe) no_recipe(subject.shown, recipes);
  subject.recipe = *recipe;
  if (settings.target != "-") {
    subject.file = place_in_project(path, load_rules(*recipe));
    if (subject.file != "setup.py")
      subject.folder = without_tail(absolute_path(path).lexically_normal(), subject.file);
  }
  return subject;
}

// Python's own word on the result. -I and -S keep it at some 15 ms: no site-packages, no user
// settings.
void check_syntax(const PatchOutcome& outcome, const PatchSettings& settings, Reporter& report) {
  if (!outcome.file.ends_with(".py")) return;
  Command command;
  command.argv = {
      settings.python,
      "-I",
      "-S",
      "-c",
      "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec', dont_inherit=True)",
      outcome.file};
  command.input = outcome.after;
  if (settings.python.find('/') == std::string::npos && !find_program(settings.python)) {
    report.warning(fmt::format("'{}' is not on PATH, so the syntax of '{}' was not checked",
                               settings.python, outcome.file));
    return;
  }
  const ProcessResult result = run(command);
  if (result.ok()) return;
  std::vector<std::string> causes;
  for (const std::string_view line : lines_of(result.diagnostics))
    causes.emplace_back(trimmed(line));
  if (causes.size() > 4) causes.erase(causes.begin(), causes.end() - 4);
  throw Error(ErrorKind::failed,
              fmt::format("'{}' would not be valid Python after the patch", outcome.file), causes,
              "nothing was written; if the file itself is valid, this is a fault in the recipe");
}

// Renaming a new file over a read-only one would work, but its owner said that it is not to be
// changed.
void require_writable(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot write '{}'", path.string()),
                {errno_text(errno)});
  }
  if ((status.st_mode & S_IWUSR) == 0) {
    throw Error(ErrorKind::failed, fmt::format("cannot write '{}'", path.string()),
                {"it is read-only"}, "make it writable, or use --output FILE");
  }
}

void check_flags(const PatchSettings& settings) {
  const bool folder = settings.target != "-" && is_folder(settings.target);
  if (folder && settings.output)
    throw Error(ErrorKind::usage, "--output is for a single file, not for a folder");
  const int shown = (settings.check ? 1 : 0) + (settings.diff ? 1 : 0) + (settings.verify ? 1 : 0) +
                    (settings.output ? 1 : 0);
  if (shown > 1)
    throw Error(ErrorKind::usage, "--check, --diff, --verify and --output do not go together");
}

std::vector<PatchOutcome> outcomes_of(const Subject& subject, const RuleSet& rules,
                                      const std::string& text) {
  if (subject.file.empty()) return patch_folder(rules, subject.folder);
  return {patch_text(rules, subject.file, text)};
}

void list_other_rules(const Subject& subject, const RuleSet& rules, PatchReport& result) {
  if (subject.file.empty()) return;
  for (const Rule& rule : rules.rules) {
    if (rule.file != subject.file)
      result.not_applied.push_back(fmt::format("rule '{}' is for '{}'", rule.id, rule.file));
  }
}

void require_patched_already(const PatchReport& result, const Subject& subject,
                             const std::string& target) {
  std::vector<std::string> causes;
  for (const PatchOutcome& outcome : result.outcomes) {
    for (const AppliedRule& rule : outcome.rules) {
      if (!rule.already_done)
        causes.push_back(fmt::format("'{}' needs rule '{}': {}", outcome.file, rule.id, rule.why));
    }
  }
  if (causes.empty()) return;
  throw Error(ErrorKind::patch_needed, fmt::format("'{}' needs a patch", subject.shown), causes,
              fmt::format("run `sagebuild patch {}`", shell_quoted(target)));
}

void write_outcomes(const PatchSettings& settings, const Subject& subject,
                    const PatchReport& result) {
  if (settings.output) return write_file(*settings.output, result.outcomes.front().after);
  const auto path_of = [&](const PatchOutcome& outcome) {
    return subject.file.empty() ? subject.folder / outcome.file : fs::path(settings.target);
  };
  for (const PatchOutcome& outcome : result.outcomes) {
    if (outcome.changed()) require_writable(path_of(outcome));
  }
  for (const PatchOutcome& outcome : result.outcomes) {
    if (outcome.changed()) write_file(path_of(outcome), outcome.after);
  }
}

const PatchOutcome& setup_of(const PatchReport& result) {
  const auto found = std::ranges::find(result.outcomes, "setup.py", &PatchOutcome::file);
  if (found == result.outcomes.end())
    throw Error(ErrorKind::usage, "--verify is for a setup.py or a project's folder");
  return *found;
}

}  // namespace

PatchReport patch_files(const PatchSettings& settings, Reporter& report) {
  check_flags(settings);
  const Recipes recipes = recipes_of(settings);
  const bool whole = settings.target != "-" && is_folder(settings.target);
  std::string text = settings.input;
  if (!whole && settings.target != "-") text = read_file(settings.target);
  const Subject subject =
      whole ? folder_subject(settings, recipes) : file_subject(settings, recipes, text);
  const RuleSet rules = load_rules(subject.recipe);

  PatchReport result;
  result.recipe = subject.recipe.name;
  result.outcomes = outcomes_of(subject, rules, text);
  list_other_rules(subject, rules, result);
  require_patched(result.outcomes);
  for (const PatchOutcome& outcome : result.outcomes) {
    if (!outcome.note.empty()) report.note(outcome.note);
    if (outcome.changed()) check_syntax(outcome, settings, report);
    result.diff += unified_diff(outcome.file, outcome.before, outcome.after);
  }
  if (settings.verify) {
    result.table = gencode_table(
        setup_of(result).after, subject.folder,
        settings.verify_lists.empty() ? kVerifyLists : settings.verify_lists, settings);
  }
  if (settings.check) require_patched_already(result, subject, settings.target);
  const bool shows_only = settings.check || settings.diff || settings.verify;
  if (!shows_only && settings.target == "-" && !settings.output) {
    result.text = result.outcomes.front().after;
  } else if (!shows_only) {
    write_outcomes(settings, subject, result);
  }
  return result;
}

std::vector<std::string> lint_recipes(const fs::path& data, const std::optional<fs::path>& extra) {
  std::vector<std::string> lines;
  const Recipes recipes = load_recipes(data / "patches", extra);
  for (const Recipe& recipe : recipes.all()) {
    const RuleSet rules = load_rules(recipe);
    lines.push_back(fmt::format(
        "{}: {}, {}, {}", recipe.file.string(), counted(recipe.modules.size(), "module"),
        counted(rules.shapes.size(), "shape"), counted(rules.rules.size(), "rule")));
  }
  return lines;
}

std::vector<GencodeRow> gencode_table(std::string_view setup_py, const fs::path& folder,
                                      const std::vector<std::string>& lists,
                                      const PatchSettings& settings) {
  Command command;
  command.argv = {settings.python, "-I", "-S",
                  (settings.data / "patches/verify/record_setup.py").string(), folder.string()};
  command.argv.insert(command.argv.end(), lists.begin(), lists.end());
  command.input = setup_py;
  command.deadline = std::chrono::seconds(60);
  const ProcessResult ran = run_checked(command, "cannot run setup.py with stand-ins for torch");
  std::vector<GencodeRow> table;
  try {
    for (const auto& row : nlohmann::json::parse(ran.output)) {
      table.push_back({row.at("list"), row.value("error", ""), {}});
      if (row.contains("modules")) row.at("modules").get_to(table.back().modules);
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::failed, "cannot read what setup.py would build", {error.what()});
  }
  return table;
}

}  // namespace sagebuild
