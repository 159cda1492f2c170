#include "sagebuild/source/fetch.hpp"

#include <fmt/format.h>

#include "archive.hpp"
#include "clone_cache.hpp"
#include "folder.hpp"
#include "git_checkout.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/source/git_view.hpp"
#include "sagebuild/sys/files.hpp"
#include "tree_writer.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

void require_free(const fs::path& destination) {
  if (!fs::exists(fs::symlink_status(destination))) return;
  if (fs::is_directory(destination) && fs::is_empty(destination)) return;
  throw Error(ErrorKind::failed, fmt::format("the folder '{}' for the source is not empty", destination.string()));
}

void warn_of_missing(const std::vector<std::string>& missing, Reporter& report) {
  if (missing.empty()) return;
  constexpr std::size_t kShown = 3;
  const std::vector<std::string> shown(missing.begin(),
                                       missing.begin() + static_cast<long>(std::min(kShown, missing.size())));
  report.warning(fmt::format("the repository is partial: {} not needed for the build {} left out ({}{})",
                             missing.size() == 1 ? "1 file" : fmt::format("{} files", missing.size()),
                             missing.size() == 1 ? "is" : "are", join(shown, ", "),
                             missing.size() > kShown ? ", ..." : ""));
}

// GitHub serves the ref of each pull request under this name, and people call it without "refs/".
std::string full_ref(const std::string& ref) { return ref.starts_with("pull/") ? "refs/" + ref : ref; }

Checkout from_repository(const GitSource& source, const std::string& commit, const fs::path& root,
                         const FetchOptions& options, Reporter& report) {
  TreeWriter tree(root);
  Checkout checkout;
  checkout.commit = commit;
  checkout.missing = write_commit(source, commit, "", tree, options, report);
  checkout.root = tree.finish();
  if (options.with_git) make_git_view(source.repository, commit, checkout.root, false);
  warn_of_missing(checkout.missing, report);
  return checkout;
}

Checkout from_remote(const RemoteUrl& remote, const SourceSpec& spec, const fs::path& root, const FetchOptions& options,
                     Reporter& report) {
  const ClonedCommit clone = bring_clone(remote, full_ref(spec.ref), spec.offline, options, report);
  Checkout checkout =
      from_repository({clone.repository, spec.location, true, spec.offline}, clone.commit, root, options, report);
  checkout.location = remote.url;
  checkout.ref = spec.ref.empty() ? clone.repository.head_name().value_or("") : spec.ref;
  return checkout;
}

Checkout from_local_repository(const Repository& repository, const fs::path& path, const SourceSpec& spec,
                               const fs::path& root, const FetchOptions& options, Reporter& report) {
  const std::string commit = repository.resolve(full_ref(spec.ref));
  const std::string address = repository.origin_url().value_or(fs::absolute(path).lexically_normal().string());
  Checkout checkout = from_repository({repository, address, false, spec.offline}, commit, root, options, report);
  checkout.ref = spec.ref.empty() ? repository.head_name().value_or("") : spec.ref;
  return checkout;
}

Checkout from_archive(const fs::path& path, const SourceSpec& spec, const fs::path& root) {
  if (!spec.ref.empty()) {
    throw Error(ErrorKind::usage, fmt::format("the archive '{}' has no ref '{}'", path.string(), spec.ref), {},
                "leave out --ref");
  }
  TreeWriter tree(root);
  unpack_archive(path, tree);
  Checkout checkout;
  checkout.root = tree.finish(true);
  checkout.dirty = true;
  return checkout;
}

[[noreturn]] void fail_unknown(const SourceSpec& spec) {
  const std::string shown = redacted(spec.location);
  std::string hint = "give a folder, a .tar.gz, or a git URL (https, http, git, ssh, file)";
  if (split(spec.location, "/").size() == 2 && !spec.location.starts_with('/') && !spec.location.starts_with('.')) {
    hint = fmt::format("on GitHub it would be https://github.com/{}", shown);
  }
  throw Error(ErrorKind::usage, fmt::format("there is no source '{}'", shown), {}, hint);
}

Checkout from_path(const fs::path& path, bool as_repository, const SourceSpec& spec, const fs::path& root,
                   const FetchOptions& options, Reporter& report) {
  if (fs::is_regular_file(path)) return from_archive(path, spec, root);
  if (!fs::is_directory(path)) fail_unknown(spec);
  const auto repository = Repository::open(path, {.allow_foreign_owner = options.allow_foreign_owner});
  if (repository && (as_repository || repository->is_bare() || !spec.ref.empty())) {
    return from_local_repository(*repository, path, spec, root, options, report);
  }
  if (as_repository || !spec.ref.empty()) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a git repository", path.string()), {},
                spec.ref.empty() ? "give the folder's path to build it as it is"
                                 : "leave out --ref to build the folder as it is");
  }
  return copy_folder(path, repository, root, options, report);
}

bool is_archive_name(std::string_view text) {
  return text.ends_with(".tar.gz") || text.ends_with(".tgz") || text.ends_with(".zip") || text.ends_with(".tar.xz");
}

}  // namespace

void require_source(const SourceSpec& spec) {
  if (!parse_remote_url(spec.location) && !fs::exists(file_url_path(spec.location).value_or(spec.location)))
    fail_unknown(spec);
}

Checkout fetch(const SourceSpec& spec, const FetchOptions& options, Reporter& report) {
  if (spec.location.empty())
    throw Error(ErrorKind::usage, "no source was given", {}, "pass --source with a URL or a folder");
  require_free(options.destination);
  report.stage(fmt::format("fetching {}", redacted(spec.location)));
  const TempDir temporary("fetch", fs::absolute(options.destination).parent_path());
  const fs::path root = temporary.path() / "tree";

  Checkout checkout;
  checkout.location = redacted(spec.location);
  if (const auto remote = parse_remote_url(spec.location)) {
    if (is_archive_name(remote->url)) {
      throw Error(ErrorKind::usage, fmt::format("'{}' is an archive, not a git repository", remote->url), {},
                  "download it first, then give its path");
    }
    checkout = from_remote(*remote, spec, root, options, report);
  } else {
    const auto file_path = file_url_path(spec.location);
    checkout = from_path(file_path.value_or(spec.location), file_path.has_value(), spec, root, options, report);
    checkout.location = redacted(spec.location);
  }
  fs::rename(checkout.root, options.destination);
  checkout.root = options.destination;
  return checkout;
}

}  // namespace sagebuild
