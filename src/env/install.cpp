#include "sagebuild/env/install.hpp"

#include <fmt/format.h>

#include "env/packages.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {

void require_place_to_install(const ForeseenPython& foreseen) {
  const std::string python = foreseen.python.executable.string();
  if (foreseen.to_be_made || hold_environment(foreseen.python))
    throw Error(
        ErrorKind::usage, "--install has no environment to install into",
        {foreseen.to_be_made
             ? std::string("the wheel would be for an environment that sagebuild makes")
             : fmt::format("the wheel would be for '{}', which is sagebuild's own", python)},
        "activate the environment that the wheel is for, or name its interpreter with "
        "--python");
  require_place(foreseen.python.executable);
  require_installer(foreseen.python.executable, "the wheel");
}

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
