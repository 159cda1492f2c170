#pragma once
// Which files a search would find beside those that a run read: names in folders, asked for again
// (cache/direct_mode.hpp says why).

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {

// `path` relative to `folder`, or nothing if it is not below it. By text: a link in between is part
// of the name.
std::optional<std::string_view> below(std::string_view path, std::string_view folder);

// The names in folders, listed once while the folder does not change. Thread-safe.
class FolderNames {
 public:
  struct Listing {
    // In lower case: on some file systems case does not count
    std::set<std::string, std::less<>> names;
    bool complete = true;  // false: it may hold names that cannot be listed
  };
  std::shared_ptr<const Listing> of(const std::string& folder);

 private:
  struct Known {
    std::shared_ptr<const Listing> listing;
    std::int64_t change = -1;
    std::uint64_t device = 0, inode = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Known> known_;
};

// Paths that exist beside `files`, in other folders of the search and under the names by which
// these may have been found, sorted. One that cannot be read or followed is there too, with the
// reason behind its name, and one that is the same file by a link says so.
std::vector<std::string> found_elsewhere(const std::vector<std::string>& files,
                                         const SearchScope& scope, FolderNames& names);
// Which of the names that were asked for exist, in the order of names and folders: "<NAME" in the
// folders of the scope,
// "\"NAME" in those of the files, too. A name from the root on may be that of a folder.
std::vector<std::string> found_of_asked(const std::vector<std::string>& asked,
                                        const std::vector<std::string>& files,
                                        const SearchScope& scope, FolderNames& names);

}  // namespace sagebuild
