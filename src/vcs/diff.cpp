#include "sagebuild/vcs/diff.hpp"

#include <fmt/format.h>

#include "git.hpp"

namespace sagebuild {
namespace {

using PatchPtr = GitPtr<git_patch, git_patch_free>;

int append_line(const git_diff_delta*, const git_diff_hunk*, const git_diff_line* line,
                void* payload) {
  auto& text = *static_cast<std::string*>(payload);
  // Its "index" line names blobs that are in no repository.
  if (line->origin == GIT_DIFF_LINE_FILE_HDR) return 0;
  const bool is_line = line->origin == GIT_DIFF_LINE_CONTEXT ||
                       line->origin == GIT_DIFF_LINE_ADDITION ||
                       line->origin == GIT_DIFF_LINE_DELETION;
  if (is_line) text += line->origin;
  text.append(line->content, line->content_len);
  return 0;
}

}  // namespace

std::string unified_diff(std::string_view file, std::string_view before, std::string_view after) {
  if (before == after) return "";
  start_libgit2();
  const std::string name(file);
  const std::string refusal = fmt::format("cannot show what changed in '{}'", name);
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags = GIT_DIFF_FORCE_TEXT;  // a byte 0 does not make a script a binary
  git_patch* raw = nullptr;
  check_git(git_patch_from_buffers(&raw, before.data(), before.size(), name.c_str(), after.data(),
                                   after.size(), name.c_str(), &options),
            refusal);
  const PatchPtr patch(raw);
  std::string text = fmt::format("--- a/{0}\n+++ b/{0}\n", name);
  check_git(git_patch_print(raw, append_line, &text), refusal);
  return text;
}

}  // namespace sagebuild
