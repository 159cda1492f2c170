#pragma once
// The five ways in which an image is stored.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gpu/buffer.hpp"
#include "sagebuild/model/gpu_code.hpp"

namespace sagebuild::gpu {

// By the flags of an entry's header; nothing if several are said.
std::optional<ImageCodec> codec_of(std::uint64_t flags);

// Why `size` cannot be what `stored` bytes unpack to, or nothing. A lie about a size must not cost
// memory.
std::optional<std::string> unlikely_size(ImageCodec codec, std::uint64_t stored,
                                         std::uint64_t size);

// Exactly `size` bytes, in `buffer`. Throws Error{failed} for what ends short, long or wrong.
std::string_view unpack(ImageCodec codec, std::string_view stored, std::size_t size,
                        Buffer& buffer);

}  // namespace sagebuild::gpu
