#pragma once
// Whether the process that a folder belongs to still lives: a hidden file in the folder, locked by
// that process. The kernel drops the lock when the process ends, however that ends. Private to the
// folder.

#include <filesystem>

namespace sagebuild {

// Marks a folder as this process's own; gives the open, locked file. -1 where nothing can be
// locked: such a folder has no mark.
int mark_as_living(const std::filesystem::path& folder);
bool is_marked(const std::filesystem::path& folder);
void unmark(const std::filesystem::path& folder);
// Removes the folder and all in it; the mark goes last, so that one half removed is still known for
// what it is.
void remove_marked(const std::filesystem::path& folder);
// The same for a marked folder of ours whose process has ended; leaves any other alone, and says
// which it was.
bool remove_if_ended(const std::filesystem::path& folder);

}  // namespace sagebuild
