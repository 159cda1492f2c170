#pragma once
// What a recipe knows against the source that is built.

#include <string>
#include <vector>

#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/source.hpp"

namespace sagebuild {

// One sentence for each fault that shows on one of `archs`: what it is, and whether a rule mended
// it in this tree.
std::vector<std::string> known_faults(const Recipe& recipe, const PatchedTree& tree,
                                      const ArchList& archs);

}  // namespace sagebuild
