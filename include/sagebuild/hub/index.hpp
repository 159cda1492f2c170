#pragma once
// What a repository says about its wheels: wheels.json (a row of facts per wheel), SHA256SUMS, a
// table in README.md, and the line of .gitattributes that keeps wheels in LFS. All are functions of
// the tree, of the present files and of the new rows, so they can be made again from any head. What
// others wrote into these files stays.

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/hub/api.hpp"

namespace sagebuild {

inline constexpr const char* kWheelsJson = "wheels.json";
inline constexpr const char* kSha256Sums = "SHA256SUMS";
inline constexpr const char* kReadme = "README.md";
inline constexpr const char* kAttributes = ".gitattributes";
inline constexpr const char* kIndexFiles[] = {kAttributes, kWheelsJson, kSha256Sums, kReadme};
// One of them that is larger was not made by us, and is not read.
inline constexpr std::uint64_t kLargestIndexFile = std::uint64_t{16} << 20;
inline constexpr std::string_view kTableBegin =
    "<!-- sagebuild wheels begin: this part is written by `sagebuild upload` -->";
inline constexpr std::string_view kTableEnd = "<!-- sagebuild wheels end -->";

// A row of wheels.json has "file" (path in the repository), "sha256", "size", and what is known of
// "name", "version", "python", "abi", "platform", "torch", "cuda", "architectures", "source". What
// is not known is left out; keys that are not known stay.
using WheelRows = std::map<std::string, nlohmann::json>;  // by path
// The true size and digest of every wheel, by path.
using ShelfWheels = std::map<std::string, ObjectId>;

// The index files at the head, by path; nothing in place of a content that was too large to read.
using PresentFiles = std::map<std::string, std::optional<std::string>>;

// Where the links of the table point.
struct IndexPlace {
  std::string endpoint;  // canonical_endpoint()
  RepoId repo;
  std::string revision = "main";
};

struct IndexOptions {
  bool with_readme = true;
  bool force = false;  // replace what cannot be merged; of a README only damaged markers
};

struct Index {
  std::map<std::string, std::string> files;  // by path; what has to be left alone is not among them
  std::vector<std::string> warnings;         // what had to be left alone, or out, and why
};

bool is_wheel_path(std::string_view path);
// Whether a glob (fnmatch) fits a path or its last part.
bool matches_glob(const std::string& path, const std::string& glob);
// The last part of a path.
std::string_view name_of_path(std::string_view path);

// The row that a wheel's file name alone gives.
nlohmann::json row_from_name(std::string_view path);

// The rows of all wheels: one of the present wheels.json is believed only if its size and its
// digest are the wheel's.
WheelRows rows_of(const ShelfWheels& wheels, const std::string& present_json);

// `wheels`: all that the repository will have. `rows`: facts for the new ones.
Index make_index(const ShelfWheels& wheels, const WheelRows& rows, const PresentFiles& present,
                 const IndexPlace& place, const IndexOptions& options = {});

// Newest version first; of one version the newest torch, CUDA and Python first.
std::vector<const nlohmann::json*> newest_first(const WheelRows& rows);
// A value of a row as one line of text, lists joined by blanks; empty if it is not there.
std::string text_of_row(const nlohmann::json& row, const char* key);

}  // namespace sagebuild
