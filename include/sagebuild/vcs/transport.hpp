#pragma once
// Brings commits from a remote into a bare repository of ours, over https, http, git and ssh.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "sagebuild/vcs/remote_url.hpp"
#include "sagebuild/vcs/repository.hpp"

namespace sagebuild {

struct FetchProgress {
  std::uint64_t bytes = 0;
  std::uint64_t objects_done = 0;
  std::uint64_t objects_total = 0;
};

struct FetchHooks {
  std::function<void(const FetchProgress&)> progress;
  // Throws when the program must end (a signal came). Called often.
  std::function<void()> check_interrupt;
  // How long nothing may arrive (libgit2 tells of each 100 kB). Counted by SIGALRM, whose action
  // and timer are ours meanwhile: call from the main thread.
  std::chrono::seconds stall_limit{60};
};

// Updates the branches, tags and HEAD of `into` from the remote, and gets `ref` if it is some other
// "refs/..." name, or a full commit that no branch leads to, where the server (and libgit2 1.4 or
// newer) allows that. Honours SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables. With libgit2 1.7
// or newer a branch, tag or tip that the remote names comes alone and without its history.
// Error{network} when the remote cannot be reached, stalls, is not what its certificate says, or
// refuses us; what check_interrupt throws when that was the reason.
void fetch_from_remote(const Repository& into, const RemoteUrl& remote, const std::string& ref,
                       const FetchHooks& hooks);

}  // namespace sagebuild
