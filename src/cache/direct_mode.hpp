#pragma once
// Direct mode, as ccache has it: which result a preprocessor run gives, known from the digests of the files that it
// read last time. A manifest stands under the run's key (its options) and holds several sets of files, each with the
// key of its result.
//
// A file that has appeared since and that the search would find first must count as a change. Chosen: no record of
// every absent candidate (thousands) and no digest of folder listings (each object file written beside a source would
// miss), but the question itself, asked again: for each file found through include folder D as D/R, which paths E/R
// exist, E being an earlier include folder or the folder of any file read (a quoted include looks there first). The
// names of a folder are listed once, so this costs a few milliseconds. A set matches when the same ones exist as
// before, mostly none. Not seen: a file that appears only for __has_include.
//
// Where comments do not count, a file's digest is that of its code text. The two kinds of digest are never equal, so a
// set that was stored for one reading cannot match in the other, save by bytes that are the same.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file_digests.hpp"
#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {

// "{tree}/csrc/a.cu" and back. A name whose root is unknown gives nothing.
std::string name_of(const std::filesystem::path& path, const SearchScope& scope);
std::vector<std::string> names_of(const std::vector<std::string>& paths, const SearchScope& scope);  // sorted
std::optional<std::filesystem::path> path_of(std::string_view name, const SearchScope& scope);

// The names in folders, listed once while the folder does not change.
class FolderNames {
 public:
  const std::set<std::string, std::less<>>& of(const std::string& folder);

 private:
  struct Listing {
    std::int64_t change = -1;
    std::uint64_t inode = 0;
    std::set<std::string, std::less<>> names;
  };
  std::map<std::string, Listing> listings_;
};

// Paths that exist and would be found before one of `files`, sorted.
std::vector<std::string> found_earlier(const std::vector<std::string>& files, const SearchScope& scope,
                                       FolderNames& names);

struct FileSet {
  std::vector<std::pair<std::string, Digest>> files;  // by name; of its bytes, or of its code text
  std::vector<std::string> earlier;                   // by name, sorted
  Digest result;                                      // key of the entry

  // The result's key: the manifest's key and everything above.
  static Digest result_key(const Digest& manifest, const FileSet& set);
};

struct Manifest {
  static constexpr std::size_t kMostSets = 16;
  std::vector<FileSet> sets;  // the newest first

  std::string body(const Digest& key) const;
  static std::optional<Manifest> from_body(const Digest& key, std::string_view body);
  // Puts a set in front, without its equal, and drops the oldest.
  void add(FileSet set);
};

// The first set that matches the files as they are now. If none does, `reason` says what differs from the nearest.
std::optional<Digest> matching_result(const Manifest& manifest, const SearchScope& scope, FileDigests& digests,
                                      FolderNames& names, std::string& reason);

}  // namespace sagebuild
