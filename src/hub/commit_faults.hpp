#pragma once
// What is told of a commit that was not made, or of which that is not known.

#include <string>

#include "sagebuild/base/error.hpp"
#include "sagebuild/hub/api.hpp"

namespace sagebuild {

// What the answer to a commit says, in a few words.
std::string said(const CommitAnswer& answer);

// `error` came while it was looked whether the commit that `last` answers was made: it becomes the
// error that this is not known. `repo` as people are shown it.
void make_unknown(Error& error, const std::string& repo, const CommitAnswer& last);

// After the last answer `head` was looked at, the head of `revision`: nothing of ours is there.
Error not_made(const std::string& repo, const std::string& revision, const std::string& head,
               const CommitAnswer& last);

}  // namespace sagebuild
