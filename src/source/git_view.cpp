#include "sagebuild/source/git_view.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/vcs/view_parts.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig =
    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n[gc]\n\tauto = 0\n";

// flash-attn and others run `git submodule update --init` where they see a .git folder.
std::string submodule_config(const fs::path& tree) {
  std::string text;
  for (const std::string& name : submodule_names(tree / ".gitmodules")) {
    const std::string quoted = replaced(replaced(name, "\\", "\\\\"), "\"", "\\\"");
    text += fmt::format("[submodule \"{}\"]\n\tupdate = none\n", quoted);
  }
  return text;
}

}  // namespace

void make_git_view(const Repository& from, const std::string& commit, const fs::path& tree,
                   bool is_dirty) {
  const fs::path shared = shared_git_folder(from);
  const fs::path folder = tree / ".git";
  make_folders(folder / "refs");
  write_file(folder / "objects/info/alternates",
             fmt::format("{}\n", (shared / "objects").string()));
  write_file(folder / "HEAD", commit + "\n");
  write_file(folder / "packed-refs", packed_tags(from));
  write_file(folder / "config", kConfig + submodule_config(tree));
  if (const auto shallow = read_file_if_exists(shared / "shallow"))
    write_file(folder / "shallow", *shallow);
  write_index(tree, commit, !is_dirty);
}

void hide_from_git(const fs::path& tree, const std::vector<std::string>& files) {
  if (!files.empty() && path_exists(tree / ".git/HEAD")) mark_unchanged(tree, files);
}

std::string git_view_text(const fs::path& tree) {
  std::string text;
  for (const char* file : {".git/HEAD", ".git/packed-refs", ".git/shallow"})
    text += read_file_if_exists(tree / file).value_or("");
  return text;
}

}  // namespace sagebuild
