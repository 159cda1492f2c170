#pragma once
// The bill of materials of a finished wheel. Private to this folder.

#include <string>

#include "sagebuild/model/wheel.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {

// A CycloneDX 1.6 document (https://cyclonedx.org/docs/1.6/json/) for
// NAME.dist-info/sboms/sagebuild.cdx.json (PEP 770): the wheel, the source that it was made of,
// what it needs beside it, and, as excluded, the tools that made it. Without time and serial
// number, so that the same wheel has the same one.
std::string sbom_json(const Provenance& provenance, const WheelName& name);

}  // namespace sagebuild
