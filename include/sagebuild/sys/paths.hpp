#pragma once
// std::filesystem's questions and changes as the rest of the program asks for them: where the
// system refuses, Error {failed} names the path, the reason and the next step. Outside sys nobody
// calls those of std::filesystem that throw (tests/include_direction.py).

#include <cstdint>
#include <filesystem>
#include <vector>

namespace sagebuild {

// What stands at a path, links followed. "Nothing" is an answer; a folder on the way that may not
// be entered is none.
bool path_exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_link(const std::filesystem::path& path);  // itself, not followed
// For a look around at places that nobody named: what cannot be looked at counts as not there.
bool is_there(const std::filesystem::path& path);

// What is in a folder, by name.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);
// Else none
std::vector<std::filesystem::path> entries_if_readable(const std::filesystem::path& folder);
// The files in a folder and in those below it, links to files too; links to folders are not
// followed.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder);

std::filesystem::path absolute_path(const std::filesystem::path& path);
std::filesystem::path real_path(const std::filesystem::path& path);  // all of it must exist
// The same of that part which exists. What may not be entered stays as it is written.
std::filesystem::path real_path_if_any(const std::filesystem::path& path);
// As it is written in the link
std::filesystem::path link_target(const std::filesystem::path& link);
std::filesystem::path working_folder();
void go_to_folder(const std::filesystem::path& folder);
std::uint64_t size_of_file(const std::filesystem::path& path);  // bytes
std::filesystem::file_time_type last_written(const std::filesystem::path& path);

void make_link(const std::filesystem::path& link, const std::filesystem::path& target);
// Within a file system
void move_path(const std::filesystem::path& from, const std::filesystem::path& to);
// With all that is in it; nothing there is fine.
void remove_path(const std::filesystem::path& path);

}  // namespace sagebuild
