#pragma once
// Direct mode, as ccache has it: which result a preprocessor run gives, known from the digests of
// the files that it read last time. A manifest stands under the run's key (its options) and holds
// several sets of files, each with the key of its result.
//
// A file that has appeared since and that the search would find instead must count as a change.
// Chosen: no record of every absent candidate (thousands) and no digest of folder listings (each
// object file written beside a source would miss), but the question itself, asked again: for each
// file found through include folder D as D/R, which paths E/R exist, E being any other include
// folder or the folder of any file read (a quoted include looks there first). The order of folders
// does not matter here: -iquote, -isystem and include_next each have their own. The names of a
// folder are listed once, so this costs a few milliseconds. A set matches when the same ones exist
// as before, mostly none. The same holds for what the run asked for beside its includes: what
// SearchScope names, and __has_include.
//
// Where comments do not count, a file's digest is that of its code text. The two kinds of digest
// are never equal, so a set that was stored for one reading cannot match in the other, save by
// bytes that are the same.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file_digests.hpp"
#include "cache/folder_search.hpp"
#include "cache/include_questions.hpp"
#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {


struct FileSet {
  std::vector<std::pair<std::string, Digest>> files;  // by name; of its bytes, or of its code text
  std::vector<std::string> elsewhere;                 // by name, sorted: found_elsewhere
  // By the files themselves, as IncludeQuestions, and by the scope
  std::vector<std::string> asked;
  std::vector<std::string> present;  // by name: found_of_asked
  Digest result;                     // key of the entry

  // The result's key: the manifest's key and everything above.
  static Digest result_key(const Digest& manifest, const FileSet& set);
};

// What a run that began at `started` depends on, as it is now. Nothing, and a `reason`: files do
// not tell.
std::optional<FileSet> file_set(const Digest& manifest, const SearchScope& scope,
                                const std::vector<std::filesystem::path>& files_read,
                                ActionCache::Clock::time_point started, FileDigests& digests,
                                FolderNames& names, DirectiveReader& directives,
                                std::string& reason);

struct Manifest {
  static constexpr std::size_t kMostSets = 16;
  std::vector<FileSet> sets;  // the newest first

  std::string body(const Digest& key) const;
  static std::optional<Manifest> from_body(const Digest& key, std::string_view body);
  // Puts a set in front, without its equal, and drops the oldest.
  void add(FileSet set);
};

// The first set that matches the files as they are now. If none does, `reason` says what differs
// from the nearest.
std::optional<Digest> matching_result(const Manifest& manifest, const SearchScope& scope,
                                      FileDigests& digests, FolderNames& names,
                                      std::string& reason);

}  // namespace sagebuild
