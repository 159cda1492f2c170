#include "git_checkout.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "clone_cache.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/signals.hpp"
#include "submodules.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

bool matches_any(const std::vector<std::string>& globs, const std::string& path) {
  return std::ranges::any_of(globs, [&](const std::string& glob) {
    return ::fnmatch(glob.c_str(), path.c_str(), 0) == 0;
  });
}

// One commit on its way into the tree; its submodules come after its files.
struct CommitWriter {
  const GitSource& source;
  const std::string& prefix;
  TreeWriter& tree;
  const FetchOptions& options;
  Reporter& report;

  std::vector<TreeEntry> submodules;
  std::map<std::string, std::string> submodule_urls;
  std::vector<std::string> left_out;
  std::vector<std::string> lost;  // "PATH (blob OID)"

  void visit(const TreeEntry& entry) {
    throw_if_interrupted();
    const std::string path = prefix + entry.path;
    if (entry.kind == TreeEntry::Kind::submodule) {
      tree.folder(path);
      submodules.push_back(entry);
      return;
    }
    const auto content = source.repository.read_blob(entry.oid);
    if (!content) {
      if (matches_any(options.may_miss, path))
        left_out.push_back(path);
      else
        lost.push_back(fmt::format("{} (blob {})", path, entry.oid));
    } else if (entry.kind == TreeEntry::Kind::link) {
      tree.link(path, *content);
    } else {
      tree.file(path, *content, entry.kind == TreeEntry::Kind::executable);
      if (entry.path == ".gitmodules") submodule_urls = parse_gitmodules(*content);
    }
  }

  void require_whole(const std::string& commit) const {
    if (lost.empty()) return;
    throw Error(ErrorKind::failed,
                fmt::format("{} of commit {} are missing in the repository '{}'",
                            counted(lost.size(), "file"), commit, source.address),
                lost, "the repository is partial: use a complete clone or the project's URL");
  }

  void append(std::vector<std::string> more) {
    left_out.insert(left_out.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }

  void write_submodule(const TreeEntry& entry) {
    const std::string path = prefix + entry.path;
    // A clone with its submodules initialised keeps them here.
    if (!source.is_remote) {
      const auto inner = Repository::open(source.repository.git_folder() / "modules" / entry.path,
                                          {.allow_foreign_owner = options.allow_foreign_owner});
      if (inner && inner->has_commit(entry.oid)) {
        return append(write_commit(
            {*inner, inner->origin_url().value_or(source.address), false, source.offline},
            entry.oid, path + "/", tree, options, report));
      }
    }
    const auto written = submodule_urls.find(entry.path);
    if (written == submodule_urls.end()) {
      throw Error(ErrorKind::failed,
                  fmt::format("the submodule '{}' has no address in .gitmodules", path));
    }
    const std::string address = resolve_relative_url(source.address, written->second);
    if (const auto remote = parse_remote_url(address)) {
      report.detail(fmt::format("submodule '{}' from '{}'", path, remote->url));
      const ClonedCommit clone = bring_clone(*remote, entry.oid, source.offline, options, report);
      return append(write_commit({clone.repository, address, true, source.offline}, clone.commit,
                                 path + "/", tree, options, report));
    }
    write_local_submodule(entry, path, address);
  }

  void write_local_submodule(const TreeEntry& entry, const std::string& path,
                             const std::string& address) {
    // Git refuses this too (protocol.file.allow): a stranger's commit must not choose which of our
    // folders is read.
    if (source.is_remote) {
      throw Error(ErrorKind::failed,
                  fmt::format("refused the submodule '{}' of a remote repository", path),
                  {fmt::format("its address '{}' is not one of https, http, git or ssh", address)});
    }
    const auto local = Repository::open(file_url_path(address).value_or(address),
                                        {.allow_foreign_owner = options.allow_foreign_owner});
    if (!local)
      throw Error(ErrorKind::failed, fmt::format("the submodule '{}' is not there", path),
                  {fmt::format("'{}' is not a repository", address)});
    append(write_commit({*local, local->origin_url().value_or(address), false, source.offline},
                        local->resolve(entry.oid), path + "/", tree, options, report));
  }
};

}  // namespace

std::vector<std::string> write_commit(const GitSource& source, const std::string& commit,
                                      const std::string& prefix, TreeWriter& tree,
                                      const FetchOptions& options, Reporter& report) {
  CommitWriter writer{source, prefix, tree, options, report, {}, {}, {}, {}};
  source.repository.for_each_entry(commit, [&](const TreeEntry& entry) { writer.visit(entry); });
  writer.require_whole(commit);
  for (const TreeEntry& entry : writer.submodules) writer.write_submodule(entry);
  return writer.left_out;
}

}  // namespace sagebuild
