#include "gpu/fatbin.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gpu/codecs.hpp"
#include "gpu/image.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild::gpu {
namespace {

constexpr std::size_t kContainerHeader = 16, kEntryHeader = 0x40;
// Its name and its options stand in it: more than any command line.
constexpr std::uint32_t kMostHeader = 1U << 20;
constexpr std::uint32_t kMostName = 4096;
constexpr std::size_t kMostImages = 2'000'000;
constexpr std::uint64_t kSpecific = 0x100000, kFamily = 0x200000, kObfuscated = 0x10000;
constexpr unsigned kStep = 8;

struct Kind {
  unsigned number;
  ImageKind kind;
};
constexpr Kind kKinds[] = {{1, ImageKind::ptx}, {2, ImageKind::sass}, {8, ImageKind::lto}};

void complain(GpuCode& code, const std::string& section, std::uint64_t at, std::string_view what) {
  if (code.faults.size() < kMostFaults)
    code.faults.push_back(fmt::format("{} at {:#x}: {}", section, at, what));
}

GpuImage image_of(std::string_view header) {
  GpuImage image;
  image.raw_kind = value_at<std::uint16_t>(header, 0);
  for (const Kind& kind : kKinds)
    if (kind.number == image.raw_kind) image.kind = kind.kind;
  image.flags = value_at<std::uint64_t>(header, 0x28);
  image.arch = arch_of_number(value_at<std::uint32_t>(header, 0x1c));
  if ((image.flags & kSpecific) != 0) image.arch.feature = ArchFeature::specific;
  if ((image.flags & kFamily) != 0) image.arch.feature = ArchFeature::family;
  if (image.kind == ImageKind::ptx)
    image.ptx_isa = {value_at<std::uint16_t>(header, 0x1a), value_at<std::uint16_t>(header, 0x18)};
  return image;
}

// Sets codec and sizes. Gives why its bytes cannot be read, or nothing.
std::string set_sizes(std::string_view header, std::uint64_t padded, GpuImage& image) {
  const auto codec = codec_of(image.flags);
  if (!codec) return "it is compressed in two ways";
  image.codec = *codec;
  const auto exact = value_at<std::uint32_t>(header, 0x10);
  image.stored = *codec == ImageCodec::none ? padded : exact;
  image.unpacked = *codec == ImageCodec::none ? padded : value_at<std::uint64_t>(header, 0x38);
  if (image.stored > padded) return "its compressed size is larger than its place";
  return unlikely_size(*codec, image.stored, image.unpacked).value_or("");
}

// Where its source's name stands in the header.
void set_identifier(std::string_view header, GpuImage& image) {
  const auto at = value_at<std::uint32_t>(header, 0x20);
  const auto length = std::min(value_at<std::uint32_t>(header, 0x24), kMostName);
  if (at < kEntryHeader || at >= header.size()) return;
  const std::string_view name = header.substr(at, length);
  image.identifier = name.substr(0, name.find('\0'));
}

// Where an entry of a container is, and what it says of its own sizes.
struct Entry {
  std::uint64_t at = 0;
  std::uint32_t header_size = 0;
  std::uint64_t padded = 0;
};

void add_image(const FatbinWalk& walk, const std::string& section, const Entry& entry,
               std::size_t index) {
  const auto& [at, header_size, padded] = entry;
  GpuContainer& container = walk.code.containers[index];
  const std::string header = walk.file.read(at, header_size);
  GpuImage image = image_of(header);
  set_identifier(header, image);
  const std::string fault = set_sizes(header, padded, image);
  if (!fault.empty())
    complain(walk.code, section, at, fmt::format("{}: {}", name_of(image), fault));
  if (image.kind == ImageKind::unknown)
    complain(
        walk.code, section, at,
        fmt::format("an image of the unknown kind {}, {}", image.raw_kind, human_size(padded)));
  const bool is_code = image.kind == ImageKind::sass || image.kind == ImageKind::ptx;
  const bool readable = fault.empty() && (image.flags & kObfuscated) == 0;
  image.traps_known = is_code && readable;
  walk.places.push_back({index, container.images.size(), at + header_size, image.stored, readable});
  container.images.push_back(std::move(image));
}

}  // namespace

std::uint64_t walk_container(const FatbinWalk& walk, const std::string& section,
                             std::uint64_t begin, std::uint64_t end, bool relocatable) {
  if (end - begin < kContainerHeader) return begin;
  const std::string head = walk.file.read(begin, kContainerHeader);
  const auto version = value_at<std::uint16_t>(head, 4);
  const auto head_size = value_at<std::uint16_t>(head, 6);
  const auto size = value_at<std::uint64_t>(head, 8);
  if (version != 1 || head_size != kContainerHeader) {
    complain(walk.code, section, begin,
             fmt::format("a container of the unknown version {} with a header of {} bytes", version,
                         head_size));
    return begin;
  }
  const std::uint64_t room = end - begin - kContainerHeader;
  if (size > room)
    complain(walk.code, section, begin,
             fmt::format("a container says {} bytes, and there are {}", size, room));
  const std::uint64_t stop = begin + kContainerHeader + std::min(size, room);
  const std::size_t index = walk.code.containers.size();
  GpuContainer& container = walk.code.containers.emplace_back();
  container.section = section;
  container.offset = begin;
  container.relocatable = relocatable;
  for (std::uint64_t at = begin + kContainerHeader; at < stop;) {
    const std::uint64_t left = stop - at;
    const std::string fixed =
        walk.file.read(at, static_cast<std::size_t>(std::min<std::uint64_t>(left, kEntryHeader)));
    const auto header_size = value_at<std::uint32_t>(fixed, 4);
    const auto padded = value_at<std::uint64_t>(fixed, 8);
    if (fixed.size() < kEntryHeader || header_size < kEntryHeader || header_size > kMostHeader ||
        header_size > left || padded > left - header_size || walk.places.size() >= kMostImages) {
      complain(walk.code, section, at,
               fmt::format("an image says a header of {} and {} more bytes, and there are {}",
                           header_size, padded, left));
      break;
    }
    add_image(walk, section, {at, header_size, padded}, index);
    at += header_size + padded;
  }
  return stop;
}

void walk_containers(const FatbinWalk& walk, const std::string& section, std::uint64_t begin,
                     std::uint64_t end, bool relocatable) {
  for (std::uint64_t at = begin; at < end;) {
    const auto found = walk.file.find(kContainerMagic, at, end, kStep);
    if (!found) {
      if (walk.code.containers.empty() && end - begin >= kContainerHeader)
        complain(walk.code, section, begin, "it holds no container");
      return;
    }
    const std::uint64_t behind = walk_container(walk, section, *found, end, relocatable);
    // A gap of less than a step is padding; the next one is looked for on the section's steps.
    at = behind > *found ? behind : *found + kStep;
    at += (kStep - (at - begin) % kStep) % kStep;
  }
}

}  // namespace sagebuild::gpu
