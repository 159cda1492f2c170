#pragma once
// The Python with torch and a CUDA compiler that tests share: tests/e2e/environment_test.py makes
// it.

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

// SAGEBUILD_TEST_PYTHON, else the one that a file in SAGEBUILD_TEST_CACHE names.
inline std::optional<std::filesystem::path> shared_python() {
  if (const char* named = std::getenv("SAGEBUILD_TEST_PYTHON")) return named;
  const char* cache = std::getenv("SAGEBUILD_TEST_CACHE");
  if (cache == nullptr) return std::nullopt;
  const auto told = read_file_if_exists(std::filesystem::path(cache) / "torch-python");
  if (!told) return std::nullopt;
  return std::string(trimmed(*told));
}

// What lies at `name` in its site-packages.
inline std::optional<std::filesystem::path> shared_package(const std::filesystem::path& name) {
  const auto python = shared_python();
  if (!python) return std::nullopt;
  const std::filesystem::path library = python->parent_path().parent_path() / "lib";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(library, error)) {
    const std::filesystem::path found = entry.path() / "site-packages" / name;
    if (std::filesystem::exists(found)) return found;
  }
  return std::nullopt;
}

}  // namespace sagebuild
