#pragma once
// What the files of vcs share: libgit2's objects with an end, its errors as text, its versions.

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "sagebuild/base/error.hpp"
#include "sagebuild/vcs/repository.hpp"

// Ubuntu 22.04 has 1.1, Debian 12 1.5, Debian 13 1.9.
#define SAGEBUILD_LIBGIT2 (LIBGIT2_VER_MAJOR * 100 + LIBGIT2_VER_MINOR)

namespace sagebuild {

template <class Type, void (*free_function)(Type*)>
struct GitFree {
  void operator()(Type* pointer) const { free_function(pointer); }
};
template <class Type, void (*free_function)(Type*)>
using GitPtr = std::unique_ptr<Type, GitFree<Type, free_function>>;

using RepositoryPtr = GitPtr<git_repository, git_repository_free>;
using RemotePtr = GitPtr<git_remote, git_remote_free>;
using ReferencePtr = GitPtr<git_reference, git_reference_free>;
using ObjectPtr = GitPtr<git_object, git_object_free>;
using CommitPtr = GitPtr<git_commit, git_commit_free>;
using TreePtr = GitPtr<git_tree, git_tree_free>;
using BlobPtr = GitPtr<git_blob, git_blob_free>;
using StatusListPtr = GitPtr<git_status_list, git_status_list_free>;

struct Repository::State {
  RepositoryPtr handle;
  std::string name;  // what messages call it
};

// Starts libgit2 once.
void start_libgit2();
// libgit2's reason for the last failure, without its full stop and in our case.
std::string git_reason();
std::string hex_of(const git_oid& oid);
// Throws Error{failed} "MESSAGE" with libgit2's reason if `code` is negative.
void check_git(int code, std::string_view message);

}  // namespace sagebuild
