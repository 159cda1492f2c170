#pragma once
// What a commit shall hold, and whether a tree has it already.

#include <string>
#include <vector>

#include "sagebuild/hub/api.hpp"
#include "sagebuild/hub/objects.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// A file that the commit shall hold: on disk, made here (wheels.json and its kin), or in the
// repository under another name.
struct Item {
  LocalFile file;       // `path` is empty for what is not on disk
  std::string content;  // of what was made here
  bool lfs = false;
  bool is_stored = false;  // in LFS, and the repository has it
};

struct Changes {
  std::vector<Item> files;
  std::vector<std::string> removed;  // paths

  bool empty() const { return files.empty() && removed.empty(); }
};

// The request's files, hashed; the reporter hears how far that is. Throws Error{usage} if a name
// cannot be one of the repository's, or if two files would have it; Error{failed} if a file is gone
// or is not the one that was checked.
std::vector<Item> hashed_items(HubApi& api, const PublishRequest& request, Reporter& report);

std::string content_of(const Item& item);
bool has_same_content(const RemoteFile& remote, const Item& item);
bool holds_all(const RemoteTree& tree, const Changes& changes);
// One of the names is there with other content.
bool holds_other(const RemoteTree& tree, const std::vector<Item>& items);
// The first bytes, by which the Hub tells text from binary.
std::string sample_of(const Item& item);

}  // namespace sagebuild
