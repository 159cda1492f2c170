#pragma once
// What a package asks of another, as `Requires-Dist` of METADATA says it.

#include <string>
#include <string_view>

namespace sagebuild {

struct Requirement {
  std::string name;    // "torch", in small letters
  std::string extras;  // "[opt]", or empty
  std::string range;   // "==2.11.*"; empty: any, and what a URL names
  std::string marker;  // "extra == \"test\"", or empty
};

// Of "torch[opt]>=2.6,<3; extra == \"test\"" or "torch @ URL ; marker"
// (https://peps.python.org/pep-0508/). What has no such shape is taken as far as it goes.
Requirement parse_requirement(std::string_view text);

}  // namespace sagebuild
