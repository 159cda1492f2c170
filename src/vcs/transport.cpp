#include "sagebuild/vcs/transport.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <utility>
#include <vector>

#include "credentials.hpp"
#include "git.hpp"
#include "sagebuild/base/scope.hpp"
#include "stall_timer.hpp"

namespace sagebuild {
namespace {

// One connection to a remote: libgit2 calls back into it.
class Session {
 public:
  Session(const Repository& into, const RemoteUrl& url, const FetchHooks& hooks)
      : url_(url), hooks_(hooks), credentials_(url), timer_(hooks.stall_limit) {
    git_remote* raw = nullptr;
    check_git(git_remote_create_anonymous(&raw, into.state().handle.get(), url.url.c_str()),
              fmt::format("cannot use the address '{}'", url.url));
    remote_.reset(raw);
    options_.callbacks.payload = this;
    options_.callbacks.transfer_progress = on_progress;
    options_.callbacks.sideband_progress = on_message;
    options_.callbacks.credentials = on_credentials;
    options_.proxy_opts.type = GIT_PROXY_AUTO;
    options_.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;  // the refspecs name what we want
    options_.update_fetchhead = 0;
  }

  git_fetch_options& options() { return options_; }
  git_remote* remote() { return remote_.get(); }

  void connect() {
    check(git_remote_connect(remote(), GIT_DIRECTION_FETCH, &options_.callbacks, &options_.proxy_opts, nullptr));
  }

  void download(std::vector<std::string> refspecs) {
    std::vector<char*> pointers;
    for (std::string& refspec : refspecs) pointers.push_back(refspec.data());
    const git_strarray list{pointers.data(), pointers.size()};
    check(git_remote_download(remote(), &list, &options_));
    check(git_remote_update_tips(remote(), &options_.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, nullptr));
  }

  // Throws for a failed call: what ended it if that was us, else why the network did.
  void check(int code) {
    if (code >= 0) return;
    if (thrown_) std::rethrow_exception(thrown_);
    hooks_.check_interrupt();
    const std::string message = fmt::format("cannot fetch '{}'", url_.url);
    if (StallTimer::expired()) {
      throw Error(ErrorKind::network, message,
                  {fmt::format("the server sent nothing for {} s", hooks_.stall_limit.count())},
                  "try again, raise --stall-limit, or use --offline if an earlier build fetched it");
    }
    throw Error(ErrorKind::network, message, {git_reason()}, hint(code));
  }

 private:
  std::string hint(int code) const {
    const std::string reason = git_reason();
    const auto says = [&](std::string_view text) { return reason.find(text) != std::string::npos; };
    if (code == GIT_ECERTIFICATE || says("ertificate") || says("x509")) {
      return "the certificate does not prove the server's name: SSL_CERT_FILE names the authorities that are trusted";
    }
    if (code == GIT_EAUTH || says("401") || says("403") || says("credentials")) {
      return "the repository does not exist or needs credentials: check the address, or use a token or an ssh key";
    }
    if (says("404")) return "check the address: there is no repository";
    return "check the address and the network; --offline uses what an earlier build fetched";
  }

  // Nothing may be thrown through libgit2's C code: it is kept, and thrown again by check().
  template <class Function>
  int guarded(Function function) {
    try {
      timer_.rearm();
      hooks_.check_interrupt();
      function();
      return 0;
    } catch (...) {
      thrown_ = std::current_exception();
      return GIT_EUSER;
    }
  }

  static int on_progress(const git_indexer_progress* progress, void* payload) {
    auto& self = *static_cast<Session*>(payload);
    return self.guarded([&] {
      if (!self.hooks_.progress) return;
      self.hooks_.progress({progress->received_bytes, progress->indexed_objects, progress->total_objects});
    });
  }

  static int on_message(const char*, int, void* payload) {
    return static_cast<Session*>(payload)->guarded([] {});
  }

  static int on_credentials(git_credential** out, const char*, const char* user, unsigned allowed, void* payload) {
    return static_cast<Session*>(payload)->credentials_.next(out, user, allowed);
  }

  const RemoteUrl& url_;
  const FetchHooks& hooks_;
  GitCredentials credentials_;
  StallTimer timer_;
  RemotePtr remote_;
  git_fetch_options options_ = GIT_FETCH_OPTIONS_INIT;
  std::exception_ptr thrown_;
};

// libgit2 does not read these by itself; Debian builds it with mbedTLS, whose own default is the system's bundle.
void use_certificates_of_environment() {
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return text != nullptr && *text != '\0' ? text : nullptr;
  };
  const char* file = value("SSL_CERT_FILE");
  const char* folder = value("SSL_CERT_DIR");
  if (file == nullptr && folder == nullptr) return;
  check_git(git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file, folder),
            fmt::format("cannot read the certificates of '{}' (SSL_CERT_FILE, SSL_CERT_DIR)",
                        file != nullptr ? file : folder));
}

// The default branch, as far as the server tells.
void take_over_head(git_remote* remote, git_repository* into) {
  git_buf name = GIT_BUF_INIT;
  const ScopeExit free_name([&name] { git_buf_dispose(&name); });
  if (git_remote_default_branch(&name, remote) == 0) git_repository_set_head(into, name.ptr);
}

std::vector<std::pair<std::string, std::string>> advertised_refs(Session& session) {
  const git_remote_head** heads = nullptr;
  std::size_t count = 0;
  session.check(git_remote_ls(&heads, &count, session.remote()));
  std::vector<std::pair<std::string, std::string>> refs;
  for (std::size_t i = 0; i < count; ++i) refs.emplace_back(heads[i]->name, hex_of(heads[i]->oid));
  return refs;
}

// Before the download, and not with git_remote_prune after it: a new branch "a/b" has no room while the old "a" is
// there.
void forget_refs_that_went(const Repository& into,
                           const std::vector<std::pair<std::string, std::string>>& remote_refs) {
  git_repository* handle = into.state().handle.get();
  git_strarray names{};
  check_git(git_reference_list(&names, handle), fmt::format("cannot list the refs of '{}'", into.state().name));
  const ScopeExit free_names([&names] { git_strarray_dispose(&names); });
  for (std::size_t i = 0; i < names.count; ++i) {
    const std::string name = names.strings[i];
    if (std::ranges::any_of(remote_refs, [&](const auto& ref) { return ref.first == name; })) continue;
    check_git(git_reference_remove(handle, name.c_str()), fmt::format("cannot forget '{}'", name));
  }
}

#if SAGEBUILD_LIBGIT2 >= 107
// The refspec that brings what the remote itself calls `ref` (a name, or the commit of some name); empty if it does
// not.
std::string refspec_of_advertised(const std::vector<std::pair<std::string, std::string>>& remote_refs,
                                  const std::string& ref) {
  for (const auto& [name, oid] : remote_refs) {
    const bool is_named = name == ref || name == "refs/heads/" + ref || name == "refs/tags/" + ref;
    if (name.starts_with("refs/") && !name.ends_with("^{}") && (is_named || oid == ref))
      return fmt::format("+{}:{}", name, name);
  }
  return "";
}
#endif

}  // namespace

void fetch_from_remote(const Repository& into, const RemoteUrl& remote, const std::string& ref,
                       const FetchHooks& hooks) {
  use_certificates_of_environment();
  git_repository* handle = into.state().handle.get();
  Session session(into, remote, hooks);
  session.connect();
  take_over_head(session.remote(), handle);
  const auto remote_refs = advertised_refs(session);
#if SAGEBUILD_LIBGIT2 >= 107
  const bool without_history = into.ref_names().empty() || git_repository_is_shallow(handle) == 1;
  if (const std::string one = refspec_of_advertised(remote_refs, ref); !one.empty() && without_history) {
    session.options().depth = 1;
    session.download({one});
    return;
  }
  if (git_repository_is_shallow(handle) == 1) session.options().depth = GIT_FETCH_DEPTH_UNSHALLOW;
#endif
  std::vector<std::string> refspecs = {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"};
  if (ref.starts_with("refs/") && !ref.starts_with("refs/heads/") && !ref.starts_with("refs/tags/")) {
    refspecs.push_back(fmt::format("+{}:{}", ref, ref));
  }
  forget_refs_that_went(into, remote_refs);
  session.download(std::move(refspecs));
}

}  // namespace sagebuild
