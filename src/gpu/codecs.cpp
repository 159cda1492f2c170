#include "gpu/codecs.hpp"

#include <fmt/format.h>
#include <lz4.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <climits>
#include <memory>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild::gpu {
namespace {

struct Flag {
  std::uint64_t bit;
  ImageCodec codec;
};
constexpr Flag kFlags[] = {{0x1000, ImageCodec::zlib},
                           {0x2000, ImageCodec::lz4},
                           {0x4000, ImageCodec::lz4_frame},
                           {0x8000, ImageCodec::zstd}};

[[noreturn]] void fail(ImageCodec codec, std::string_view why) {
  throw Error(ErrorKind::failed, fmt::format("its {} stream {}", name_of(codec), why));
}

void unpack_zlib(std::string_view stored, char* to, std::size_t size) {
  uLongf got = size;
  uLong taken = stored.size();
  const int code = uncompress2(reinterpret_cast<Bytef*>(to), &got,
                               reinterpret_cast<const Bytef*>(stored.data()), &taken);
  if (code == Z_BUF_ERROR && got == size) fail(ImageCodec::zlib, "holds more than it says");
  if (code != Z_OK) fail(ImageCodec::zlib, "is damaged");
  if (got != size) fail(ImageCodec::zlib, "ends too early");
}

void unpack_lz4(std::string_view stored, char* to, std::size_t size) {
  const int got = LZ4_decompress_safe(stored.data(), to, static_cast<int>(stored.size()),
                                      static_cast<int>(size));
  if (got < 0) fail(ImageCodec::lz4, "is damaged, or holds more than it says");
  if (static_cast<std::size_t>(got) != size) fail(ImageCodec::lz4, "ends too early");
}

void unpack_lz4_frame(std::string_view stored, char* to, std::size_t size) {
  LZ4F_dctx* context = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
    fail(ImageCodec::lz4_frame, "cannot be read: no memory");
  const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> owner(
      context, LZ4F_freeDecompressionContext);
  std::size_t done = 0;
  while (true) {
    std::size_t room = size - done;
    std::size_t taken = stored.size();
    const std::size_t left =
        LZ4F_decompress(context, to + done, &room, stored.data(), &taken, nullptr);
    if (LZ4F_isError(left)) fail(ImageCodec::lz4_frame, "is damaged");
    done += room;
    stored.remove_prefix(taken);
    if (left == 0) break;  // the frame's end
    if (taken == 0 && room == 0)
      fail(ImageCodec::lz4_frame, done == size ? "holds more than it says" : "ends too early");
  }
  if (done != size) fail(ImageCodec::lz4_frame, "ends too early");
}

void unpack_zstd(std::string_view stored, char* to, std::size_t size) {
  // One frame: what stands behind it is padding.
  const std::size_t frame = ZSTD_findFrameCompressedSize(stored.data(), stored.size());
  if (ZSTD_isError(frame)) fail(ImageCodec::zstd, "is damaged");
  const std::size_t got = ZSTD_decompress(to, size, stored.data(), frame);
  if (ZSTD_isError(got))
    fail(ImageCodec::zstd, fmt::format("is damaged: {}", lower(ZSTD_getErrorName(got))));
  if (got != size) fail(ImageCodec::zstd, "ends too early");
}

}  // namespace

std::optional<ImageCodec> codec_of(std::uint64_t flags) {
  std::optional<ImageCodec> codec;
  for (const Flag& flag : kFlags) {
    if ((flags & flag.bit) == 0) continue;
    if (codec) return std::nullopt;
    codec = flag.codec;
  }
  return codec ? codec : ImageCodec::none;
}

std::optional<std::string> unlikely_size(ImageCodec codec, std::uint64_t stored,
                                         std::uint64_t size) {
  constexpr std::uint64_t kMost = std::uint64_t{512} << 20;
  if (stored > kMost || size > kMost)
    return fmt::format("it says {}, more than the {} that are read",
                       human_size(std::max(stored, size)), human_size(kMost));
  if (codec == ImageCodec::none) return std::nullopt;
  if (size == 0) return "it says that it unpacks to nothing";
  // What LZ4 and zlib can do at most; ZSTD can do more, and no GPU code is like that.
  constexpr std::uint64_t kRatio = 1040;
  constexpr std::uint64_t kFree = std::uint64_t{1} << 20;
  if (size > kFree && size / kRatio > stored)
    return fmt::format("{} cannot unpack to {}", human_size(stored), human_size(size));
  return std::nullopt;
}

std::string_view unpack(ImageCodec codec, std::string_view stored, std::size_t size,
                        Buffer& buffer) {
  if (codec == ImageCodec::none) return stored;
  if (stored.size() > LZ4_MAX_INPUT_SIZE || size > INT_MAX) fail(codec, "is too large");
  char* to = buffer.make(size);
  switch (codec) {
    case ImageCodec::zlib:
      unpack_zlib(stored, to, size);
      break;
    case ImageCodec::lz4:
      unpack_lz4(stored, to, size);
      break;
    case ImageCodec::lz4_frame:
      unpack_lz4_frame(stored, to, size);
      break;
    case ImageCodec::zstd:
      unpack_zstd(stored, to, size);
      break;
    case ImageCodec::none:
      break;
  }
  return {to, size};
}

}  // namespace sagebuild::gpu
