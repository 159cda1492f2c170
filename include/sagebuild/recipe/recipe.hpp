#pragma once
// Recipes: what sagebuild knows of each project, read from patches/NAME.toml. The rules in the same files belong to
// patch.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/recipe.hpp"

namespace sagebuild {

class Recipes {
 public:
  explicit Recipes(std::vector<Recipe> recipes) : recipes_(std::move(recipes)) {}

  // Throws Error{usage} with the nearest name.
  const Recipe& named(std::string_view name) const;
  const std::vector<Recipe>& all() const { return recipes_; }

  // The recipe whose detect texts are all in the tree's setup.py; a project in a subfolder (sageattention3) is taken
  // only if none fits the top. Nothing: no recipe fits, so the project is built as it is. Throws Error{failed} if the
  // tree has no setup.py at all.
  std::optional<Recipe> match(const std::filesystem::path& root) const;
  // The same for the text of one setup.py.
  std::optional<Recipe> match_text(std::string_view setup_py) const;

 private:
  std::vector<Recipe> recipes_;
};

// Throws Error{usage} with file and line for what is wrong in it, Error{failed} if unreadable.
Recipe load_recipe(const std::filesystem::path& file);
// Every *.toml of the folder, by name. `extra` (--recipe FILE) comes first and replaces a shipped one of its name.
Recipes load_recipes(const std::filesystem::path& folder, const std::optional<std::filesystem::path>& extra = {});

}  // namespace sagebuild
