#pragma once
// The two things a build stands on, found by `env` before anything is fetched.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/version.hpp"

namespace sagebuild {

struct TorchInfo {
  std::string version;         // as torch says it: "2.11.0+cu130"
  Version number;              // 2.11.0
  Version cuda;                // 13.0; empty for a CPU-only build
  std::filesystem::path root;  // .../site-packages/torch
  bool cxx11_abi = true;
};

struct PythonEnv {
  std::filesystem::path executable;
  std::string version;            // "3.11.7"
  std::string tag;                // "cp311"
  std::string soabi;              // "cpython-311-x86_64-linux-gnu"
  std::filesystem::path include;  // folder of Python.h
  bool has_headers = false;
  std::filesystem::path site_packages;
  std::optional<TorchInfo> torch;
  std::string setuptools;  // versions; empty: not installed
  std::string wheel;
  std::string ninja;
  std::string packaging;
};

struct Toolchain {
  std::filesystem::path cuda_home;
  std::filesystem::path nvcc;
  Version cuda;                         // of nvcc, major.minor
  std::string nvcc_build;               // "13.0.88"
  std::filesystem::path host_compiler;  // g++, full path
  Version host_version;                 // 12.2.0
  // Extra -isystem (cublas headers from torch's packages); mostly empty
  std::vector<std::filesystem::path> include_folders;
  // The toolkit's folder with a libcuda.so to link against, or empty: libcuda is part of the driver,
  // which a build machine lacks.
  std::filesystem::path stubs;
  std::string origin;  // "--cuda-home", "CUDA_HOME", "nvcc on PATH", "PyPI packages" ...
};

}  // namespace sagebuild
