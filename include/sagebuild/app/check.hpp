#pragma once
// Everything that can be known of a build before anything is fetched: what cannot work is told in
// the first second, not after minutes and gigabytes.

#include "sagebuild/app/build.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/recipe/recipe.hpp"

namespace sagebuild {

struct CheckedBuild {
  Recipes recipes;
  SourceSpec source;
  ForeseenPython python;
};

// Throws what the stages would throw later: Error{usage} for a recipe, source, ref or architecture
// that is not there, Error{environment} for a Python, toolkit or compiler that cannot build, and
// for an environment that would have to be made and may not be. Fetches and makes nothing; says
// which Python it found.
CheckedBuild check(const BuildSettings& settings, Reporter& report);

}  // namespace sagebuild
