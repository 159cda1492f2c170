#pragma once
// GPU models as people write them.

#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// The compute capability ("8.9") of a model, however it is written: "RTX 4070 Ti SUPER",
// "rtx_4090", "4090", "NVIDIA GeForce RTX 5090 Laptop GPU", "A100 80GB PCIe". Empty: no model that
// is known.
std::string capability_of_gpu(std::string_view name);
// Every model once, in the spelling that is looked up: for hints.
std::vector<std::string> gpu_names();

}  // namespace sagebuild
