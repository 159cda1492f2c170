// Opening a repository in place, and reading its trees and blobs.

#include "sagebuild/vcs/repository.hpp"

#include <fmt/format.h>

#include <array>

#include "git.hpp"
#include "sagebuild/base/scope.hpp"

namespace sagebuild {
namespace {

// Partial clones and worktrees mark themselves with extensions that libgit2 does not know; none
// changes how objects are read.
void relax_checks(const OpenOptions& options) {
  start_libgit2();
#if SAGEBUILD_LIBGIT2 >= 102
  std::array<const char*, 4> extensions = {"partialclone", "worktreeconfig", "preciousobjects",
                                           "noop"};
  check_git(git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions.data(), extensions.size()),
            "cannot set up libgit2");
#endif
#if SAGEBUILD_LIBGIT2 >= 105
  check_git(git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, options.allow_foreign_owner ? 0 : 1),
            "cannot set up libgit2");
#else
  static_cast<void>(options);
#endif
}

std::optional<TreeEntry::Kind> kind_of(const git_tree_entry* entry) {
  const auto mode = static_cast<unsigned>(git_tree_entry_filemode_raw(entry));
  switch (mode & 0170000U) {
    case 0100000U:
      return (mode & 0100U) != 0 ? TreeEntry::Kind::executable : TreeEntry::Kind::file;
    case 0120000U:
      return TreeEntry::Kind::link;
    case 0160000U:
      return TreeEntry::Kind::submodule;
    default:
      return std::nullopt;
  }
}

// Deeper than any real project; a crafted tree can be endless without being large.
constexpr int kMaxTreeDepth = 200;

void walk(git_repository* repository, const git_oid& tree_oid, const std::string& prefix, int depth,
          const std::function<void(const TreeEntry&)>& visit) {
  if (depth > kMaxTreeDepth)
    throw Error(ErrorKind::failed, fmt::format("the tree is nested too deeply at '{}'", prefix));
  git_tree* raw = nullptr;
  if (git_tree_lookup(&raw, repository, &tree_oid) < 0) {
    throw Error(
        ErrorKind::failed,
        fmt::format("cannot read the folder '{}' of the commit", prefix.empty() ? "." : prefix),
        {git_reason()},
        "the repository is partial or damaged: use a complete clone or the project's URL");
  }
  const TreePtr tree(raw);
  for (std::size_t i = 0; i < git_tree_entrycount(raw); ++i) {
    const git_tree_entry* entry = git_tree_entry_byindex(raw, i);
    const std::string path = prefix + git_tree_entry_name(entry);
    const git_oid& oid = *git_tree_entry_id(entry);
    if (const auto kind = kind_of(entry)) {
      visit({path, *kind, hex_of(oid)});
    } else {
      walk(repository, oid, path + "/", depth + 1, visit);
    }
  }
}

git_oid oid_of(std::string_view hex) {
  git_oid oid;
  check_git(git_oid_fromstrn(&oid, hex.data(), hex.size()),
            fmt::format("'{}' is no object name", hex));
  return oid;
}

std::string owner_hint(const std::filesystem::path& path) {
  return fmt::format(
      "if you trust it, pass --allow-foreign-owner, or run: git config --global --add "
      "safe.directory '{}'",
      path.string());
}

}  // namespace

Repository::Repository(std::unique_ptr<State> state) : state_(std::move(state)) {}
Repository::~Repository() = default;
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;

std::optional<Repository> Repository::open(const std::filesystem::path& path,
                                           const OpenOptions& options) {
  relax_checks(options);
  git_repository* raw = nullptr;
  const int code =
      git_repository_open_ext(&raw, path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  if (code < 0) {
    // libgit2 1.5 answers "not found" for a foreign owner when no configuration names a
    // safe.directory.
    const std::string reason = git_reason();
    const bool foreign = reason.find("is not owned by") != std::string::npos ||
                         reason.starts_with("config value 'safe.directory'");
    if (code == GIT_ENOTFOUND && !foreign) return std::nullopt;
    throw Error(ErrorKind::failed, fmt::format("cannot open the repository '{}'", path.string()),
                {foreign ? "it belongs to another user" : reason}, foreign ? owner_hint(path) : "");
  }
  return Repository(std::make_unique<State>(
      State{RepositoryPtr(raw), options.shown_as.empty() ? path.string() : options.shown_as}));
}

Repository Repository::create_bare(const std::filesystem::path& path) {
  start_libgit2();
  git_repository* raw = nullptr;
  check_git(git_repository_init(&raw, path.c_str(), 1),
            fmt::format("cannot make a repository in '{}'", path.string()));
  return Repository(std::make_unique<State>(State{RepositoryPtr(raw), path.string()}));
}

bool Repository::is_bare() const {
  // Without a config file libgit2 takes the folder around for a work tree; git looks for .git
  // there.
  const char* work = git_repository_workdir(state_->handle.get());
  std::error_code ignored;
  return work == nullptr || !std::filesystem::exists(std::filesystem::path(work) / ".git", ignored);
}

std::filesystem::path Repository::git_folder() const {
  return git_repository_path(state_->handle.get());
}

std::optional<std::string> Repository::origin_url() const {
  git_remote* raw = nullptr;
  if (git_remote_lookup(&raw, state_->handle.get(), "origin") < 0) return std::nullopt;
  const RemotePtr remote(raw);
  const char* url = git_remote_url(raw);
  return url == nullptr ? std::nullopt : std::optional<std::string>(url);
}

std::optional<std::string> Repository::head_name() const {
  git_reference* raw = nullptr;
  if (git_repository_head(&raw, state_->handle.get()) < 0) return std::nullopt;
  const ReferencePtr head(raw);
  if (git_reference_is_branch(raw) == 0) return std::nullopt;
  return git_reference_shorthand(raw);
}

void Repository::for_each_entry(std::string_view commit,
                                const std::function<void(const TreeEntry&)>& visit) const {
  const git_oid oid = oid_of(commit);
  git_commit* raw = nullptr;
  check_git(git_commit_lookup(&raw, state_->handle.get(), &oid),
            fmt::format("cannot read the commit '{}'", commit));
  const CommitPtr found(raw);
  walk(state_->handle.get(), *git_commit_tree_id(raw), "", 0, visit);
}

std::optional<std::string> Repository::read_blob(std::string_view hex) const {
  const git_oid oid = oid_of(hex);
  git_blob* raw = nullptr;
  const int code = git_blob_lookup(&raw, state_->handle.get(), &oid);
  if (code == GIT_ENOTFOUND) return std::nullopt;
  check_git(code, fmt::format("cannot read the blob '{}' of '{}'", hex, state_->name));
  const BlobPtr blob(raw);
  const auto* bytes = static_cast<const char*>(git_blob_rawcontent(raw));
  return std::string(bytes == nullptr ? "" : bytes,
                     static_cast<std::size_t>(git_blob_rawsize(raw)));
}

WorkTreeState Repository::work_tree_state(
    const std::function<bool(const std::filesystem::path&)>& ignore) const {
  WorkTreeState state;
  git_oid head;
  if (git_reference_name_to_id(&head, state_->handle.get(), "HEAD") == 0)
    state.commit = hex_of(head);

  git_status_options options = GIT_STATUS_OPTIONS_INIT;
  options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED;
  git_status_list* raw = nullptr;
  check_git(git_status_list_new(&raw, state_->handle.get(), &options),
            fmt::format("cannot compare '{}' with its commit", state_->name));
  const StatusListPtr list(raw);
  for (std::size_t i = 0; i < git_status_list_entrycount(raw) && !state.dirty; ++i) {
    const git_status_entry* entry = git_status_byindex(raw, i);
    const git_diff_delta* delta =
        entry->index_to_workdir != nullptr ? entry->index_to_workdir : entry->head_to_index;
    state.dirty = !ignore(delta->new_file.path);
  }
  return state;
}

}  // namespace sagebuild
