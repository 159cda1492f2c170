#pragma once
// The cache as the engines see it: an action (one cicc run, one link, the finished wheel) is named
// by a key of all its inputs, and its outputs are kept under that key. Implemented by `cache`, used
// by whoever makes or runs steps.
//
// A step's life:  key -> lookup -> hit:  materialize (false: an output is gone or was corrupt, so
// go on as for a miss)
//                               -> miss: run, check, store
// A hit's digests are known before any byte is copied: the digest of a cached PTX is the input of
// ptxas's key, so a chain of hits materialises only its last outputs.
//
// Nothing here throws for a cache that is broken, full, read-only or away: that is a miss, said
// once through the Reporter. All calls are thread-safe.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/path_roots.hpp"

namespace sagebuild {

// Part of every key. Raise it when the meaning of a key changes: all older entries then miss.
// 1: PTX could be of a split compile, which the key did not say
// 2: an object could hold another build's image; links named no library. 3: blank lines in raw
// strings did not count. 4: places of files were named in five ways. 5: the check of macros saw no
// word behind a raw string that holds a quote
inline constexpr int kKeySchema = 6;

// Every input of an action by content. Names and order count; the subject does not, it is for
// people and for `explain`.
class ActionKey {
 public:
  // kind: "cicc", "ptxas", "link" ... subject: what it is about, without paths of this machine:
  // "sageattention._fused fused.cu sm_90a". The same source has the same subject in every build.
  ActionKey(std::string kind, std::string subject);

  ActionKey& add(std::string name, std::string_view value);                 // "arch", "sm_90a"
  ActionKey& add(std::string name, const std::vector<std::string>& words);  // an argument list
  ActionKey& add(std::string name, const Digest& content);                  // a file

  const std::string& kind() const { return kind_; }
  const std::string& subject() const { return subject_; }
  // In the order added. A long value stands as its start and digest.
  const std::vector<std::pair<std::string, std::string>>& inputs() const { return inputs_; }
  // Of schema, kind and all inputs.
  Digest digest() const;

 private:
  std::string kind_;
  std::string subject_;
  std::vector<std::pair<std::string, std::string>> inputs_;
};

struct ResultFile {
  Digest digest;
  std::uint64_t size = 0;
  bool executable = false;

  bool operator==(const ResultFile&) const = default;
};

struct ActionResult {
  // By the action's own name for the output: "ptx", "object".
  std::map<std::string, ResultFile> files = {};
  // Small texts that go with it: the digest of a text that is not kept, a chosen mode.
  std::map<std::string, std::string> facts = {};
  std::string output = {};  // standard output and error: replayed on a hit
  std::string diagnostics = {};
  double cpu_seconds = 0;  // what a hit saves
  double wall_seconds = 0;
  std::uint64_t peak_memory = 0;  // bytes
};

// Where a preprocessor looks, for the direct mode below.
struct SearchScope {
  // Folders that lie elsewhere on another machine or in the next build. A file below one is known
  // by its mapped_path, others by their full path.
  PathRoots roots;
  // In the order of search, absolute; those that are built into the compiler at the end. They need
  // not exist.
  std::vector<std::filesystem::path> include_folders;
  // Names that the run looks for in those folders beside what its files include: {"libbar.so",
  // "libbar.a"} for a link. Which of them are there, and where, is part of what must be the same.
  // What `__has_include` asks for in the files that were read is found by the cache itself.
  std::vector<std::string> asked = {};
  // False: no preprocessor reads the files (a link, a run of Python), so that nothing in them asks
  // for others.
  bool preprocessed = true;
  // False: only a C++ or CUDA compiler reads the files, so that an edit of a comment which moves no
  // token is no change.
  bool comments_count = true;
};

struct CacheCounters {
  std::uint64_t hits = 0;  // of lookup and lookup_by_files
  std::uint64_t misses = 0;
  std::uint64_t remote_hits = 0;  // of those hits, the ones that the local folder did not have
  std::uint64_t stored = 0;
  std::uint64_t corrupt = 0;  // entries found damaged, and removed
  double cpu_seconds_saved = 0;
};

class ActionCache {
 public:
  // An output's name -> where it is or shall be
  using Paths = std::map<std::string, std::filesystem::path>;
  using Clock = std::chrono::system_clock;

  virtual ~ActionCache() = default;

  virtual std::optional<ActionResult> lookup(const ActionKey& key) = 0;
  // Copies the named outputs to their places, whole or not at all, each checked against its digest.
  // Names that are not wanted may be left out. False: at least one is not to be had.
  virtual bool materialize(const ActionResult& result, const Paths& destinations) = 0;
  // Only for results that exited 0 and were checked. Fills result.files from `outputs`, and gives
  // it back.
  virtual ActionResult store(const ActionKey& key, const Paths& outputs, ActionResult result) = 0;

  // Direct mode: `key` holds the options of a preprocessor run, not its text. A hit means: every
  // file that the run read then has the same content now, as far as that counts, and no file has
  // appeared that the search would find before one of them.
  virtual std::optional<ActionResult> lookup_by_files(const ActionKey& key,
                                                      const SearchScope& scope) = 0;
  // `files_read` is what the run read (its .d), `started` a time before it began. A file changed
  // since then is not trusted: the result is given back but not stored.
  virtual ActionResult store_by_files(const ActionKey& key, const SearchScope& scope,
                                      const std::vector<std::filesystem::path>& files_read,
                                      Clock::time_point started, const Paths& outputs,
                                      ActionResult result) = 0;

  // SHA-256 of a file, remembered by device, inode, size, mtime and ctime: for tools and headers.
  // Throws Error{failed} if it cannot be read.
  virtual Digest file_digest(const std::filesystem::path& path) = 0;

  // At the end of a build: waits for uploads (with a bound), remembers digests, keeps the folder
  // within its size.
  virtual void flush() = 0;
  virtual CacheCounters counters() const = 0;
};

struct StepCost {
  double cpu_seconds = 0;
  double wall_seconds = 0;
  std::uint64_t peak_memory = 0;  // bytes

  bool operator==(const StepCost&) const = default;
};

// What steps cost the last time, for the scheduler.
class CostHistory {
 public:
  virtual ~CostHistory() = default;
  virtual std::optional<StepCost> get(std::string_view kind, std::string_view subject) const = 0;
  virtual void put(std::string_view kind, std::string_view subject, const StepCost& cost) = 0;
};

}  // namespace sagebuild
