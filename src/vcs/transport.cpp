#include "sagebuild/vcs/transport.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
    check(git_remote_connect(remote(), GIT_DIRECTION_FETCH, &options_.callbacks,
                             &options_.proxy_opts, nullptr));
  }

  void download(std::vector<std::string> refspecs) {
    std::vector<char*> pointers;
    for (std::string& refspec : refspecs) pointers.push_back(refspec.data());
    const git_strarray list{pointers.data(), pointers.size()};
    check(git_remote_download(remote(), &list, &options_));
    check(git_remote_update_tips(remote(), &options_.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE,
                                 nullptr));
  }

#if SAGEBUILD_LIBGIT2 >= 104
  // A commit that no branch leads to (a submodule's, an old pull request's), if the server gives
  // such ones away.
  void download_commit(const std::string& oid) {
    std::string refspec = fmt::format("+{}:refs/sagebuild/{}", oid, oid);
    char* pointer = refspec.data();
    const git_strarray list{&pointer, 1};
    const int code = git_remote_download(remote(), &list, &options_);
    // The server has just answered, so unless we were stopped this is its way to say that it has no
    // such commit: what it says ("early EOF", "not our ref") differs from server to server.
    hooks_.check_interrupt();
    if (thrown_ || StallTimer::expired()) check(code);
  }
#endif

  // Throws for a failed call: what ended it if that was us, else why the network did.
  void check(int code) {
    if (code >= 0) return;
    if (thrown_) std::rethrow_exception(thrown_);
    hooks_.check_interrupt();
    const std::string message = fmt::format("cannot fetch '{}'", url_.url);
    if (StallTimer::expired()) {
      throw Error(ErrorKind::network, message,
                  {fmt::format("the server sent nothing for {} s", hooks_.stall_limit.count())},
                  "try again, or use --offline if an earlier build fetched it");
    }
    if (git_reason().find("No space left") != std::string::npos) {
      throw Error(ErrorKind::failed, message, {git_reason()},
                  "the disk is full: make room in the cache folder");
    }
    throw Error(ErrorKind::network, message, {git_reason()}, hint(code));
  }

 private:
  std::string hint(int code) const {
    const std::string reason = git_reason();
    const auto says = [&](std::string_view text) { return reason.find(text) != std::string::npos; };
    if (says("hostkey"))
      return "if you know the host, add its key to ~/.ssh/known_hosts: ssh-keyscan shows it";
    if (code == GIT_ECERTIFICATE || says("ertificate") || says("x509")) {
      return "the certificate does not prove the server's name: SSL_CERT_FILE names the "
             "authorities that are trusted";
    }
    if (code == GIT_EAUTH || says("401") || says("403") || says("credentials")) {
      return "the repository does not exist or needs credentials: check the address, or use a "
             "token or an ssh key";
    }
    if (says("404") || says("not exported")) return "check the address: there is no repository";
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
      self.hooks_.progress(
          {progress->received_bytes, progress->indexed_objects, progress->total_objects});
    });
  }

  static int on_message(const char*, int, void* payload) {
    return static_cast<Session*>(payload)->guarded([] {});
  }

  static int on_credentials(git_credential** out, const char*, const char* user, unsigned allowed,
                            void* payload) {
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

// libgit2 does not read these by itself; Debian builds it with mbedTLS, whose own default is the
// system's bundle.
void use_certificates_of_environment() {
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return text != nullptr && *text != '\0' ? text : nullptr;
  };
  const char* file = value("SSL_CERT_FILE");
  const char* folder = value("SSL_CERT_DIR");
  if (file == nullptr && folder == nullptr) return;
  for (const char* path : {file, folder}) {
    if (path != nullptr && ::access(path, R_OK) != 0) {
      throw Error(ErrorKind::environment, fmt::format("cannot read the certificates of '{}'", path),
                  {errno_text(errno)},
                  "SSL_CERT_FILE and SSL_CERT_DIR name the authorities that are trusted: correct "
                  "or unset them");
    }
  }
  check_git(git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file, folder),
            fmt::format("cannot read the certificates of '{}' (SSL_CERT_FILE, SSL_CERT_DIR)",
                        file != nullptr ? file : folder));
}

// Older ones take any host's key, so that whoever sits in between could hand us a source.
void require_host_keys_checked(const RemoteUrl& remote) {
  const int version = libgit2_version();
  if (remote.scheme != "ssh" || (version >= 10405 && version != 10500)) return;
  throw Error(ErrorKind::environment, fmt::format("cannot fetch '{}'", remote.url),
              {"this libgit2 does not check the keys of ssh hosts (1.4.5 and 1.5.1 began to)"},
              "use the https address of the repository, or clone it with git and give the folder");
}

// Makes HEAD the remote's default branch, and gives its full name; empty if the server does not
// tell.
std::string take_over_head(git_remote* remote, git_repository* into) {
  git_buf name{};
  const ScopeExit free_name([&name] { git_buf_dispose(&name); });
  if (git_remote_default_branch(&name, remote) < 0) return "";
  check_git(git_repository_set_head(into, name.ptr),
            fmt::format("cannot make '{}' the head", name.ptr));
  return name.ptr;
}

using RefList = std::vector<std::pair<std::string, std::string>>;  // full name, oid

RefList advertised_refs(Session& session) {
  const git_remote_head** heads = nullptr;
  std::size_t count = 0;
  session.check(git_remote_ls(&heads, &count, session.remote()));
  RefList refs;
  for (std::size_t i = 0; i < count; ++i) refs.emplace_back(heads[i]->name, hex_of(heads[i]->oid));
  return refs;
}

// Before the download, and not with git_remote_prune after it: a new branch "a/b" has no room while
// the old "a" is there.
void forget_refs_that_went(const Repository& into, const RefList& remote_refs) {
  git_repository* handle = into.state().handle.get();
  git_strarray names{};
  check_git(git_reference_list(&names, handle),
            fmt::format("cannot list the refs of '{}'", into.state().name));
  const ScopeExit free_names([&names] { git_strarray_dispose(&names); });
  for (std::size_t i = 0; i < names.count; ++i) {
    const std::string name = names.strings[i];
    if (std::ranges::any_of(remote_refs, [&](const auto& ref) { return ref.first == name; }))
      continue;
    check_git(git_reference_remove(handle, name.c_str()), fmt::format("cannot forget '{}'", name));
  }
}

#if SAGEBUILD_LIBGIT2 >= 107
bool has_object(const Repository& repository, const std::string& hex) {
  git_oid oid;
  git_odb* odb = nullptr;
  check_git(git_oid_fromstr(&oid, hex.c_str()), fmt::format("'{}' is no object name", hex));
  check_git(git_repository_odb(&odb, repository.state().handle.get()),
            "cannot open the object store");
  const ScopeExit free_odb([odb] { git_odb_free(odb); });
  return git_odb_exists(odb, &oid) == 1;
}

void point_ref(const Repository& repository, const std::string& name, const std::string& hex) {
  git_oid oid;
  check_git(git_oid_fromstr(&oid, hex.c_str()), fmt::format("'{}' is no object name", hex));
  git_reference* raw = nullptr;
  check_git(
      git_reference_create(&raw, repository.state().handle.get(), name.c_str(), &oid, 1, nullptr),
      fmt::format("cannot set '{}'", name));
  const ReferencePtr reference(raw);
}

// Brings what the remote itself calls `ref` (a name, or the commit of some name) without its
// history. False if it has no such.
bool fetch_tip(Session& session, const Repository& into, const RefList& remote_refs,
               const std::string& ref) {
  const auto tip = std::ranges::find_if(remote_refs, [&](const auto& remote_ref) {
    const auto& [name, oid] = remote_ref;
    const bool is_named = name == ref || name == "refs/heads/" + ref || name == "refs/tags/" + ref;
    return name.starts_with("refs/") && !name.ends_with("^{}") && (is_named || oid == ref);
  });
  if (tip == remote_refs.end()) return false;
  if (has_object(into, tip->second)) {
    // A shallow fetch would ask for the pack even then.
    point_ref(into, tip->first, tip->second);
    return true;
  }
  session.options().depth = 1;
  session.download({fmt::format("+{}:{}", tip->first, tip->first)});
  return true;
}
#endif

}  // namespace

void fetch_from_remote(const Repository& into, const RemoteUrl& remote, const std::string& ref,
                       const FetchHooks& hooks) {
  require_host_keys_checked(remote);
  use_certificates_of_environment();
  git_repository* handle = into.state().handle.get();
  Session session(into, remote, hooks);
  session.connect();
  [[maybe_unused]] const std::string default_branch = take_over_head(session.remote(), handle);
  const auto remote_refs = advertised_refs(session);
#if SAGEBUILD_LIBGIT2 >= 107
  const bool without_history = into.ref_names().empty() || git_repository_is_shallow(handle) == 1;
  if (without_history && fetch_tip(session, into, remote_refs, ref.empty() ? default_branch : ref))
    return;
  if (git_repository_is_shallow(handle) == 1) session.options().depth = GIT_FETCH_DEPTH_UNSHALLOW;
#endif
  std::vector<std::string> refspecs = {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"};
  if (ref.starts_with("refs/") && !ref.starts_with("refs/heads/") &&
      !ref.starts_with("refs/tags/")) {
    refspecs.push_back(fmt::format("+{}:{}", ref, ref));
  }
  forget_refs_that_went(into, remote_refs);
  session.download(std::move(refspecs));
#if SAGEBUILD_LIBGIT2 >= 104
  if (looks_like_commit(ref) && ref.size() == GIT_OID_HEXSZ && !into.has_commit(ref))
    session.download_commit(ref);
#endif
}

}  // namespace sagebuild
