#pragma once
// A git repository that is read in place: refs, trees and blobs. libgit2 stays behind this door. No
// hook, filter, attribute or configured program of the repository is ever run.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct OpenOptions {
  // Off: a repository that belongs to another user is refused, as git does it. The check is per
  // process in libgit2, so the last opened repository decides it.
  bool allow_foreign_owner = false;
  std::string shown_as = {};  // what messages call it; empty: its path
};

struct TreeEntry {
  enum class Kind { file, executable, link, submodule };
  std::string path;  // as the commit has it: not checked, may hold ".."
  Kind kind = Kind::file;
  std::string oid;  // of the blob; of a submodule its pinned commit
};

struct WorkTreeState {
  std::string commit;  // 40 hex digits, empty before the first commit
  bool dirty = false;
};

class Repository {
 public:
  // Nothing if there is no repository at exactly this path (bare, or a work tree's top folder). One
  // that exists and cannot be used (owner, unknown extension, damage) is Error{failed}. Partial
  // repositories and ones without a config file open.
  static std::optional<Repository> open(const std::filesystem::path& path,
                                        const OpenOptions& options = {});
  // Makes an empty bare repository.
  static Repository create_bare(const std::filesystem::path& path);
  ~Repository();
  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;

  bool is_bare() const;  // no files checked out around it
  std::filesystem::path git_folder() const;
  std::optional<std::string> origin_url() const;
  std::optional<std::string> head_name() const;  // "main"; nothing if HEAD is detached or missing

  bool has_commit(std::string_view full_hex) const;
  // A branch, tag, "refs/...", full or abbreviated (4 digits or more) commit, remote-tracking
  // branch; empty means HEAD. Gives the commit's 40 digits. Error{usage} for an unknown or
  // ambiguous one, with the nearest names as the hint.
  std::string resolve(std::string_view ref) const;
  // The same for full and abbreviated commits alone, nothing if it is not exactly one that is here.
  std::optional<std::string> find_commit(std::string_view hex) const;
  // Branches and tags, short names.
  std::vector<std::string> ref_names() const;

  // Calls `visit` for every file, link and submodule of a commit, in the tree's order.
  // Error{failed} for a missing tree.
  void for_each_entry(std::string_view commit,
                      const std::function<void(const TreeEntry&)>& visit) const;
  // The bytes of a blob; nothing if a partial repository lacks it.
  std::optional<std::string> read_blob(std::string_view oid) const;

  // HEAD's commit, and whether tracked files differ from it or untracked ones lie about, but for
  // paths that `ignore` names.
  WorkTreeState work_tree_state(
      const std::function<bool(const std::filesystem::path&)>& ignore) const;

  struct State;
  State& state() const { return *state_; }  // for vcs itself

 private:
  explicit Repository(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Of the library that runs: 10501 is 1.5.1. Before 1.4 no owner is checked and no lone commit
// fetched, from 1.7 on first fetches are shallow.
int libgit2_version();

// True for "4 to 40 hex digits".
bool looks_like_commit(std::string_view text);

}  // namespace sagebuild
