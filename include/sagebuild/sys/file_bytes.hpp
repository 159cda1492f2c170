#pragma once
// A file that is read at any place, from any thread.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

class FileBytes {
 public:
  // Throws Error{failed} if it cannot be opened or is no file.
  explicit FileBytes(const std::filesystem::path& path);
  ~FileBytes();
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  std::uint64_t size() const { return size_; }
  const std::string& name() const { return name_; }
  // Fills `into`. Throws Error{failed} where the file is shorter.
  void read(std::uint64_t offset, char* into, std::size_t count) const;
  std::string read(std::uint64_t offset, std::size_t count) const;
  // Where `bytes` stands next in [from, to), at a multiple of `step` from `from`.
  std::optional<std::uint64_t> find(std::string_view bytes, std::uint64_t from, std::uint64_t to,
                                    unsigned step) const;

 private:
  std::string name_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

// A little-endian number at a place of `bytes`; 0 where it would end outside.
template <class Value>
Value value_at(std::string_view bytes, std::size_t at) {
  Value value{};
  if (at <= bytes.size() && sizeof value <= bytes.size() - at)
    std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace sagebuild
