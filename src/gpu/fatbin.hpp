#pragma once
// The containers of a fatbin: headers only. What each image holds is read later.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/gpu_code.hpp"
#include "sagebuild/sys/file_bytes.hpp"

namespace sagebuild::gpu {

constexpr std::string_view kContainerMagic("\x50\xed\x55\xba", 4);
constexpr std::size_t kMostFaults = 200;  // that are told of one file

// Where an image's bytes are in the file, as they are stored.
struct ImagePlace {
  std::size_t container = 0;
  std::size_t image = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool readable = true;  // false: its header says what cannot be
};

struct FatbinWalk {
  const FileBytes& file;
  GpuCode& code;
  std::vector<ImagePlace>& places;
};

// Of containers that lie end to end in [begin, end) of the file, on 8-byte steps. What is wrong is
// told in the code's faults; the walk goes on behind it.
void walk_containers(const FatbinWalk& walk, const std::string& section, std::uint64_t begin,
                     std::uint64_t end, bool relocatable);
// The one container at `begin`, which holds its magic; gives where it ends. `begin` if it is none.
std::uint64_t walk_container(const FatbinWalk& walk, const std::string& section,
                             std::uint64_t begin, std::uint64_t end, bool relocatable);

}  // namespace sagebuild::gpu
