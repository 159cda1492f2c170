#pragma once
// What a repository says about its wheels: wheels.json (a row of facts per wheel), SHA256SUMS, and
// a table in README.md. All three are functions of the tree, of the rows known so far and of the
// new rows, so they can be made again from any head.

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/hub/api.hpp"

namespace sagebuild {

inline constexpr const char* kWheelsJson = "wheels.json";
inline constexpr const char* kSha256Sums = "SHA256SUMS";
inline constexpr const char* kReadme = "README.md";
inline constexpr std::string_view kTableBegin =
    "<!-- sagebuild wheels begin: this part is written by `sagebuild upload` -->";
inline constexpr std::string_view kTableEnd = "<!-- sagebuild wheels end -->";

// A row of wheels.json has "file" (path in the repository), "sha256", "size", and what is known of
// "name", "version", "python", "abi", "platform", "torch", "cuda", "architectures", "source". What
// is not known is left out.
using WheelRows = std::map<std::string, nlohmann::json>;  // by path

// Where the links of the table point.
struct IndexPlace {
  std::string endpoint;  // canonical_endpoint()
  RepoId repo;
  std::string revision = "main";
};

struct Index {
  std::string wheels_json;
  std::string sha256_sums;
  std::string readme;
  std::string warning;  // something in the present files had to be left alone; empty if not
};

// The row that a wheel's file name alone gives.
nlohmann::json row_from_name(std::string_view path);

// `wheels`: all that the repository will have, with their digests where known. `rows`: facts for
// the new ones. `present_json` and `present_readme` are the files at the head; empty if there are
// none.
Index make_index(const std::map<std::string, RemoteFile>& wheels, const WheelRows& rows,
                 const std::string& present_json, const std::string& present_readme,
                 const IndexPlace& place);

}  // namespace sagebuild
