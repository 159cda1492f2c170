// From what a user calls a commit to its 40 digits.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "git.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// The commit that an object is or points to through tags.
std::string peeled_commit(git_object* object, std::string_view ref) {
  git_object* raw = nullptr;
  check_git(git_object_peel(&raw, object, GIT_OBJECT_COMMIT),
            fmt::format("'{}' does not lead to a commit", ref));
  const ObjectPtr commit(raw);
  return hex_of(*git_object_id(raw));
}

// Nothing if there is no such ref.
std::optional<std::string> commit_of_ref(const Repository& repository,
                                         const std::string& full_name) {
  git_repository* handle = repository.state().handle.get();
  git_oid oid;
  if (git_reference_name_to_id(&oid, handle, full_name.c_str()) < 0) return std::nullopt;
  git_object* raw = nullptr;
  if (git_object_lookup(&raw, handle, &oid, GIT_OBJECT_ANY) < 0) {
    throw Error(ErrorKind::failed,
                fmt::format("'{}' of '{}' points to the missing object {}", full_name,
                            repository.state().name, hex_of(oid)),
                {},
                "the repository is partial or damaged: use a complete clone or the project's URL");
  }
  const ObjectPtr object(raw);
  return peeled_commit(raw, full_name);
}

std::string unknown_ref_hint(const Repository& repository, std::string_view ref) {
  const std::vector<std::string> names = repository.ref_names();
  if (names.empty()) return "the repository has no branch and no tag";
  if (const auto name = nearest(ref, names)) return fmt::format("did you mean '{}'?", *name);
  constexpr std::size_t kShown = 12;
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<long>(std::min(kShown, names.size())));
  return fmt::format("there are: {}{}", join(shown, ", "), names.size() > kShown ? ", ..." : "");
}

enum class Lookup { found, missing, ambiguous };

Lookup look_up_commit(const Repository& repository, std::string_view hex, std::string& commit) {
  git_oid oid;
  if (git_oid_fromstrn(&oid, hex.data(), hex.size()) < 0) return Lookup::missing;
  git_object* raw = nullptr;
  const int code = git_object_lookup_prefix(&raw, repository.state().handle.get(), &oid, hex.size(),
                                            GIT_OBJECT_ANY);
  if (code == GIT_EAMBIGUOUS) return Lookup::ambiguous;
  if (code < 0) return Lookup::missing;
  const ObjectPtr object(raw);
  if (git_object_type(raw) != GIT_OBJECT_COMMIT && git_object_type(raw) != GIT_OBJECT_TAG)
    return Lookup::missing;
  commit = peeled_commit(raw, hex);
  return Lookup::found;
}

}  // namespace

bool looks_like_commit(std::string_view text) {
  return text.size() >= 4 && text.size() <= GIT_OID_HEXSZ && std::ranges::all_of(text, [](char c) {
           return std::isxdigit(static_cast<unsigned char>(c)) != 0;
         });
}

bool Repository::has_commit(std::string_view full_hex) const {
  std::string commit;
  return full_hex.size() == GIT_OID_HEXSZ &&
         look_up_commit(*this, full_hex, commit) == Lookup::found;
}

std::optional<std::string> Repository::find_commit(std::string_view hex) const {
  std::string commit;
  if (!looks_like_commit(hex) || look_up_commit(*this, hex, commit) != Lookup::found)
    return std::nullopt;
  return commit;
}

std::vector<std::string> Repository::ref_names() const {
  git_strarray raw{};
  check_git(git_reference_list(&raw, state_->handle.get()),
            fmt::format("cannot list the refs of '{}'", state_->name));
  const ScopeExit free_list([&raw] { git_strarray_dispose(&raw); });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < raw.count; ++i) {
    std::string_view name = raw.strings[i];
    if (take_prefix(name, "refs/heads/") || take_prefix(name, "refs/tags/") ||
        take_prefix(name, "refs/remotes/origin/")) {
      if (name != "HEAD" && std::ranges::find(names, name) == names.end()) names.emplace_back(name);
    }
  }
  return names;
}

std::string Repository::resolve(std::string_view ref) const {
  const std::string name(ref);
  const std::string& shown = state_->name;
  if (ref.empty() || ref == "HEAD") {
    if (auto commit = commit_of_ref(*this, "HEAD")) return *commit;
    throw Error(ErrorKind::usage, fmt::format("'{}' has no commit that HEAD points to", shown), {},
                unknown_ref_hint(*this, "main"));
  }
  std::string commit;
  if (ref.size() == GIT_OID_HEXSZ && looks_like_commit(ref) &&
      look_up_commit(*this, ref, commit) == Lookup::found)
    return commit;
  if (ref.starts_with("refs/")) {
    if (auto found = commit_of_ref(*this, name)) return *found;
  }
  const auto branch = commit_of_ref(*this, "refs/heads/" + name);
  const auto tag = commit_of_ref(*this, "refs/tags/" + name);
  if (branch && tag && *branch != *tag) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is both a branch and a tag of '{}'", ref, shown), {},
                fmt::format("say 'refs/heads/{}' or 'refs/tags/{}'", ref, ref));
  }
  if (tag) return *tag;
  if (branch) return *branch;
  if (auto found = commit_of_ref(*this, "refs/remotes/origin/" + name)) return *found;
  if (looks_like_commit(ref)) {
    const Lookup result = look_up_commit(*this, ref, commit);
    if (result == Lookup::found) return commit;
    if (result == Lookup::ambiguous) {
      throw Error(ErrorKind::usage,
                  fmt::format("the abbreviated commit '{}' is ambiguous in '{}'", ref, shown), {},
                  "give more of its digits");
    }
  }
  throw Error(ErrorKind::usage, fmt::format("'{}' has no branch, tag or commit '{}'", shown, ref),
              {}, unknown_ref_hint(*this, ref));
}

}  // namespace sagebuild
