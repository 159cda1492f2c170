#include "sagebuild/cli/rebuild_command.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/cache_settings.hpp"
#include "sagebuild/cli/choices.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {

std::vector<SettingSpec> rebuild_specs() {
  std::vector<SettingSpec> specs = {
      {"rebuild", "build the wheel again from its provenance, and compare the bytes", "", {}, true},
      {.name = "source",
       .help = "with --rebuild: URL or folder, if the provenance names none",
       .flag_only = true},
      {.name = "recipe",
       .help = "with --rebuild or --gpu: recipe (name or file) in place of the wheel's",
       .flag_only = true},
      {"python",
       "with --rebuild, --import or --gpu: interpreter; else one as the wheel was made for"},
      {"cuda-home", "with --rebuild: CUDA toolkit"},
      {.name = "env",
       .help = "with --rebuild: NAME=VALUE for setup.py; may stand several times",
       .is_list = true,
       .flag_only = true},
      {.name = "output",
       .help = "with --rebuild: folder that keeps the second wheel",
       .flag_only = true},
      {"jobs", "with --rebuild: steps at a time", "", {"MAX_JOBS"}},
      {"offline", "use the network for nothing", "", {}, true},
      kAllowSharedCache,
  };
  for (SettingSpec& spec : cache_specs()) specs.push_back(std::move(spec));
  return specs;
}

RebuildSettings rebuild_settings(const Settings& settings, const std::string& wheel) {
  RebuildSettings rebuild;
  rebuild.wheel = wheel;
  rebuild.source = settings.text("source");
  const std::string recipe = settings.text("recipe");
  if (is_recipe_file(recipe))
    rebuild.recipe_file = recipe;
  else
    rebuild.recipe = recipe;
  rebuild.python = named_python(settings);  // `--torch` is what verify holds modules against
  rebuild.toolchain = toolchain_choice(settings);
  rebuild.variables = settings.list("env");
  rebuild.output = settings.text("output");
  rebuild.offline = settings.enabled("offline");
  rebuild.python.offline = rebuild.offline;
  rebuild.cache = cache_choice(settings);
  rebuild.cache.shared = settings.enabled(kAllowSharedCache.name);
  rebuild.limits.jobs = settings.number("jobs").value_or(available_cores());
  rebuild.limits.memory = available_memory() / 10 * 8;
  return rebuild;
}

nlohmann::ordered_json rebuild_document(const RebuildOutcome& outcome) {
  return {{"same_bytes", outcome.is_same()},
          {"sha256", outcome.sha256},
          {"wheel", outcome.wheel},
          {"differences", outcome.differences},
          {"reasons", outcome.reasons}};
}

std::string rebuild_text(const RebuildOutcome& outcome) {
  if (outcome.is_same())
    return fmt::format("built again, and it is the same, byte for byte: sha256 {}\n",
                       outcome.sha256);
  std::string text = fmt::format("built again, and it is not the same: {}\n",
                                 counted(outcome.differences.size(), "difference"));
  for (const std::string& difference : outcome.differences)
    text += fmt::format("  {}\n", difference);
  if (!outcome.reasons.empty()) text += "what it was made with is not the same either:\n";
  for (const std::string& reason : outcome.reasons) text += fmt::format("  {}\n", reason);
  return text;
}

}  // namespace sagebuild
