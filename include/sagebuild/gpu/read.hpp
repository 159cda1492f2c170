#pragma once
// Reads the GPU code in a file by itself: no CUDA toolkit, no driver. NVIDIA specifies none of it;
// the layout was read off files of CUDA 12.2 to 13.1 and held against cuobjdump (docs/inspect.md,
// "Held against cuobjdump").

#include <filesystem>
#include <functional>
#include <string_view>

#include "sagebuild/model/gpu_code.hpp"

namespace sagebuild {

struct GpuReadSettings {
  // Other sections too: some libraries keep cubins in their data
  bool deep = false;
  bool kernel_names = false;  // of every kernel, not only of those with traps
  bool digests = false;       // SHA-256 of each image's unpacked bytes
  // What the headers say, and no more: no image is unpacked, and `kernels` and `traps` stay unread.
  bool headers_only = false;
  unsigned jobs = 1;  // threads
  // Called with each image that was read and its unpacked bytes, one call at a time, in any order.
  std::function<void(const GpuContainer&, const GpuImage&, std::string_view)> take = nullptr;
};

// Whether a file that begins so is one that read_gpu_code takes: an ELF file or a bare fatbin.
bool is_gpu_file(std::string_view begin);

// Of a shared library or object, a bare fatbin or a bare cubin. A file without GPU code gives
// nothing. What is damaged is told in `faults`, and the rest is read all the same: an image whose
// bytes are wrong counts as there, with no kernels. No more than some images are in memory, each of
// 512 MiB at most. Throws Error{failed} if the file cannot be read or is none of these.
GpuCode read_gpu_code(const std::filesystem::path& file, const GpuReadSettings& settings = {});

}  // namespace sagebuild
