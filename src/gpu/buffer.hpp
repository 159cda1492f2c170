#pragma once
// Room for bytes that is not cleared before it is filled.

#include <memory>

namespace sagebuild::gpu {

class Buffer {
 public:
  char* make(std::size_t size) {
    if (size > room_) bytes_ = std::make_unique_for_overwrite<char[]>(room_ = size);
    return bytes_.get();
  }
  // Gives back what a large image took.
  void shrink(std::size_t most) {
    if (room_ <= most) return;
    bytes_.reset();
    room_ = 0;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t room_ = 0;
};

}  // namespace sagebuild::gpu
