#include "sagebuild/source/fetch.hpp"

#include <fmt/format.h>

#include "archive.hpp"
#include "clone_cache.hpp"
#include "folder.hpp"
#include "git_checkout.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/source/git_view.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "tree_writer.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

void require_free(const fs::path& destination) {
  if (!is_link(destination) && !path_exists(destination)) return;
  if (is_folder(destination) && entries_of(destination).empty()) return;
  throw Error(ErrorKind::failed,
              fmt::format("the folder '{}' for the source is not empty", destination.string()));
}

void warn_of_missing(const std::vector<std::string>& missing, Reporter& report) {
  if (missing.empty()) return;
  constexpr std::size_t kShown = 3;
  const std::vector<std::string> shown(
      missing.begin(), missing.begin() + static_cast<long>(std::min(kShown, missing.size())));
  report.warning(
      fmt::format("the repository is partial: {} not needed for the build {} left out ({}{})",
                  counted(missing.size(), "file"), missing.size() == 1 ? "is" : "are",
                  join(shown, ", "), missing.size() > kShown ? ", ..." : ""));
}

// GitHub serves the ref of each pull request under this name, and people call it without "refs/".
std::string full_ref(const std::string& ref) {
  return ref.starts_with("pull/") ? "refs/" + ref : ref;
}

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

Checkout from_remote(const RemoteUrl& remote, const SourceSpec& spec, const fs::path& root,
                     const FetchOptions& options, Reporter& report) {
  const ClonedCommit clone = bring_clone(remote, full_ref(spec.ref), spec.offline, options, report);
  Checkout checkout = from_repository({clone.repository, spec.location, true, spec.offline},
                                      clone.commit, root, options, report);
  checkout.location = remote.url;
  checkout.ref = spec.ref.empty() ? clone.repository.head_name().value_or("") : spec.ref;
  return checkout;
}

Checkout from_local_repository(const Repository& repository, const fs::path& path,
                               const SourceSpec& spec, const fs::path& root,
                               const FetchOptions& options, Reporter& report) {
  const std::string commit = repository.resolve(full_ref(spec.ref));
  const std::string address =
      repository.origin_url().value_or(absolute_path(path).lexically_normal().string());
  Checkout checkout =
      from_repository({repository, address, false, spec.offline}, commit, root, options, report);
  checkout.ref = spec.ref.empty() ? repository.head_name().value_or("") : spec.ref;
  return checkout;
}

void require_archive_without_ref(const fs::path& path, const SourceSpec& spec) {
  if (spec.ref.empty()) return;
  throw Error(ErrorKind::usage,
              fmt::format("the archive '{}' has no ref '{}'", path.string(), spec.ref), {},
              "leave out --ref");
}

Checkout from_archive(const fs::path& path, const SourceSpec& spec, const fs::path& root) {
  require_archive_without_ref(path, spec);
  TreeWriter tree(root);
  unpack_archive(path, tree);
  Checkout checkout;
  checkout.root = tree.finish(true);
  checkout.dirty = true;
  return checkout;
}

[[noreturn]] void fail_unknown(const SourceSpec& spec) {
  const std::string shown = shown_url(spec.location);
  std::string hint = "give a folder, a .tar.gz, or a git URL (https, http, git, ssh, file)";
  if (split(spec.location, "/").size() == 2 && !spec.location.starts_with('/') &&
      !spec.location.starts_with('.') && spec.location.find_first_of("~:@") == std::string::npos) {
    hint = fmt::format("on GitHub it would be https://github.com/{}", shown);
  }
  throw Error(ErrorKind::usage, fmt::format("there is no source '{}'", shown), {}, hint);
}

// What a folder is taken for.
struct LocalSource {
  std::optional<Repository> repository;
  bool as_repository = false;  // one of its commits, not the folder as it is
};

LocalSource open_folder(const fs::path& path, bool as_repository, const SourceSpec& spec,
                        bool allow_foreign_owner) {
  if (!is_folder(path)) fail_unknown(spec);
  LocalSource source{Repository::open(path, {.allow_foreign_owner = allow_foreign_owner}), false};
  source.as_repository =
      source.repository && (as_repository || source.repository->is_bare() || !spec.ref.empty());
  if (!source.as_repository && (as_repository || !spec.ref.empty())) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a git repository", path.string()), {},
                spec.ref.empty() ? "give the folder's path to build it as it is"
                                 : "leave out --ref to build the folder as it is");
  }
  return source;
}

Checkout from_path(const fs::path& path, bool as_repository, const SourceSpec& spec,
                   const fs::path& root, const FetchOptions& options, Reporter& report) {
  if (is_file(path)) return from_archive(path, spec, root);
  const LocalSource source = open_folder(path, as_repository, spec, options.allow_foreign_owner);
  if (source.as_repository)
    return from_local_repository(*source.repository, path, spec, root, options, report);
  return copy_folder(path, source.repository, root, options, report);
}

bool is_archive_name(std::string_view text) {
  return text.ends_with(".tar.gz") || text.ends_with(".tgz") || text.ends_with(".zip") ||
         text.ends_with(".tar.xz");
}

void require_git_address(const RemoteUrl& remote) {
  if (!is_archive_name(remote.url)) return;
  throw Error(ErrorKind::usage, fmt::format("'{}' is an archive, not a git repository", remote.url),
              {}, "download it first, then give its path");
}

}  // namespace

void require_source(const SourceSpec& spec, bool allow_foreign_owner) {
  if (const auto remote = parse_remote_url(spec.location)) return require_git_address(*remote);
  const auto file_path = file_url_path(spec.location);
  const fs::path path = file_path.value_or(spec.location);
  if (is_file(path)) {
    require_archive_without_ref(path, spec);
    return require_archive(path);
  }
  const LocalSource source = open_folder(path, file_path.has_value(), spec, allow_foreign_owner);
  if (source.as_repository) (void)source.repository->resolve(full_ref(spec.ref));
}

Checkout fetch(const SourceSpec& spec, const FetchOptions& options, Reporter& report) {
  if (spec.location.empty())
    throw Error(ErrorKind::usage, "no source was given", {},
                "pass --source with a URL or a folder");
  require_free(options.destination);
  report.stage(fmt::format("fetching {}", redacted(spec.location)));
  const TempDir temporary("fetch", absolute_path(options.destination).parent_path());
  const fs::path root = temporary.path() / "tree";

  Checkout checkout;
  checkout.location = redacted(spec.location);
  if (const auto remote = parse_remote_url(spec.location)) {
    require_git_address(*remote);
    checkout = from_remote(*remote, spec, root, options, report);
  } else {
    const auto file_path = file_url_path(spec.location);
    checkout = from_path(file_path.value_or(spec.location), file_path.has_value(), spec, root,
                         options, report);
    checkout.location = redacted(spec.location);
  }
  move_path(checkout.root, options.destination);
  checkout.root = options.destination;
  return checkout;
}

}  // namespace sagebuild
