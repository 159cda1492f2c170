#pragma once
// The first stage: what the user names (URL, folder, local repository, archive) becomes a private
// working tree at one commit.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/source.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct FetchOptions {
  std::filesystem::path cache;  // bare clones are kept in its "git" folder
  // The working tree; must not exist or be an empty folder; appears whole or not at all
  std::filesystem::path destination;
  // Globs ('*' also matches '/') of paths that a partial repository may lack
  std::vector<std::string> may_miss;
  std::chrono::seconds stall_limit{60};
  bool allow_foreign_owner = false;  // of local repositories
  // The tree gets a .git folder that answers as a clone's (source/git_view.hpp)
  bool with_git = false;
};

// - https, http, git, ssh URLs and "user@host:path": through a bare clone in the cache, updated
// only if it lacks the commit;
//   spec.offline uses it as it is. A second fetch of the same URL waits for the first and says so.
// - file:// and paths of repositories: opened in place, never cloned. A work tree's folder without
// a ref is copied as it is,
//   like a plain folder (without .git, build, dist and egg-info).
// - files: tar archives of any compression, zip; a single top folder is stripped.
// Submodules come at their pinned commits. No hook, filter or other code runs; paths and links that
// leave the tree are refused. Call from the main thread (stall timer). Error{usage} for an unknown
// source or ref, Error{network}, Error{failed}; Interrupted. After any of them there is no
// destination.
Checkout fetch(const SourceSpec& spec, const FetchOptions& options, Reporter& report);

// A source as people write it: also pip's "name @ git+https://host/path@ref#subdirectory=folder",
// and a forge's page
// ".../tree/REF", ".../commit/SHA" or ".../pull/N". Throws Error{usage} where `ref` or `subfolder`
// say something else, for a page whose ref cannot be told from its folder (the hint is the right
// command), and for a subfolder that leaves the source. Looks at no network and no file.
SourceSpec read_source(std::string_view text, std::string ref, std::string subfolder);

// Throws what fetch would for a source that is neither an address nor anything that is there, for a
// ref that a local repository lacks, and for a file that is no archive. Looks at no network.
void require_source(const SourceSpec& spec, bool allow_foreign_owner = false);

}  // namespace sagebuild
