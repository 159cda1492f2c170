#pragma once
// GPU models as people write them.

#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct GpuModel {
  std::string name;        // for a reader: "RTX 6000 Ada"
  std::string capability;  // "8.9"
};

// The models that a name can mean, however it is written: "RTX 4070 Ti SUPER", "rtx_4090", "4090",
// "NVIDIA GeForce RTX 5090 Laptop GPU", "A100 80GB PCIe". Empty: no model that is known. Several,
// if NVIDIA gave the name more than once: "RTX 6000".
std::vector<GpuModel> gpus_called(std::string_view name);
// Whether a model's name can begin with this word, which is none by itself: "RTX", "NVIDIA".
bool begins_gpu_name(std::string_view word);
// Every model once, in the spelling that is looked up: for hints.
std::vector<std::string> gpu_names();

}  // namespace sagebuild
