#include "sagebuild/sys/paths.hpp"

#include <algorithm>

#include "sys/fail.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::none) fail("look at", path, error.value());
  return type;
}

// By name, as far as the folder could be read.
std::vector<fs::path> listed(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    found.push_back(entry->path());
  std::ranges::sort(found);
  return found;
}

}  // namespace

bool path_exists(const fs::path& path) { return type_of(path) != fs::file_type::not_found; }
bool is_folder(const fs::path& path) { return type_of(path) == fs::file_type::directory; }
bool is_file(const fs::path& path) { return type_of(path) == fs::file_type::regular; }

bool is_link(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::none) fail("look at", path, error.value());
  return fs::is_symlink(status);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  auto found = listed(folder, error);
  if (error) fail("read the folder", folder, error.value());
  return found;
}

std::vector<fs::path> entries_if_readable(const fs::path& folder) {
  std::error_code ignored;
  return listed(folder, ignored);
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const fs::path& path : entries_of(folder)) {
    std::error_code ignored;  // a link that leads nowhere is no file
    if (!is_link(path) && is_folder(path)) {
      std::ranges::move(files_below(path), std::back_inserter(found));
    } else if (fs::is_regular_file(path, ignored)) {
      found.push_back(path);
    }
  }
  return found;
}

fs::path absolute_path(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::absolute(path, error);
  if (error) fail("find the place of", path, error.value());
  return result;
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::canonical(path, error);
  if (error) fail("look at", path, error.value());
  return result;
}

fs::path real_path_if_any(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  return error ? absolute_path(path).lexically_normal() : result;
}

fs::path link_target(const fs::path& link) {
  std::error_code error;
  fs::path result = fs::read_symlink(link, error);
  if (error) fail("read the link", link, error.value());
  return result;
}

fs::path working_folder() {
  std::error_code error;
  fs::path result = fs::current_path(error);
  if (error) fail("find the folder that this runs in,", ".", error.value());
  return result;
}

void go_to_folder(const fs::path& folder) {
  std::error_code error;
  fs::current_path(folder, error);
  if (error) fail("go to the folder", folder, error.value());
}

std::uint64_t size_of_file(const fs::path& path) {
  std::error_code error;
  const std::uint64_t result = fs::file_size(path, error);
  if (error) fail("look at", path, error.value());
  return result;
}

fs::file_time_type last_written(const fs::path& path) {
  std::error_code error;
  const fs::file_time_type result = fs::last_write_time(path, error);
  if (error) fail("look at", path, error.value());
  return result;
}

void make_link(const fs::path& link, const fs::path& target) {
  std::error_code error;
  fs::create_symlink(target, link, error);
  if (error) fail("make the link", link, error.value());
}

void move_path(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail("put in its place", to, error.value());
}

void remove_path(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail("remove", path, error.value());
}

}  // namespace sagebuild
