#pragma once
// What this system calls its packages, so that a hint is a command that works here.

#include <string>
#include <vector>

#include "sagebuild/model/version.hpp"

namespace sagebuild {

// Tests plant their own.
struct System {
  std::string manager;  // "apt-get", "dnf", "zypper", "pacman", "apk"; empty: none that is known
  // As NVIDIA's package source spells it: "debian12", "ubuntu2404"; may be empty
  std::string release;
  std::string python;  // "3.11": what the system's python3 package is; empty: not known
  Version glibc;       // empty: another libc
  bool has_uv = false;
};
System this_system();

// "apt-get install g++": the command that installs a C++ compiler; `major` is a wanted GCC, 0: any.
std::string install_compiler(const System& system, int major = 0);
// the command that installs a Python that can make environments and build extensions. Only the
// system's own version is a package of it; uv fetches every other.
std::string install_python(const System& system, const std::string& version);
// The same for the headers alone, of a Python that is there.
std::string install_python_headers(const System& system, const std::string& version);
// How a package gets into an environment: with pip where that is, with uv where that is, else with
// the pip that Python itself carries. Ends with a blank.
std::string install_into(const System& system, const std::string& python, bool has_pip);
// NVIDIA's toolkit, with the package source that has it: a Debian or Ubuntu has none of its own.
std::string install_cuda(const System& system, const Version& cuda);
// glibc 2.41 declares functions that CUDA 12's headers declare too, with another exception
// specification; for 13.0 and 13.1 the same is reported from glibc 2.42 on.
enum class GlibcFit { fits, doubtful, clashes };
GlibcFit glibc_fit(const Version& glibc, const Version& cuda);

}  // namespace sagebuild
