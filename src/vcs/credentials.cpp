#include "credentials.hpp"

#if __has_include(<git2/sys/errors.h>)
#include <git2/sys/errors.h>  // git_error_set_str since libgit2 1.8
#endif

#include <algorithm>
#include <cstdlib>

namespace sagebuild {

GitCredentials::GitCredentials(const RemoteUrl& remote) : remote_(remote) {
  const char* home = std::getenv("HOME");
  if (remote.scheme != "ssh" || home == nullptr) return;
  for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
    std::filesystem::path key = std::filesystem::path(home) / ".ssh" / name;
    std::error_code ignored;
    if (std::filesystem::exists(key, ignored)) keys_.push_back(std::move(key));
  }
}

int GitCredentials::next(git_credential** out, const char* user_from_url, unsigned allowed) {
  const std::string user = !remote_.user.empty()      ? remote_.user
                           : user_from_url != nullptr ? user_from_url
                                                      : "git";
  if ((allowed & GIT_CREDENTIAL_USERNAME) != 0)
    return git_credential_username_new(out, user.c_str());
  if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) != 0 && !remote_.password.empty() &&
      !password_tried_) {
    password_tried_ = true;
    return git_credential_userpass_plaintext_new(out, user.c_str(),
                                                 remote_.password.reveal().c_str());
  }
  if ((allowed & GIT_CREDENTIAL_SSH_KEY) != 0) {
    if (!agent_tried_ && std::getenv("SSH_AUTH_SOCK") != nullptr) {
      agent_tried_ = true;
      return git_credential_ssh_key_from_agent(out, user.c_str());
    }
    if (!keys_.empty()) {
      const std::string key = keys_.front().string();
      keys_.erase(keys_.begin());
      return git_credential_ssh_key_new(out, user.c_str(), (key + ".pub").c_str(), key.c_str(), "");
    }
  }
  git_error_set_str(GIT_ERROR_NET,
                    "the server asks for credentials, and none of ours is left to try");
  return GIT_EAUTH;
}

}  // namespace sagebuild
