// Which recipe fits a setup.py: told by what it builds, not by words that may stand anywhere in it.
#include <fmt/format.h>

#include <algorithm>
#include <compare>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// How well a recipe fits; the greater is the more specific.
struct Fit {
  std::size_t modules = 0;       // named as "package.module"
  std::size_t module_names = 0;  // named at all: a fork may give its package another name
  bool package = false;          // assigned as a name
  std::size_t detected = 0;      // letters of the texts that must be there

  auto operator<=>(const Fit&) const = default;
};

bool is_quote(char c) { return c == '"' || c == '\''; }

// Whether `word` stands in `text` as the end of a quoted string, behind one of `before`.
bool is_quoted(std::string_view text, std::string_view word, std::string_view before) {
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at > 0 && before.find(text[at - 1]) != std::string_view::npos;
    if (begins && end < text.size() && is_quote(text[end])) return true;
  }
  return false;
}

// name="word": what a list of requirements holds is another package.
bool is_assigned(std::string_view text, std::string_view word) {
  for (const std::string_view quote : {"\"", "'"}) {
    const std::string quoted = fmt::format("{0}{1}{0}", quote, word);
    for (std::size_t at = text.find(quoted); at != std::string_view::npos;
         at = text.find(quoted, at + 1)) {
      if (trimmed(text.substr(0, at)).ends_with('=')) return true;
    }
  }
  return false;
}

std::optional<Fit> fit_of(const Recipe& recipe, std::string_view setup_py) {
  Fit fit;
  for (const std::string& part : recipe.detect) {
    if (setup_py.find(part) == std::string_view::npos) return std::nullopt;
    fit.detected += part.size();
  }
  for (const RecipeModule& module : recipe.modules) {
    if (is_quoted(setup_py, module.name, "\"'")) ++fit.modules;
    if (names_module(setup_py, module)) ++fit.module_names;
  }
  fit.package = is_assigned(setup_py, recipe.package);
  if (!recipe.modules.empty() && fit.module_names == 0 && !fit.package) return std::nullopt;
  return fit;
}

struct Candidate {
  const Recipe* recipe;
  Fit fit;
};

// The one that fits best, if any.
std::optional<Recipe> best_of(std::vector<Candidate> candidates, std::string_view file) {
  if (candidates.empty()) return std::nullopt;
  std::ranges::stable_sort(candidates, std::ranges::greater{}, &Candidate::fit);
  if (candidates.size() == 1 || candidates[0].fit != candidates[1].fit)
    return *candidates[0].recipe;
  const std::string& first = candidates[0].recipe->name;
  const std::string& second = candidates[1].recipe->name;
  throw Error(ErrorKind::usage,
              fmt::format("recipes '{}' and '{}' fit '{}' equally", first, second, file), {},
              fmt::format("say which: --recipe {} or --recipe {}", first, second));
}

}  // namespace

bool names_module(std::string_view setup_py, const RecipeModule& module) {
  return is_quoted(setup_py, std::string_view(module.name).substr(module.name.rfind('.') + 1),
                   ".\"'");
}

std::optional<Recipe> Recipes::match_text(std::string_view setup_py) const {
  std::vector<Candidate> candidates;
  for (const Recipe& recipe : recipes_) {
    const auto fit = fit_of(recipe, setup_py);
    if (fit && first_is_wanted_ && &recipe == &recipes_.front()) return recipe;
    if (fit) candidates.push_back({&recipe, *fit});
  }
  return best_of(std::move(candidates), "setup.py");
}

namespace {

// The tree is a copy in a temporary folder, so it is not named.
[[noreturn]] void fail_without_setup(const fs::path& root) {
  std::vector<std::string> folders;
  for (const fs::path& folder : entries_if_readable(root)) {
    if (is_there(folder / "setup.py")) folders.push_back(folder.filename().string());
  }
  std::vector<std::string> causes;
  if (!folders.empty())
    causes.push_back(fmt::format("folders that have one: {}", join(folders, ", ")));
  throw Error(ErrorKind::failed, "the source has no setup.py at its top", std::move(causes),
              fmt::format("give the folder that holds setup.py: --subfolder {}",
                          folders.empty() ? "FOLDER" : folders.front()));
}

}  // namespace

std::optional<Recipe> Recipes::match(const fs::path& root) const {
  if (const auto top = read_file_if_exists(root / "setup.py")) {
    auto recipe = match_text(*top);
    if (recipe) recipe->subfolder.clear();  // also when the tree is the subproject's own folder
    return recipe;
  }
  std::vector<Candidate> candidates;
  for (const Recipe& recipe : recipes_) {
    if (recipe.subfolder.empty()) continue;
    const auto text = read_file_if_exists(root / recipe.subfolder / "setup.py");
    const auto fit = text ? fit_of(recipe, *text) : std::nullopt;
    if (fit) candidates.push_back({&recipe, *fit});
  }
  if (auto recipe = best_of(std::move(candidates), root.string())) return recipe;
  fail_without_setup(root);
}

}  // namespace sagebuild
