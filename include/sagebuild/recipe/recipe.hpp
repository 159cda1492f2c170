#pragma once
// Recipes: what sagebuild knows of each project, read from patches/NAME.toml. The rules in the same
// files belong to patch.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/recipe.hpp"

namespace sagebuild {

class Recipes {
 public:
  // `first_is_wanted`: the user gave the first, so it is taken wherever it fits.
  explicit Recipes(std::vector<Recipe> recipes, bool first_is_wanted = false)
      : recipes_(std::move(recipes)), first_is_wanted_(first_is_wanted) {}

  // Throws Error{usage} with the nearest name.
  const Recipe& named(std::string_view name) const;
  const std::vector<Recipe>& all() const { return recipes_; }

  // The recipe that fits the tree's setup.py best: its detect texts are there, and it names modules
  // of the recipe or its package. The more modules it names, the better; then the longer detect
  // texts. A project in a subfolder (sageattention3) is taken only if the top has no setup.py.
  // Nothing: no recipe fits, so the project is built as it is. Throws Error{usage} if two fit
  // equally, Error{failed} if the tree has no setup.py at all.
  std::optional<Recipe> match(const std::filesystem::path& root) const;
  // The same for the text of one setup.py.
  std::optional<Recipe> match_text(std::string_view setup_py) const;

 private:
  std::vector<Recipe> recipes_;
  bool first_is_wanted_;
};

// Whether the text has the module's name, or its last part, at the end of a quoted string.
bool names_module(std::string_view setup_py, const RecipeModule& module);

// Throws Error{usage} with file and line for what is wrong in it, Error{failed} if unreadable.
Recipe load_recipe(const std::filesystem::path& file);
// Every *.toml of the folder, by name. `extra` (--recipe FILE) comes first and replaces a shipped
// one of its name.
Recipes load_recipes(const std::filesystem::path& folder,
                     const std::optional<std::filesystem::path>& extra = {});

}  // namespace sagebuild
