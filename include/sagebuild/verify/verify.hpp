#pragma once
// Holds what is in a wheel against what it promises. No GPU, no torch, no Python.

#include <vector>

#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

// Every finding, sorted. Empty: nothing is wrong as far as files
// can tell.
std::vector<Finding> verify_wheel(const WheelFacts& wheel, const Promise& promise, Policy policy);

// Errors first, of equal severity by code.
void sort_findings(std::vector<Finding>& findings);

// The releases in the list of torch's symbols that the wheel promises to run with: those of its
// provenance or label, else those that METADATA lets in. None without such a list.
Releases promised_releases(const Promise& promise);

}  // namespace sagebuild
