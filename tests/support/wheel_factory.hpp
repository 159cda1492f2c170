#pragma once
// Sound wheels of any size, in a folder of the test's own.

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <string>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "wheel/zip_file.hpp"

namespace sagebuild {

// Bytes that do not compress, the same for the same seed.
inline std::string noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

using WheelContent = std::vector<std::pair<std::string, ZipEntry>>;

// RECORD for `content`, in the folder `dist_info`.
inline std::string record_of(const WheelContent& content, const std::string& dist_info) {
  std::string record;
  for (const auto& [name, entry] : content) {
    record += fmt::format("{},sha256={},{}\n", name, sha256(entry.content).base64url(),
                          entry.content.size());
  }
  return record + dist_info + "/RECORD,,\n";
}

// The entries of a sound wheel called `file_name`, with `payload` as its module. RECORD is still to
// be added.
inline WheelContent wheel_content(const std::string& file_name, const std::string& payload,
                                  const std::string& provenance = "") {
  const WheelName name = parse_wheel_name(file_name).value();
  const std::string dist_info = fmt::format("{}-{}.dist-info", name.distribution, name.version);
  std::string tags;
  for (const std::string& tag : expanded_tags(name)) tags += "Tag: " + tag + "\n";
  WheelContent content = {
      {name.distribution + "/_module.so", {payload, true}},
      {dist_info + "/METADATA",
       {fmt::format("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", name.distribution,
                    name.version)}},
      {dist_info + "/WHEEL",
       {"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n" + tags}},
  };
  if (!provenance.empty()) content.push_back({dist_info + "/sagebuild.json", {provenance}});
  return content;
}

inline std::filesystem::path write_wheel(const std::filesystem::path& folder,
                                         const std::string& file_name, WheelContent content) {
  const WheelName name = parse_wheel_name(file_name).value();
  const std::string dist_info = fmt::format("{}-{}.dist-info", name.distribution, name.version);
  content.push_back({dist_info + "/RECORD", {record_of(content, dist_info)}});
  write_zip(folder / file_name, content, 1'700'000'000);
  return folder / file_name;
}

inline std::filesystem::path make_wheel(const std::filesystem::path& folder,
                                        const std::string& file_name, std::size_t size,
                                        unsigned seed = 1, const std::string& provenance = "") {
  return write_wheel(folder, file_name, wheel_content(file_name, noise(size, seed), provenance));
}

}  // namespace sagebuild
