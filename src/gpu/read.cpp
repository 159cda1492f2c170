#include "sagebuild/gpu/read.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "gpu/codecs.hpp"
#include "gpu/fatbin.hpp"
#include "gpu/image.hpp"
#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf_view.hpp"
#include "sagebuild/sys/worker_pool.hpp"

namespace sagebuild {
namespace {

using gpu::Buffer;
using gpu::FatbinWalk;
using gpu::ImagePlace;

constexpr std::string_view kElfMagic(ELFMAG, SELFMAG);
constexpr std::string_view kLoadable = ".nv_fatbin", kRelocatable = "__nv_relfatbin";
// Larger ones are read one at a time, so that memory does not grow with the cores.
constexpr std::uint64_t kLarge = std::uint64_t{32} << 20;

struct File {
  FileBytes bytes;
  GpuCode code;
  std::vector<ImagePlace> places;
};

// The end of the ELF file that begins at `offset`, by its section table; 0 if it is no cubin.
std::uint64_t cubin_size(const FileBytes& file, std::uint64_t offset, std::uint64_t end) {
  if (end - offset < sizeof(Elf64_Ehdr)) return 0;
  const std::string head = file.read(offset, sizeof(Elf64_Ehdr));
  if (static_cast<unsigned char>(head[EI_CLASS]) != ELFCLASS64) return 0;
  if (value_at<std::uint16_t>(head, offsetof(Elf64_Ehdr, e_machine)) != gpu::kCudaMachine) return 0;
  const std::uint64_t room = end - offset;
  std::uint64_t size = sizeof(Elf64_Ehdr);
  const auto table = [&](std::size_t at, std::size_t length, std::size_t count) {
    const auto begin = value_at<std::uint64_t>(head, at);
    const auto bytes =
        std::uint64_t{value_at<std::uint16_t>(head, length)} * value_at<std::uint16_t>(head, count);
    if (begin <= room && bytes <= room - begin) size = std::max(size, begin + bytes);
  };
  // nvcc writes both tables behind everything else.
  table(offsetof(Elf64_Ehdr, e_shoff), offsetof(Elf64_Ehdr, e_shentsize),
        offsetof(Elf64_Ehdr, e_shnum));
  table(offsetof(Elf64_Ehdr, e_phoff), offsetof(Elf64_Ehdr, e_phentsize),
        offsetof(Elf64_Ehdr, e_phnum));
  return size;
}

// A cubin that lies in the file without a container; gives where it ends, or `begin`.
std::uint64_t add_cubin(File& file, const std::string& section, std::uint64_t begin,
                        std::uint64_t end) {
  const std::uint64_t size = cubin_size(file.bytes, begin, end);
  if (size == 0) return begin;
  GpuImage image;
  image.kind = ImageKind::sass;
  image.raw_kind = 2;
  image.stored = image.unpacked = size;
  GpuContainer container{section, begin, false, {std::move(image)}};
  const auto fault = gpu::unlikely_size(ImageCodec::none, size, size);
  if (fault) file.code.faults.push_back(fmt::format("{} at {:#x}: {}", section, begin, *fault));
  file.places.push_back({file.code.containers.size(), 0, begin, size, !fault});
  file.code.containers.push_back(std::move(container));
  return begin + size;
}

// Both magics, wherever they stand.
void scan(File& file, const std::string& section, std::uint64_t begin, std::uint64_t end) {
  const FatbinWalk walk{file.bytes, file.code, file.places};
  for (std::uint64_t at = begin; at < end;) {
    const auto container = file.bytes.find(gpu::kContainerMagic, at, end, 1);
    const auto cubin = file.bytes.find(kElfMagic, at, container.value_or(end), 1);
    const auto found = cubin ? cubin : container;
    if (!found) return;
    const std::uint64_t behind = cubin ? add_cubin(file, section, *found, end)
                                       : gpu::walk_container(walk, section, *found, end, false);
    at = std::max(behind, *found + 1);
  }
}

void walk_elf(const std::filesystem::path& path, File& file, bool deep) {
  const ElfView elf(path);
  if (elf.identity().machine == gpu::kCudaMachine) {
    add_cubin(file, "cubin", 0, file.bytes.size());
    return;
  }
  const FatbinWalk walk{file.bytes, file.code, file.places};
  std::uint64_t most = file.bytes.size();  // sections that lie over each other cost no more
  for (const ElfSection& section : elf.sections()) {
    if (section.type != SHT_PROGBITS) continue;
    const bool loadable = section.name == kLoadable, relocatable = section.name == kRelocatable;
    if (!loadable && !relocatable && !deep) continue;
    if (section.offset > file.bytes.size() || section.size > file.bytes.size() - section.offset) {
      if (loadable || relocatable)
        file.code.faults.push_back(fmt::format("{} reaches past the end", section.name));
      continue;
    }
    if (section.size > most) {
      file.code.faults.push_back("its sections lie over each other");
      return;
    }
    most -= section.size;
    const std::string name(section.name.substr(0, 64));
    const std::uint64_t end = section.offset + section.size;
    if (loadable) file.code.loadable_bytes += section.size;
    if (relocatable) file.code.relocatable_bytes += section.size;
    if (loadable || relocatable)
      gpu::walk_containers(walk, name, section.offset, end, relocatable);
    else
      scan(file, name, section.offset, end);
  }
}

struct Buffers {
  Buffer stored;
  Buffer unpacked;
};

// Gives what is wrong with it.
std::vector<std::string> look_at(const File& file, const ImagePlace& place, GpuImage& image,
                                 const GpuReadSettings& settings, Buffers& buffers,
                                 std::mutex& taking) {
  const auto size = static_cast<std::size_t>(place.size);
  char* stored = buffers.stored.make(size);
  file.bytes.read(place.offset, stored, size);
  const std::string_view bytes = gpu::unpack(
      image.codec, {stored, size}, static_cast<std::size_t>(image.unpacked), buffers.unpacked);
  std::vector<std::string> faults;
  if (image.kind == ImageKind::sass && image.arch.major == 0)
    image.arch = gpu::arch_of_cubin(bytes);
  if (image.kind == ImageKind::sass)
    faults = gpu::look_at_cubin(bytes, settings.kernel_names, image);
  else if (image.kind == ImageKind::ptx)
    faults = gpu::look_at_ptx(bytes, settings.kernel_names, image);
  if (settings.digests) image.sha256 = sha256(bytes).hex();
  if (settings.take) {
    const std::lock_guard lock(taking);
    settings.take(file.code.containers[place.container], image, bytes);
  }
  return faults;
}

void look_at_images(File& file, const GpuReadSettings& settings) {
  std::vector<std::vector<std::string>> faults(file.places.size());
  std::atomic<std::size_t> next = 0;
  std::mutex large, taking;
  const auto work = [&] {
    Buffers buffers;
    for (std::size_t i = next++; i < file.places.size(); i = next++) {
      const ImagePlace& place = file.places[i];
      GpuImage& image = file.code.containers[place.container].images[place.image];
      const bool has_kernels = image.kind == ImageKind::sass || image.kind == ImageKind::ptx;
      // A cubin without a container alone says what it is for.
      const bool is_wanted = settings.headers_only
                                 ? image.arch.major == 0 && image.kind == ImageKind::sass
                                 : has_kernels || settings.digests || settings.take;
      if (!place.readable || !is_wanted) continue;
      const bool is_large = image.stored + image.unpacked > kLarge;
      const auto lock =
          is_large ? std::unique_lock(large) : std::unique_lock(large, std::defer_lock);
      try {
        faults[i] = look_at(file, place, image, settings, buffers, taking);
      } catch (const Error& error) {
        image.traps_known = false;
        faults[i] = {error.causes.empty() ? error.message : error.causes.front()};
      }
      buffers.stored.shrink(kLarge / 2);
      buffers.unpacked.shrink(kLarge);
    }
  };
  {
    WorkerPool pool(settings.jobs);
    std::vector<std::future<void>> running;
    const auto count = std::clamp<std::size_t>(file.places.size(), 1, settings.jobs);
    for (std::size_t i = 0; i < count; ++i) running.push_back(pool.submit(work));
    for (auto& one : running) one.get();
  }
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const ImagePlace& place = file.places[i];
    const GpuContainer& container = file.code.containers[place.container];
    for (const std::string& fault : faults[i]) {
      if (file.code.faults.size() >= gpu::kMostFaults) return;
      file.code.faults.push_back(fmt::format("{} at {:#x}: {}: {}", container.section, place.offset,
                                             name_of(container.images[place.image]), fault));
    }
  }
}

}  // namespace

bool is_gpu_file(std::string_view begin) {
  return begin.starts_with(kElfMagic) || begin.starts_with(gpu::kContainerMagic);
}

GpuCode read_gpu_code(const std::filesystem::path& path, const GpuReadSettings& settings) {
  File file{FileBytes(path), {}, {}};
  const std::string magic = file.bytes.read(0, std::min<std::uint64_t>(file.bytes.size(), 4));
  if (magic == gpu::kContainerMagic) {
    file.code.loadable_bytes = file.bytes.size();
    gpu::walk_containers({file.bytes, file.code, file.places}, "fatbin", 0, file.bytes.size(),
                         false);
  } else {
    walk_elf(path, file, settings.deep);
  }
  look_at_images(file, settings);
  return std::move(file.code);
}

}  // namespace sagebuild
