#include "sagebuild/sys/trust.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

bool is_trusted(uid_t user) {
  if (user == 0 || user == geteuid()) return true;
  const auto before = geteuid() == 0 ? environment_value("SUDO_UID") : std::nullopt;
  return before && to_integer(*before) == static_cast<long long>(user);
}

std::string name_of_user(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

std::string name_of_group(gid_t group) {
  const struct group* entry = getgrgid(group);
  return entry != nullptr ? entry->gr_name : std::to_string(group);
}

// Debian, Ubuntu and Fedora give each user such a group, and let it write by default.
bool is_own_group(gid_t group, uid_t owner) {
  const struct group* entry = getgrgid(group);
  const std::string user = name_of_user(owner);
  if (entry == nullptr || entry->gr_name != user) return false;
  for (char** member = entry->gr_mem; *member != nullptr; ++member) {
    if (*member != user) return false;
  }
  return true;
}

// `is_above`: what matters is only whether what lies in it can be replaced.
std::optional<std::string> fault_of(const fs::path& folder, bool is_above) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return std::nullopt;
  if (!is_trusted(status.st_uid)) {
    return fmt::format("'{}' belongs to the user '{}'", folder.string(),
                       name_of_user(status.st_uid));
  }
  if (is_above && (status.st_mode & S_ISVTX) != 0) return std::nullopt;
  if ((status.st_mode & S_IWOTH) != 0)
    return fmt::format("everybody can write to '{}'", folder.string());
  if ((status.st_mode & S_IWGRP) == 0 || is_own_group(status.st_gid, status.st_uid))
    return std::nullopt;
  return fmt::format("the group '{}' can write to '{}'", name_of_group(status.st_gid),
                     folder.string());
}

std::optional<std::string> fault_above(const fs::path& folder) {
  for (fs::path above = folder.parent_path();; above = above.parent_path()) {
    if (auto fault = fault_of(above, true)) return fault;
    if (above == above.root_path()) return std::nullopt;
  }
}

std::optional<std::string> fault_below(const fs::path& folder, int depth) {
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; depth > 0 && !ignored && entry != end;
       entry.increment(ignored)) {
    std::error_code failed;
    if (!entry->is_directory(failed)) continue;
    // A link's target lies anywhere.
    auto fault = entry->is_symlink(failed) ? others_can_write(entry->path(), 0)
                                           : fault_of(entry->path(), false);
    if (!fault) fault = fault_below(entry->path(), depth - 1);
    if (fault) return fault;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> others_can_write(const fs::path& folder, int depth) {
  std::error_code failed;
  const fs::path real = fs::weakly_canonical(folder, failed);
  if (failed) return std::nullopt;
  if (auto fault = fault_of(real, false)) return fault;
  if (auto fault = fault_above(real)) return fault;
  return fault_below(real, depth);
}

}  // namespace sagebuild
