#include "sagebuild/model/recipe.hpp"

#include <algorithm>

namespace sagebuild {

bool KnownBad::shows_on(const ArchList& asked) const {
  return archs.empty() || asked.empty() ||
         std::ranges::any_of(asked, [&](const ArchRequest& request) {
           return std::ranges::any_of(archs, [&](const ArchRequest& bad) {
             return same_capability(request.arch, bad.arch);
           });
         });
}

}  // namespace sagebuild
