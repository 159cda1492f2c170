#pragma once
// Virtual environments that sagebuild makes and keeps: cache_folder()/envs/NAME, each with torch
// and its CUDA compiler in one site-packages, so that nvidia/cu13 there is a whole CUDA_HOME: only
// there are the cuBLAS headers too.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sagebuild/model/environment.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/sys/shared_lock.hpp"

namespace sagebuild {

inline constexpr const char* kDefaultTorch = "2.11.0";

struct EnvironmentRequest {
  std::string name;                   // empty: environment_name()
  std::string python;                 // "3.11"; empty: as python3 on PATH
  std::string torch = kDefaultTorch;  // empty: an environment without torch
  std::string cuda;  // "12.8": what torch must be built with; empty: whatever the index gives
  // For torch alone; the other packages come from the usual index
  std::string index_url;
  bool offline = false;
  // setuptools 82 dropped pkg_resources, and torch 2.11 wants <82 itself. pip: uv leaves it out,
  // users miss it.
  std::vector<std::string> tools = {"setuptools>=64,<82", "wheel", "ninja",
                                    "packaging",          "numpy", "pip"};
};

struct KeptEnvironment {
  std::string name;
  std::filesystem::path path;
  std::string python;       // "3.11.7"
  std::string torch;        // "2.11.0+cu130"
  std::string cuda;         // "13.0"
  bool complete = false;    // false: a half-made one, which the next create makes anew
  std::uint64_t bytes = 0;  // on disk, 0 unless asked for
};

std::filesystem::path environments_folder();
// FOLDER/bin/python
std::filesystem::path environment_python(const std::filesystem::path& folder);
std::string environment_name(const EnvironmentRequest& request);  // "py311-torch2.11.0-cu128"

// What that would cost: size, free disk and where it would lie.
std::string environment_cost(const EnvironmentRequest& request);
// Throws what can be known to fail before anything is fetched: an index without this CUDA, a disk
// that is too small, a Python that is not there. Gives what is known of the environment: its torch.
PythonEnv predict_environment(const EnvironmentRequest& request);

// Makes the environment, or gives the one that is there and complete. Two at once: the second
// waits. Errors name the log. Error{environment}: no such Python or torch; Error{network}: packages
// cannot be had; Error{failed}: disk full.
PythonEnv create_environment(const EnvironmentRequest& request, Reporter& report);
// Sorted by name. Sizes cost a walk over each.
std::vector<KeptEnvironment> list_environments(bool with_sizes);
// While it is held nobody removes the environment that this Python belongs to. Nothing for a Python
// that is not ours, or that lies where this user cannot lock.
std::unique_ptr<SharedLock> hold_environment(const PythonEnv& python);
// Waits for builds that use it. Throws Error{usage} with the nearest name if there is none. Gives
// the bytes that went away.
std::uint64_t remove_environment(const std::string& name, Reporter& report);

}  // namespace sagebuild
