#pragma once
// Names and addresses on the Hub. The same repository has one prefix in the API and another on the
// web.

#include <string>
#include <string_view>

namespace sagebuild {

struct RepoId {
  std::string kind = "model";  // "model" | "dataset" | "space"
  std::string name;            // "OWNER/NAME"
};

// "OWNER/NAME", with "datasets/" or "spaces/" in front for those. Throws Error{usage} for what the
// Hub does not allow.
RepoId parse_repo_id(std::string_view text);

std::string shown(const RepoId& repo);     // "datasets/OWNER/NAME"; a model has no prefix
std::string api_path(const RepoId& repo);  // "/api/models/OWNER/NAME"
std::string web_path(const RepoId& repo);  // "/OWNER/NAME", "/datasets/OWNER/NAME"

// "a/b c+d" -> "a/b%20c%2Bd".
std::string encoded_path(std::string_view path);
// A revision is one segment: "refs/pr/2" -> "refs%2Fpr%2F2".
std::string encoded_revision(std::string_view revision);

// Where anybody downloads a file: ENDPOINT/OWNER/NAME/resolve/REVISION/PATH.
std::string resolve_url(const std::string& endpoint, const RepoId& repo, std::string_view revision,
                        std::string_view path);

// Throws Error{usage} for what the Hub refuses as a path in a repository: absolute, "." or "..",
// ".git" or ".cache", control characters.
void require_repo_path(std::string_view path);

// Throws Error{usage} for what cannot be the name of a branch (git-check-ref-format), for a commit
// id, and for "refs/...", which are pull requests and other things that no branch is.
void require_branch_name(std::string_view name);

// Where calls go: HF_ENDPOINT without user info and final "/", or https://huggingface.co. Throws
// Error{usage} for what is no URL, and for plain http to another machine: the token would travel in
// the clear.
std::string hub_endpoint();
// Where the Hub's pages are for everybody, whichever mirror, proxy or spelling HF_ENDPOINT names:
// for links that are written into a repository.
std::string canonical_endpoint();

}  // namespace sagebuild
