#pragma once
// Another label or other tags for a finished wheel, in every place that says them: the file's name,
// the .dist-info and .data folders, METADATA, WHEEL, RECORD, and a CycloneDX SBOM.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {

// What is to be other than it is; nothing: it stays.
struct WheelChange {
  std::optional<std::string> label;   // local version label, "cu130torch2.11"; empty: none
  std::optional<std::string> python;  // compressed sets, "cp311" or "py2.py3"
  std::optional<std::string> abi;
  std::optional<std::string> platform;
  std::optional<std::string> build;  // "1" or "1gpu"; empty: none
};

// The name that the wheel will have. A label is normalised as PEP 440 wants it ("A_b" is "a.b").
// Throws Error{usage} for what is no label, no tag and no build number.
WheelName changed_name(const WheelName& name, const WheelChange& change);

// Writes `wheel` as `target`, whose name says what is to be changed; whole or not at all. Bytes of
// other entries are copied as they lie there, compressed. Signatures of RECORD are left out, since
// they are void. `wheel` is a sound one (require_sound_wheel). Gives what a person should know,
// such as a version that stands in the code. Throws Error{failed} if it cannot be read or written,
// or would not be a sound wheel.
std::vector<std::string> rewrite_wheel(const std::filesystem::path& wheel,
                                       const std::filesystem::path& target,
                                       const std::function<void()>& tick = nullptr);

// The same text of a CycloneDX document with another version of the component that it is about.
// Nothing: it is no such document, or of another version.
std::optional<std::string> sbom_of_version(const std::string& text, const std::string& from,
                                           const std::string& to);

}  // namespace sagebuild
