#pragma once
// What one unpacked image says: kernels, traps, the toolkit that made it.

#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/gpu_code.hpp"

namespace sagebuild::gpu {

constexpr unsigned kCudaMachine = 190;  // EM_CUDA

// "sm_90" is 90 in files.
Arch arch_of_number(unsigned number);

// Fills in what machine code tells of itself. Gives what contradicts the entry's header. Throws
// Error{failed} if it is no cubin.
std::vector<std::string> look_at_cubin(std::string_view bytes, bool names, GpuImage& image);
// The same for PTX.
std::vector<std::string> look_at_ptx(std::string_view text, bool names, GpuImage& image);

// A cubin that stands by itself: arch and suffix from its own header.
Arch arch_of_cubin(std::string_view bytes);

}  // namespace sagebuild::gpu
