#pragma once
// The inputs of every key that was stored, so that a miss can be explained: keys/SUBJECT/KEY,
// SUBJECT being the digest of kind and subject.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {

struct KeyDescription {
  std::string kind;
  std::string subject;
  std::vector<std::pair<std::string, std::string>> inputs;
  std::string key;                          // 64 hex digits
  std::filesystem::file_time_type written;  // by the file's time
};

class KeyLog {
 public:
  static constexpr std::size_t kMostKeys = 20;  // of one subject; the oldest go first

  explicit KeyLog(const std::filesystem::path& root) : folder_(root / "keys") {}

  void put(const ActionKey& key) const;  // throws Error{failed}
  // Of the same kind and subject, the newest first. Damaged ones are left out.
  std::vector<KeyDescription> of_subject(const std::string& kind, const std::string& subject) const;
  std::vector<std::vector<KeyDescription>> all() const;

 private:
  static void keep_newest(const std::filesystem::path& folder);
  std::vector<KeyDescription> in_folder(const std::filesystem::path& folder) const;

  std::filesystem::path folder_;
};

KeyDescription described(const ActionKey& key);

// What differs, input by input: "arch: sm_80 -> sm_90; flags: ... -> ...". Empty if nothing does.
std::string difference(const KeyDescription& before, const KeyDescription& now);
// The earlier description with the fewest differing inputs, the newest of equals; `now` itself is
// left out.
const KeyDescription* nearest_earlier(const std::vector<KeyDescription>& earlier,
                                      const KeyDescription& now);

}  // namespace sagebuild
