#pragma once
// Conditions that a test plants: interpreters that say what they are told, toolkit folders, and
// variables of the environment.

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "sagebuild/env/toolchain.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/environment.hpp"

namespace sagebuild {

inline std::filesystem::path executable_file(const std::filesystem::path& path,
                                             const std::string& text) {
  make_folders(path.parent_path());
  write_file(path, text);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

// What a planted interpreter says of itself; the defaults can build.
struct SaidByPython {
  std::string version = "3.11.7";
  std::string torch = "2.11.0+cu130";  // empty: none
  std::string cuda = "13.0";
  std::string abi = "null";
  std::string setuptools = "80.9.0";
  std::string wheel = "0.45.0";
  bool headers = true;
};

// A script in place of an interpreter: for conditions that a real one would take gigabytes to be
// in.
inline std::filesystem::path planted_python(const std::filesystem::path& folder,
                                            const SaidByPython& said) {
  const auto path = folder / "bin" / "python";
  const std::string torch =
      said.torch.empty()
          ? "null"
          : fmt::format(R"({{"version": "{}", "cuda": "{}", "root": "{}", "abi": {}}})", said.torch,
                        said.cuda, (folder / "site-packages" / "torch").string(), said.abi);
  const std::string json = fmt::format(
      R"({{"implementation": "cpython", "executable": "{}", "version": "{}", "tag": "cp311", "soabi": "cpython-311",)"
      R"( "include": "/planted/include", "headers": {}, "site_packages": "{}", "torch": {},)"
      R"( "packages": {{"setuptools": "{}", "wheel": "{}", "ninja": "", "packaging": "24.0"}}}})",
      path.string(), said.version, said.headers, (folder / "site-packages").string(), torch,
      said.setuptools, said.wheel);
  return executable_file(path, fmt::format("#!/bin/sh\ncat <<'END'\n{}\nEND\n", json));
}

// A toolkit folder whose nvcc says that it is `version` ("12.4.131").
inline std::filesystem::path planted_toolkit(const std::filesystem::path& folder,
                                             const std::string& version, int newest_gcc = 15) {
  const std::string release = version.substr(0, version.rfind('.'));
  executable_file(folder / "bin" / "nvcc",
                  fmt::format("#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver'\n"
                              "echo 'Cuda compilation tools, release {}, V{}'\n",
                              release, version));
  make_folders(folder / "include" / "crt");
  make_folders(folder / "lib64");
  write_file(folder / "include" / "cuda_runtime.h", "");
  write_file(
      folder / "include" / "crt" / "host_config.h",
      fmt::format("#if defined(__GNUC__)\n\n#if __GNUC__ > {}\n#error\n#endif\n", newest_gcc));
  write_file(folder / "lib64" / "libcudart.so", "");
  return folder;
}

}  // namespace sagebuild
