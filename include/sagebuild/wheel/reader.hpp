#pragma once
// Reads a wheel (PEP 427) and says whether it is sound. Entries stream; nothing is unpacked to
// disk.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {

struct WheelEntry {
  std::string name;
  std::uint64_t size = 0;  // unpacked
  std::uint32_t mode = 0;  // Unix mode bits, 0 if the archive was not made on Unix
};

// One line of RECORD. `sha256` is in URL-safe base64 without padding; empty for RECORD itself.
struct RecordLine {
  std::string name;
  std::string sha256;
  std::optional<std::uint64_t> size;
};

class WheelReader {
 public:
  // Throws Error{failed} if the file cannot be read, is no zip archive, or must not be unpacked: a
  // bomb, entries over each other.
  explicit WheelReader(std::filesystem::path path);
  ~WheelReader();
  WheelReader(const WheelReader&) = delete;
  WheelReader& operator=(const WheelReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::vector<WheelEntry>& entries() const { return entries_; }  // in the archive's order
  // What is wrong with the archive itself: its headers disagree, bytes belong to no entry, a name
  // leads outside or occurs twice. Empty: nothing.
  const std::vector<std::string>& faults() const { return faults_; }
  bool has(std::string_view name) const;
  // The folder "NAME-VERSION.dist-info". Throws Error{failed} unless there is exactly one.
  std::string dist_info() const;
  // The whole entry; its CRC is checked. Throws Error{failed} if it is missing, damaged, or larger
  // than `limit` bytes.
  std::string read(std::string_view name, std::uint64_t limit = std::uint64_t{16} << 20) const;
  // The same in pieces, for entries of any size. Never more than the entry's size.
  void stream(std::size_t index, const std::function<void(std::string_view)>& take) const;

 private:
  struct Archive;
  std::filesystem::path path_;
  std::unique_ptr<Archive> archive_;
  std::vector<WheelEntry> entries_;
  std::vector<std::string> faults_;
};

// The value of the first `key:` line of a METADATA or WHEEL file's head; keys compare without case.
std::optional<std::string> metadata_field(std::string_view text, std::string_view key);
std::vector<std::string> metadata_fields(std::string_view text, std::string_view key);
// Reads CSV with quotes. Lines without three fields are left out.
std::vector<RecordLine> parse_record(std::string_view text);

struct SoundWheel {
  WheelName name;
  std::string metadata;                   // METADATA
  std::optional<std::string> provenance;  // sagebuild.json, where sagebuild made the wheel
};

// What a wheel says of itself, as far as it can be read, and everything that PyPI, pip or uv would
// trip over.
struct SaidWheel {
  std::optional<WheelName> name;
  std::string metadata;
  std::optional<std::string> provenance;
  WheelFaults faults;
};

// Reads it, and every file in it once: `take`, where given, gets each entry's pieces too. `name` is
// the file's, as it was or shall be published. `tick` is called often and may throw. Throws what
// WheelReader throws.
using TakeEntry = std::function<void(std::size_t index, std::string_view piece)>;
SaidWheel read_wheel(const WheelReader& wheel, std::string_view name,
                     const TakeEntry& take = nullptr, const std::function<void()>& tick = nullptr);

// Throws Error{findings} "'x.whl' is not a sound wheel" with every fault as a cause. `tick` is
// called often and may throw. `name` is the file's name where the path has another one.
SoundWheel require_sound_wheel(const std::filesystem::path& path,
                               const std::function<void()>& tick = nullptr);
SoundWheel require_sound_wheel(const std::filesystem::path& path, const std::string& name,
                               const std::function<void()>& tick);

}  // namespace sagebuild
