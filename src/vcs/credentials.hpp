#pragma once
// What a server is given when it asks who we are: the URL's own user and password, then for ssh the
// agent and the usual keys.

#include <git2.h>

#include <filesystem>
#include <vector>

#include "sagebuild/vcs/remote_url.hpp"

namespace sagebuild {

class GitCredentials {
 public:
  explicit GitCredentials(const RemoteUrl& remote);
  // The next thing to try of a kind that the server allows. GIT_EAUTH when there is nothing left:
  // each is tried once.
  int next(git_credential** out, const char* user_from_url, unsigned allowed);

 private:
  const RemoteUrl& remote_;
  bool password_tried_ = false;
  bool agent_tried_ = false;
  std::vector<std::filesystem::path> keys_;  // private keys not tried yet, best first
};

}  // namespace sagebuild
