#pragma once
// What a wheel's provenance says of the choices that its build was given. Private to this folder.

#include <filesystem>

#include "sagebuild/app/build.hpp"
#include "sagebuild/model/provenance.hpp"

namespace sagebuild {

// `subfolder`: of setup.py, in the source. Values of --env that may be secrets or paths of this
// machine are left out.
BuildParameters parameters_of(const BuildSettings& settings,
                              const std::filesystem::path& subfolder);

}  // namespace sagebuild
