#pragma once
// Writes zip archives, by libzip; wheel/reader.hpp reads them.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sagebuild {

inline constexpr int kZipLevel = 6;  // of deflate

// A time as zip archives have it, clock and date. In UTC, so that no time zone moves it.
std::pair<std::uint16_t, std::uint16_t> dos_time(std::int64_t epoch_seconds);

struct ZipEntry {
  std::string content;
  bool executable = false;
  // A zip whose first entry is this one, to be copied as it is
  std::filesystem::path compressed = {};
};

// Writes the entries in the given order of names, with one time and fixed modes, so that equal
// content gives equal bytes. `path` appears whole or not at all.
void write_zip(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, ZipEntry>>& entries,
               std::int64_t epoch_seconds);

}  // namespace sagebuild
