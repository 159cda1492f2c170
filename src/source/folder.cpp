#include "folder.hpp"

#include <fmt/format.h>

#include "sagebuild/source/git_view.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"

namespace fs = std::filesystem;

namespace sagebuild {
namespace {

// What git and earlier builds leave in a source folder. "build" deeper down may be part of a
// project.
bool is_left_over(const fs::path& relative) {
  if (relative.empty()) return false;
  const fs::path& first = *relative.begin();
  if (first == "build" || first == "dist") return true;
  for (const fs::path& part : relative) {
    if (part == ".git" || part.extension() == ".egg-info") return true;
  }
  return false;
}

void warn_of_link(const fs::path& folder, const fs::path& relative, Reporter& report) {
  const fs::path target = link_target(folder / relative);
  const fs::path end = (relative.parent_path() / target).lexically_normal();
  if (target.is_absolute() || (!end.empty() && *end.begin() == "..")) {
    report.warning(fmt::format("the link '{}' leads out of the source folder, to '{}'",
                               relative.string(), target.string()));
  }
}

}  // namespace

Checkout copy_folder(const fs::path& folder, const std::optional<Repository>& repository,
                     const fs::path& root, const FetchOptions& options, Reporter& report) {
  // Either may lie inside the folder that is copied.
  const fs::path ours = real_path_if_any(root.parent_path());
  const fs::path cache = real_path_if_any(options.cache);
  const fs::path from = real_path(folder);
  copy_tree(from, root, [&](const fs::path& relative) {
    throw_if_interrupted();
    const fs::path place = from / relative;
    if (is_left_over(relative) || place == ours || place == cache) return false;
    if (is_link(place)) warn_of_link(from, relative, report);
    return true;
  });

  Checkout checkout;
  checkout.root = root;
  checkout.dirty = true;
  if (repository) {
    const WorkTreeState state = repository->work_tree_state(is_left_over);
    checkout.commit = state.commit;
    checkout.dirty = state.dirty || state.commit.empty();
    checkout.ref = repository->head_name().value_or("");
    if (options.with_git && !state.commit.empty())
      make_git_view(*repository, state.commit, root, checkout.dirty);
  }
  return checkout;
}

}  // namespace sagebuild
