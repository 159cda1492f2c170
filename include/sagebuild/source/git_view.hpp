#pragma once
// A .git folder for a tree of ours, so that the git that a setup.py runs says what it would say in
// a clone: versions come from `git describe` (setuptools_scm, versioneer) or `git rev-parse`.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/vcs/repository.hpp"

namespace sagebuild {

// HEAD is `commit`, tags and history are those of `from`, whose objects it borrows and which must
// outlive it. `is_dirty`: git compares the files; else it takes all of them for unchanged, whatever
// we patch in them. `git submodule update` does nothing, for the files are there. Throws
// Error{failed}.
void make_git_view(const Repository& from, const std::string& commit,
                   const std::filesystem::path& tree, bool is_dirty);

// Changes of these files, relative to the tree, are none to git. Does nothing where there is no
// such view.
void hide_from_git(const std::filesystem::path& tree, const std::vector<std::string>& files);

// All that git can say in the tree but for its files: commit, tags, depth. Empty without a view.
std::string git_view_text(const std::filesystem::path& tree);

}  // namespace sagebuild
