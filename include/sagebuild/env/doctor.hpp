#pragma once
// What is missing on this machine, and the command that mends each thing.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolchain.hpp"

namespace sagebuild {

enum class Health { ok, warning, error };

// In the order in which they are made.
enum class Check {
  python,
  python_headers,
  torch,
  setuptools,
  wheel,
  ninja,
  cuda_toolkit,
  architectures,
  host_compiler,
  glibc,
  cache_folder,
  disk,
  memory,
  network
};
std::string_view name_of(Check check);  // "python headers"

struct Diagnosis {
  Health health = Health::ok;
  Check check = Check::python;
  std::string detail;       // what was found
  std::string fix_command;  // empty if nothing is to be done, or no command can do it
};

// What the checks hold against the needs; tests plant their own.
struct Machine {
  std::uint64_t memory = 0;  // bytes
  unsigned cores = 1;
  std::uint64_t free_disk = 0;  // bytes, where the cache lives
  Version glibc;                // empty: another libc
  System system;
};
Machine this_machine();

struct DoctorRequest {
  PythonChoice python;
  ToolchainChoice toolchain;
  ArchList archs;          // empty: not checked
  unsigned jobs = 0;       // 0: as many as cores
  std::string source_url;  // empty or a local path: no network check
};

// Says why a URL's host cannot be reached, or nothing.
using Reach = std::function<std::string(const std::string& url)>;
// By opening a connection: net/reach.hpp says how.
std::string network_reach(const std::string& url);

// Looks, makes nothing. One finding per check, in a fixed order; errors are what would stop a
// build.
std::vector<Diagnosis> diagnose(const DoctorRequest& request, const Machine& machine,
                                const Reach& reach, Reporter& report);

}  // namespace sagebuild
