#pragma once
// Bare clones of remotes, kept between builds.

#include <string>

#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/remote_url.hpp"
#include "sagebuild/vcs/repository.hpp"

namespace sagebuild {

struct ClonedCommit {
  Repository repository;
  std::string commit;
};

// The clone of `remote` with `ref` in it. Uses the network only if `ref` is no commit that is
// already there. Errors as fetch().
ClonedCommit bring_clone(const RemoteUrl& remote, const std::string& ref, bool offline,
                         const FetchOptions& options, Reporter& report);

}  // namespace sagebuild
