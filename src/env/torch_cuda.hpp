#pragma once
// Which CUDA the torch of a package index is built with, and which index has a torch for one.
// Private to this folder.

#include <string>

#include "sagebuild/env/environments.hpp"

namespace sagebuild {

// What torch will be built with; empty where only the index knows.
std::string predicted_cuda(const EnvironmentRequest& request);
// What to name beside --cuda: "--index-url https://..."; empty where PyPI has this torch with it.
std::string index_option_for(const EnvironmentRequest& request);
// Throws Error{environment} if it is known that the index has no torch for the CUDA that is asked
// for: before gigabytes come in vain.
void require_index_for_cuda(const EnvironmentRequest& request);
// The same of the torch that came.
void require_asked_cuda(const EnvironmentRequest& request, const PythonEnv& python);

}  // namespace sagebuild
