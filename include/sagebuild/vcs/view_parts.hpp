#pragma once
// What a .git folder of ours is made of (source/git_view.hpp): what only libgit2 can read or write.
// All throw Error{failed}.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/vcs/repository.hpp"

namespace sagebuild {

// The file packed-refs with the tags of a repository that lead to commits which it has.
std::string packed_tags(const Repository& repository);

// Names of the submodules in a file .gitmodules; none where there is no such file.
std::vector<std::string> submodule_names(const std::filesystem::path& modules);

// Where objects and tags are: of a work tree's repository that of the one it belongs to.
std::filesystem::path shared_git_folder(const Repository& repository);

// The index of the repository in `tree` becomes that of `commit`; with `is_unchanged` git takes
// each file for what it says, unseen.
void write_index(const std::filesystem::path& tree, const std::string& commit, bool is_unchanged);

// What `git update-index --assume-unchanged` does; files that are not in the index are passed over.
void mark_unchanged(const std::filesystem::path& tree, const std::vector<std::string>& files);

}  // namespace sagebuild
