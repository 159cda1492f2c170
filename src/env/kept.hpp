#pragma once
// Choosing among environments: shared by python and environments.

#include <optional>
#include <string>

#include "sagebuild/env/environments.hpp"
#include "sagebuild/env/python.hpp"

namespace sagebuild {

// Why `python` is not what `choice` asks for ("is Python 3.11.7, not 3.12"), or nothing.
std::string misfit_of(const PythonChoice& choice, const PythonEnv& python);
// The environment that is made for `choice` where there is none.
EnvironmentRequest request_for(const PythonChoice& choice);
// Throws Error{environment} where there is not enough free disk for it.
void require_disk_for(const EnvironmentRequest& request);
// The last made complete environment that fits.
std::optional<FoundPython> fitting_environment(const PythonChoice& choice);
// "3.11" fits "3.11.7" and "2.11" fits "2.11.0+cu130"; an empty wish fits all.
bool version_fits(const std::string& wanted, const std::string& actual);

}  // namespace sagebuild
