#pragma once
// `sagebuild verify --rebuild`: the wheel is built again as its provenance says, and the bytes are
// compared.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/app/build.hpp"
#include "sagebuild/model/provenance.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// What a provenance does not say, or says of another machine.
struct RebuildSettings {
  std::filesystem::path wheel;
  std::string source;                                // URL or folder; empty: the provenance's
  std::string recipe;                                // its name; empty: the provenance's
  std::optional<std::filesystem::path> recipe_file;  // this one instead
  PythonChoice python;
  ToolchainChoice toolchain;
  std::vector<std::string> variables;  // --env, for those without a value in the provenance
  Limits limits;
  CacheChoice cache;
  std::filesystem::path output;  // folder that keeps the second wheel; empty: it goes away
  bool offline = false;
};

struct RebuildOutcome {
  std::string wheel;   // file name of the second one
  std::string sha256;  // of the first one, in hex
  // Entries with other content, or that one of the two lacks; empty: the same bytes
  std::vector<std::string> differences;
  std::vector<std::string> reasons;  // what the second one was made with that the first was not
  bool is_same() const { return differences.empty(); }
};

// The settings of that build. Throws Error{usage} for what the provenance leaves open: a source
// that was a folder, a variable without its value, another SOURCE_DATE_EPOCH.
BuildSettings settings_for_rebuild(const StatedProvenance& stated, RebuildSettings settings);

// Which entries of two wheels differ, by content: "pkg/_k.so differs". Of equal entries that lie
// otherwise in the archive: that alone.
std::vector<std::string> differences_of(const std::filesystem::path& one,
                                        const std::filesystem::path& other);

// Throws Error{findings} for a wheel that is not sound, Error{usage} for one without provenance,
// and what build() throws.
RebuildOutcome rebuild_wheel(RebuildSettings settings, Reporter& report);

}  // namespace sagebuild
