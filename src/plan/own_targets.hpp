#pragma once
// What a setup.py itself says with -gencode and its kin. Without a recipe that is all there is to
// know of a source: code for 90a compiled for plain 9.0 or for 12.0 is accepted by nvcc and traps
// when it is run.

#include <string>
#include <vector>

#include "sagebuild/model/build_plan.hpp"

namespace sagebuild {

// Every pair of virtual and real architecture in the words of an nvcc command; names such as
// `native` are not read.
std::vector<Target> named_targets(const std::vector<std::string>& argv);

// Whether one of them is tied to a feature set (90a, 100f): then nothing else may be made of that
// source.
bool names_features(const std::vector<Target>& named);

struct OwnTargets {
  // Of `named`, those that serve a request; not sorted, a pair may come twice
  std::vector<Target> targets;
  ArchList unserved;  // requests that nothing named can run on, and PTX that nothing named gives
};
// Each request gets the named code of its GPU with its suffix, else older plain or family code of
// its major, else named PTX.
OwnTargets own_targets(const std::vector<Target>& named, const ArchList& archs);

}  // namespace sagebuild
