#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "sagebuild/app/patch.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/choices.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/streams.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

std::vector<SettingSpec> patch_specs() {
  return {
      {"recipe",
       "name of the recipe, or a recipe file of your own (x.toml), which docs/recipes.md in "
       "sagebuild's data folder explains; else the one that fits"},
      {"check", "change nothing; exit code 6 if a patch is needed", "", {}, true},
      {"diff", "change nothing; print a diff for patch -p1 or git apply", "", {}, true},
      {"verify",
       "change nothing; run the result without torch and print module x architecture",
       "",
       {},
       true},
      {"arch", "with --verify: one TORCH_CUDA_ARCH_LIST to try instead of the usual ones"},
      {.name = "output",
       .help = "write the result of a single file here instead",
       .flag_only = true},
      {"python", "interpreter that checks the result", "python3"},
      {"lint", "check the recipes and stop", "", {}, true},
  };
}

PatchSettings patch_settings(const Settings& settings, const std::string& target) {
  PatchSettings patch;
  patch.target = target;
  if (target == "-") patch.input = read_input();
  const std::string recipe = settings.text("recipe");
  if (is_recipe_file(recipe)) {
    patch.recipe_file = recipe;
  } else {
    patch.recipe = recipe;
  }
  patch.data = data_folder();
  patch.python = settings.text("python");
  patch.check = settings.enabled("check");
  patch.diff = settings.enabled("diff");
  patch.verify = settings.enabled("verify");
  if (const auto arch = settings.optional_text("arch")) patch.verify_lists = {*arch};
  if (const auto output = settings.optional_text("output")) patch.output = *output;
  return patch;
}

// "_fused            sm_80 sm_120 compute_120", under the list it is for.
std::string table_text(const std::vector<GencodeRow>& table) {
  std::string text;
  for (const GencodeRow& row : table) {
    text += fmt::format("TORCH_CUDA_ARCH_LIST=\"{}\"\n", row.list);
    if (!row.error.empty()) text += fmt::format("  {}\n", row.error);
    for (const auto& [module, targets] : row.modules) {
      text += fmt::format("  {:<28} {}\n", module,
                          targets.empty() ? "(none given: torch decides)" : join(targets, " "));
    }
  }
  return text;
}

std::string json_of(const PatchReport& result) {
  Json files = Json::array();
  for (const PatchOutcome& outcome : result.outcomes) {
    Json rules = Json::array();
    for (const AppliedRule& rule : outcome.rules) {
      rules.push_back({{"id", rule.id},
                       {"count", rule.count},
                       {"already_done", rule.already_done},
                       {"why", rule.why}});
    }
    files.push_back({{"file", outcome.file},
                     {"shape", outcome.shape},
                     {"changed", outcome.changed()},
                     {"rules", rules}});
  }
  Json table = Json::array();
  for (const GencodeRow& row : result.table) {
    table.push_back({{"list", row.list}, {"error", row.error}, {"modules", row.modules}});
  }
  Json document = {
      {"schema", "sagebuild.patch/1"},     {"recipe", result.recipe}, {"files", files},
      {"not_applied", result.not_applied}, {"diff", result.diff},     {"table", table}};
  if (!result.text.empty()) document["text"] = result.text;
  try {
    return json_lines(document);
  } catch (const Json::exception&) {
    throw Error(ErrorKind::failed, "cannot print the result as JSON",
                {"the file is in another coding than UTF-8"}, "leave out --json");
  }
}

void tell(const PatchReport& result, Reporter& report) {
  for (const PatchOutcome& outcome : result.outcomes) {
    std::size_t done = 0;
    for (const AppliedRule& rule : outcome.rules) {
      done += rule.already_done ? 1U : 0U;
      report.detail(
          fmt::format("{}: rule '{}': {}", outcome.file, rule.id,
                      rule.already_done ? "already done" : fmt::format("{} places", rule.count)));
    }
    report.note(fmt::format("'{}' ({}): {} rules applied, {} already done", outcome.file,
                            outcome.shape.empty() ? result.recipe : outcome.shape,
                            outcome.rules.size() - done, done));
  }
  if (result.not_applied.empty()) return;
  report.note(
      fmt::format("not applied, as only one file was given: {}", join(result.not_applied, "; ")));
}

// A table of nothing is no proof.
void require_verified(const PatchReport& result) {
  const bool has_module = std::ranges::any_of(result.table, [](const GencodeRow& row) {
    return row.error.empty() && !row.modules.empty();
  });
  if (has_module) return;
  std::vector<std::string> causes;
  for (const GencodeRow& row : result.table) {
    causes.push_back(fmt::format("TORCH_CUDA_ARCH_LIST=\"{}\": {}", row.list,
                                 row.error.empty() ? "setup.py compiles no module" : row.error));
  }
  throw Error(ErrorKind::failed, "nothing was verified: setup.py gives nvcc no module for any list",
              causes,
              "name a list that it serves with --arch, or look at what it does without torch");
}

int run_patch(const Cli& cli, const Settings& settings, const std::string& target,
              Reporter& report) {
  if (settings.enabled("lint")) {
    std::optional<std::filesystem::path> extra;
    if (is_recipe_file(settings.text("recipe"))) extra = settings.text("recipe");
    fmt::print("{}\n", join(lint_recipes(data_folder(), extra), "\n"));
    return 0;
  }
  if (target.empty())
    throw Error(ErrorKind::usage, "no file to patch", {},
                "give a setup.py, a project's folder, or -");
  const PatchSettings patch = patch_settings(settings, target);
  const PatchReport result = patch_files(patch, report);
  tell(result, report);
  if (patch.verify) require_verified(result);
  if (cli.global().json) {
    fmt::print("{}\n", json_of(result));
  } else if (patch.diff) {
    fmt::print("{}", result.diff);
  } else if (patch.verify) {
    fmt::print("{}", table_text(result.table));
  } else {
    fmt::print("{}", result.text);
  }
  return 0;
}

}  // namespace

void add_patch_command(Cli& cli) {
  const auto target = std::make_shared<std::string>();
  CLI::App& command = cli.add(
      "patch",
      "patch a setup.py, or all files of a project, so that plain setuptools builds it right too",
      patch_specs(),
      {"sagebuild patch setup.py", "sagebuild patch --diff SageAttention | less",
       "sagebuild patch --check setup.py",
       "sagebuild patch --verify --arch \"8.0 8.9 12.0+PTX\" setup.py",
       "sagebuild patch - < setup.py > patched.py"},
      [&cli, target](const Settings& settings, Reporter& report) {
        return run_patch(cli, settings, *target, report);
      });
  command.add_option("target", *target, "setup.py, a project's folder, or - for standard input")
      ->type_name("FILE|DIR");
}

}  // namespace sagebuild
