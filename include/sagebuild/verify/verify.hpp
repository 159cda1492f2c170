#pragma once
// Holds what is in a wheel against what it promises. No GPU, no torch, no Python.

#include <vector>

#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

// Every finding, errors first, of equal severity by code. Empty: nothing is wrong as far as files
// can tell.
std::vector<Finding> verify_wheel(const WheelFacts& wheel, const Promise& promise, Policy policy);

}  // namespace sagebuild
