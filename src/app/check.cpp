#include "sagebuild/app/check.hpp"

#include <fmt/format.h>

#include "sagebuild/app/arch_choice.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/env/install.hpp"
#include "sagebuild/report/silent_reporter.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

constexpr const char* kDefaultRecipe = "sageattention";

SourceSpec source_of(const BuildSettings& settings, const Recipes& recipes) {
  if (!settings.source.location.empty()) return settings.source;
  const Recipe& recipe =
      settings.recipe_file
          ? recipes.all().front()
          : recipes.named(settings.recipe.empty() ? kDefaultRecipe : settings.recipe);
  if (recipe.url.empty()) {
    throw Error(ErrorKind::usage, fmt::format("recipe '{}' names no source", recipe.name), {},
                "give --source, or put 'url' into the recipe");
  }
  SourceSpec source = settings.source;
  source.location = recipe.url;
  if (source.ref.empty()) source.ref = recipe.ref;
  // A recipe of ours can have its source among our own data (examples/minisage).
  if (source.location.find("://") == std::string::npos)
    source.location = data_folder() / source.location;
  return source;
}

}  // namespace

CheckedBuild check(const BuildSettings& settings, Reporter& report) {
  Recipes recipes = load_recipes(data_folder() / "patches", settings.recipe_file);
  if (!settings.recipe.empty()) (void)recipes.named(settings.recipe);
  const SourceSpec source = source_of(settings, recipes);
  require_source(source, settings.allow_foreign_owner);
  SilentReporter silent;
  const auto archs_for = [&](const Version& cuda) {
    return settings.archs.text.empty() ? ArchList()
                                       : choose_archs(settings.archs, std::nullopt, cuda, silent);
  };
  (void)archs_for({});
  // What would fail with the environment is told before it is asked for.
  PythonChoice choice = settings.python;
  choice.create = true;
  ForeseenPython python = predict_python(choice, report);
  if (settings.install) require_place_to_install(python);
  const Toolchain toolchain = predict_toolchain(settings.toolchain, python.python);
  if (!toolchain.cuda.empty()) require_cuda_for(archs_for(toolchain.cuda), toolchain);
  if (python.to_be_made && !settings.python.create) (void)predict_python(settings.python, silent);
  return {std::move(recipes), source, std::move(python)};
}

}  // namespace sagebuild
