#include "sagebuild/vcs/view_parts.hpp"

#include <fmt/format.h>

#include <map>

#include "git.hpp"
#include "sagebuild/base/scope.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

using IndexPtr = GitPtr<git_index, git_index_free>;
using ConfigPtr = GitPtr<git_config, git_config_free>;

RepositoryPtr opened(const fs::path& tree) {
  git_repository* raw = nullptr;
  check_git(git_repository_open_ext(&raw, tree.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr),
            fmt::format("cannot open the tree '{}'", tree.string()));
  return RepositoryPtr(raw);
}

IndexPtr index_of(git_repository* repository) {
  git_index* raw = nullptr;
  check_git(git_repository_index(&raw, repository), "cannot open the index of the tree");
  return IndexPtr(raw);
}

// What `git update-index --assume-unchanged` does.
void assume_unchanged(git_index* index, const git_index_entry& entry) {
  git_index_entry changed = entry;
  changed.flags = static_cast<std::uint16_t>(changed.flags | GIT_INDEX_ENTRY_VALID);
  const std::string path = entry.path;  // the entry goes when the other comes
  changed.path = path.c_str();
  check_git(git_index_add(index, &changed),
            fmt::format("cannot note '{}' in the index of the tree", path));
}

}  // namespace

std::string packed_tags(const Repository& repository) {
  git_repository* from = repository.state().handle.get();
  git_strarray names{};
  check_git(git_tag_list(&names, from), "cannot list the tags");
  const ScopeExit free_names([&names] { git_strarray_dispose(&names); });
  std::map<std::string, std::string> lines;
  for (std::size_t i = 0; i < names.count; ++i) {
    const std::string name = fmt::format("refs/tags/{}", names.strings[i]);
    git_oid target;
    if (git_reference_name_to_id(&target, from, name.c_str()) < 0) continue;
    std::string line = fmt::format("{} {}\n", hex_of(target), name);
    git_object* raw = nullptr;
    if (git_object_lookup(&raw, from, &target, GIT_OBJECT_ANY) < 0)
      continue;  // a shallow clone may lack it
    const ObjectPtr object(raw);
    git_object* peeled = nullptr;
    if (git_object_peel(&peeled, raw, GIT_OBJECT_COMMIT) < 0)
      continue;  // a tag of a tree or a file
    const ObjectPtr commit(peeled);
    if (git_object_type(raw) == GIT_OBJECT_TAG)
      line += fmt::format("^{}\n", hex_of(*git_object_id(peeled)));
    lines.emplace(name, std::move(line));
  }
  std::string text = "# pack-refs with: peeled fully-peeled sorted \n";
  for (const auto& [name, line] : lines) text += line;
  return text;
}

std::vector<std::string> submodule_names(const fs::path& modules) {
  git_config* raw = nullptr;
  std::error_code ignored;
  const bool is_file = is_regular_file(fs::symlink_status(modules, ignored));
  if (!is_file || git_config_open_ondisk(&raw, modules.c_str()) < 0) return {};
  const ConfigPtr config(raw);
  std::vector<std::string> names;
  const auto take = [](const git_config_entry* entry, void* payload) {
    std::string_view name = entry->name;
    name.remove_prefix(std::string_view("submodule.").size());
    name.remove_suffix(std::string_view(".path").size());
    static_cast<std::vector<std::string>*>(payload)->emplace_back(name);
    return 0;
  };
  check_git(git_config_foreach_match(raw, "^submodule\\..*\\.path$", take, &names),
            "cannot read .gitmodules");
  return names;
}

std::filesystem::path shared_git_folder(const Repository& repository) {
  return git_repository_commondir(repository.state().handle.get());
}

void write_index(const fs::path& tree, const std::string& commit, bool is_unchanged) {
  const RepositoryPtr view = opened(tree);
  git_object* raw = nullptr;
  check_git(git_revparse_single(&raw, view.get(), (commit + "^{tree}").c_str()),
            "cannot read the commit's tree");
  const ObjectPtr object(raw);
  const IndexPtr index = index_of(view.get());
  check_git(git_index_read_tree(index.get(), reinterpret_cast<const git_tree*>(raw)),
            "cannot make an index");
  // A partial repository may lack blobs, and nothing is created here.
  git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0);
  const ScopeExit again([] { git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 1); });
  for (std::size_t i = 0; is_unchanged && i < git_index_entrycount(index.get()); ++i)
    assume_unchanged(index.get(), *git_index_get_byindex(index.get(), i));
  check_git(git_index_write(index.get()), "cannot write the index of the tree");
}

void mark_unchanged(const fs::path& tree, const std::vector<std::string>& files) {
  const RepositoryPtr view = opened(tree);
  const IndexPtr index = index_of(view.get());
  for (const std::string& file : files) {
    if (const git_index_entry* entry = git_index_get_bypath(index.get(), file.c_str(), 0))
      assume_unchanged(index.get(), *entry);
  }
  check_git(git_index_write(index.get()), "cannot write the index of the tree");
}

}  // namespace sagebuild
