#include "sagebuild/env/install.hpp"

#include "env/packages.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {

void install_wheel(const PythonEnv& python, const std::filesystem::path& wheel) {
  PackageJob job;
  job.what = wheel.filename().string();
  job.python = python.executable;
  job.requirements = {absolute_path(wheel).string()};
  job.dependencies = false;
  job.again = true;  // one for other GPUs may have the same version
  job.offline = true;
  install_packages(job);
}

}  // namespace sagebuild
