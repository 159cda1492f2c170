#pragma once
// What a commit shall hold, and whether a tree has it already.

#include <string>
#include <vector>

#include "sagebuild/hub/api.hpp"
#include "sagebuild/hub/objects.hpp"

namespace sagebuild {

// A file that the commit shall hold: on disk, or made here (wheels.json and its kin).
struct Item {
  LocalFile file;       // `path` is empty for what was made here
  std::string content;  // of what was made here
  bool lfs = false;
};

std::string content_of(const Item& item);
bool has_same_content(const RemoteFile& remote, const Item& item);
bool holds_all(const RemoteTree& tree, const std::vector<Item>& items);
// One of the names is there with other content.
bool holds_other(const RemoteTree& tree, const std::vector<Item>& items);
// The first bytes, by which the Hub tells text from binary.
std::string sample_of(const Item& item);

}  // namespace sagebuild
