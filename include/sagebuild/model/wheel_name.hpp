#pragma once
// The parts of a wheel's file name (PEP 427) and what sagebuild's local version label says:
// "+cu130torch2.11".

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/version.hpp"

namespace sagebuild {

struct WheelName {
  std::string distribution;
  std::string version;  // with its local label
  std::string build;    // mostly empty
  std::string python;   // "cp311"; compressed sets keep their dots
  std::string abi;
  std::string platform;

  std::string local_label() const;  // "cu130torch2.11", or empty
  std::string file_name() const;    // "sageattention-2.2.0-cp311-cp311-linux_x86_64.whl"

  bool operator==(const WheelName&) const = default;
};

// Nothing if `file_name` is no wheel name:
// "sageattention-2.2.0+cu130torch2.11-cp311-cp311-linux_x86_64.whl" is one.
std::optional<WheelName> parse_wheel_name(std::string_view file_name);

// Every tag of the compressed set, "cp39-abi3-linux_x86_64" each, as the file WHEEL lists them.
std::vector<std::string> expanded_tags(const WheelName& name);

// "3.11" of the Python tag "cp311"; empty for every other one.
std::string python_of_tag(std::string_view tag);

// Whether its Python and ABI tags are for that CPython, whose own tag is "cp311", or "cp313t" of
// one without the lock.
bool is_for_python(const WheelName& name, const Version& python, std::string_view tag);

// "cu130torch2.11.gd1a57a5" says CUDA 13.0 and torch 2.11. Nothing where the label does not say.
std::optional<Version> cuda_of_label(std::string_view label);
std::optional<Version> torch_of_label(std::string_view label);

}  // namespace sagebuild
