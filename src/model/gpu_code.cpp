#include "sagebuild/model/gpu_code.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sagebuild {

std::string name_of(ImageCodec codec) {
  switch (codec) {
    case ImageCodec::none:
      return "none";
    case ImageCodec::zlib:
      return "zlib";
    case ImageCodec::lz4:
      return "LZ4";
    case ImageCodec::lz4_frame:
      return "LZ4 frame";
    case ImageCodec::zstd:
      return "ZSTD";
  }
  return "";
}

std::string name_of(const GpuImage& image) {
  switch (image.kind) {
    case ImageKind::sass:
      return sm_name(image.arch);
    case ImageKind::ptx:
      return compute_name(image.arch);
    case ImageKind::lto:
      return "lto_" + digits(image.arch);
    case ImageKind::unknown:
      break;
  }
  return fmt::format("kind {:#x} for {}", image.raw_kind, digits(image.arch));
}

bool GpuContainer::has_kernels() const {
  return std::ranges::any_of(images, [](const GpuImage& image) { return image.kernels != 0; });
}

}  // namespace sagebuild
