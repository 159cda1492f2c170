#pragma once
// Which image of a container the driver takes on a GPU, and whether a file serves it.

#include <string>
#include <vector>

#include "sagebuild/model/gpu_code.hpp"

namespace sagebuild {

struct GpuGeneration {
  Arch capability;
  std::string_view name;  // "RTX 40, L4, L40S"
};
// From RTX 20 to GB10, sorted.
const std::vector<GpuGeneration>& gpu_generations();
// "8.9 (RTX 40, L4, L40S)"; the number alone where none is known.
std::string described_gpu(Arch capability);

// Whether the image runs on a GPU of that capability, be it that the driver compiles it first. CUDA
// C++ Programming Guide, "Feature availability": plain machine code runs on later minors of its
// major, plain PTX on everything later, 'f' within its family, 'a' on one capability alone.
bool runs_on(const GpuImage& image, Arch capability);

// What the driver takes: machine code before PTX, of these the latest. Null: nothing runs.
const GpuImage* image_for(const GpuContainer& container, Arch capability);

struct GpuService {
  enum class How { native, jit, traps, partly, none, no_code } how = How::no_code;
  std::size_t containers = 0;  // those with kernels
  std::size_t served = 0;
  std::vector<std::string> images;   // that are taken, each name once
  std::vector<GpuKernel> trapping;   // kernels with traps in what is taken
  Version ptx_isa = {};              // the latest of the PTX that is taken
  Arch ptx = {};                     // that PTX
  std::vector<std::string> present;  // what a container that is not served has instead
};
GpuService service_of(const GpuCode& code, Arch capability);

// The CUDA version whose driver knows that PTX: 13.0 for ISA 9.0.
std::string cuda_of_isa(const Version& isa);

}  // namespace sagebuild
