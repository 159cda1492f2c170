#pragma once
// The GPU code in a file, as the driver would find it: containers of images. One container belongs
// to one translation unit, and the driver takes one image of each.

#include <cstdint>
#include <string>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/version.hpp"

namespace sagebuild {

enum class ImageKind : std::uint8_t { sass, ptx, lto, unknown };

// How an image is stored. The first CUDA 12 driver that reads ZSTD is 550.54.14.
enum class ImageCodec : std::uint8_t { none, zlib, lz4, lz4_frame, zstd };
std::string name_of(ImageCodec codec);  // "none", "LZ4", "ZSTD" ...

struct GpuKernel {
  std::string name;         // mangled
  std::uint32_t traps = 0;  // instructions that end the kernel with an error
};

struct GpuImage {
  ImageKind kind = ImageKind::unknown;
  unsigned raw_kind = 0;  // the number in the file
  Arch arch;
  ImageCodec codec = ImageCodec::none;
  std::uint64_t stored = 0;    // bytes in the file
  std::uint64_t unpacked = 0;  // bytes when loaded
  std::uint64_t flags = 0;
  Version ptx_isa = {};         // of PTX: 9.0 is CUDA 13.0's
  Version toolkit = {};         // that made the machine code, where it says so
  int virtual_arch = 0;         // 80: made from compute_80; 0: not said
  std::string identifier = {};  // name of the source, with -lineinfo
  std::uint32_t kernels = 0;
  std::uint32_t traps = 0;                  // in all kernels together
  bool traps_known = true;                  // false below 7.0, and for what could not be read
  std::vector<GpuKernel> trapping = {};     // kernels with traps; functions that kernels call too
  std::vector<GpuKernel> all_kernels = {};  // where they were asked for
  std::string sha256 = {};                  // of the unpacked bytes, where it was asked for

  bool is_debug() const { return (flags & 0x2U) != 0; }
};

// "sm_90a", "compute_120", "LTO code for 8.9".
std::string name_of(const GpuImage& image);

struct GpuContainer {
  std::string section;
  std::uint64_t offset = 0;  // in the file
  // Images of -rdc=true objects, which no driver loads
  bool relocatable = false;
  std::vector<GpuImage> images;

  // A device link by nvcc leaves one image for each architecture that holds no kernel.
  bool has_kernels() const;
};

struct GpuCode {
  std::vector<GpuContainer> containers;
  // What could not be read or contradicts itself; each names the place.
  std::vector<std::string> faults;
  // Bytes of sections with GPU code
  std::uint64_t loadable_bytes = 0;
  std::uint64_t relocatable_bytes = 0;
};

}  // namespace sagebuild
