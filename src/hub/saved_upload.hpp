#pragma once
// What is known of a multipart upload that a run did not finish, so that the next one sends only
// the parts that the storage does not have. The Hub's batch call begins a new upload each time and
// cannot be asked for an old one, but its addresses hold for about a day, and the storage keeps the
// parts as long.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/hub/api.hpp"

namespace sagebuild {

struct SavedUpload {
  ObjectUpload upload;
  std::vector<std::string> etags;  // by part; empty: not sent
};

// One file per object and repository, in a folder that only this user can read: the addresses are
// signed, whoever has them may send parts. An empty folder keeps nothing.
class UploadStore {
 public:
  UploadStore(std::filesystem::path folder, std::string place);

  // Nothing if there is none, or it is too old or damaged. Files that are too old are removed.
  std::optional<SavedUpload> find(const ObjectId& object) const;
  // Never fails: without it the next run sends the whole file.
  void save(const ObjectId& object, const SavedUpload& upload) const;
  void forget(const ObjectId& object) const;

 private:
  std::filesystem::path file_of(const ObjectId& object) const;

  std::filesystem::path folder_;
  std::string place_;  // endpoint and repository
};

}  // namespace sagebuild
