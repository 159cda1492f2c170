#include "clone_cache.hpp"

#include <fmt/format.h>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/vcs/transport.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

// "owner/name" of an address: what a progress line has room for.
std::string short_name(const RemoteUrl& remote) {
  auto parts = split(remote.url, "/:");
  std::string name(parts.empty() ? std::string_view(remote.url) : parts.back());
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return parts.size() > 2 && remote.url.find("://") != std::string::npos && parts.size() < 4
             ? name
             : fmt::format("{}/{}", parts.size() > 1 ? parts[parts.size() - 2] : "", name);
}

// Readable, and different for every address.
fs::path clone_folder(const fs::path& cache, const RemoteUrl& remote) {
  std::string name;
  for (const char c : short_name(remote)) name += c == '/' || c == '.' ? '-' : c;
  return cache / "git" / fmt::format("{}-{}.git", name, sha256(remote.url).hex().substr(0, 12));
}

OpenOptions as_ours(const RemoteUrl& remote) {
  return {.allow_foreign_owner = true, .shown_as = remote.url};
}

// Appears whole: one that was left half-made would look like an empty repository.
void make_empty_clone(const fs::path& folder) {
  const TempDir temporary("clone", folder.parent_path());
  const fs::path made = temporary.path() / "clone.git";
  Repository::create_bare(made);
  remove_path(folder);
  move_path(made, folder);
}

// A clone is only a cache: one that does not open any more is made again.
std::optional<Repository> open_clone(const fs::path& folder, const RemoteUrl& remote,
                                     Reporter& report) {
  try {
    return Repository::open(folder, as_ours(remote));
  } catch (const Error& error) {
    report.warning(fmt::format("the kept clone '{}' is damaged and is fetched again ({})",
                               folder.string(), error.message));
    return std::nullopt;
  }
}

ClonedCommit resolved_offline(std::optional<Repository> clone, const RemoteUrl& remote,
                              const std::string& ref) {
  const std::string hint = "run once without --offline";
  if (!clone)
    throw Error(ErrorKind::network,
                fmt::format("'{}' was not fetched before, and --offline was given", remote.url), {},
                hint);
  try {
    const std::string commit = clone->resolve(ref);
    return {std::move(*clone), commit};
  } catch (Error& error) {
    error.causes.emplace_back("only what earlier builds fetched was looked at (--offline)");
    throw;
  }
}

void update(const Repository& clone, const RemoteUrl& remote, const std::string& ref,
            const FetchOptions& options, Reporter& report) {
  TransferProgress shown{.what = "fetching " + short_name(remote)};
  const FetchHooks hooks{.progress =
                             [&](const FetchProgress& progress) {
                               shown.done = progress.bytes;
                               shown.objects_done = progress.objects_done;
                               shown.objects_total = progress.objects_total;
                               report.transfer(shown);
                             },
                         .check_interrupt = throw_if_interrupted,
                         .stall_limit = options.stall_limit};
  fetch_from_remote(clone, remote, ref, hooks);
  report.detail(fmt::format("fetched {} objects, {} from '{}'", shown.objects_total,
                            human_size(shown.done), remote.url));
}

}  // namespace

ClonedCommit bring_clone(const RemoteUrl& remote, const std::string& ref, bool offline,
                         const FetchOptions& options, Reporter& report) {
  const fs::path folder = clone_folder(options.cache, remote);
  make_folders(folder.parent_path());
  const FileLock lock(folder.string() + ".lock", [&] {
    report.note(fmt::format("waiting for another build that fetches '{}'", remote.url));
  });
  std::optional<Repository> clone = open_clone(folder, remote, report);
  if (offline) return resolved_offline(std::move(clone), remote, ref);
  if (clone) {
    if (const auto commit = clone->find_commit(ref)) {
      report.detail(fmt::format("commit {} is in the kept clone '{}'", *commit, folder.string()));
      return {std::move(*clone), *commit};
    }
  } else {
    make_empty_clone(folder);
    clone = Repository::open(folder, as_ours(remote));
  }
  update(*clone, remote, ref, options, report);
  const std::string commit = clone->resolve(ref);
  return {std::move(*clone), commit};
}

}  // namespace sagebuild
