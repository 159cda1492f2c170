#pragma once
// A file appears whole or not at all: written under a temporary name beside its place, then
// renamed. Errors are Error{failed} with the path and the system's reason; a full disk gets its own
// hint.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

std::string read_file(const std::filesystem::path& path);
// Nothing if there is no such file; throws for any other reason.
std::optional<std::string> read_file_if_exists(const std::filesystem::path& path);
// Whole or not at all. Keeps the mode of a file that it replaces; a link is followed, so the link
// stays.
void write_file(const std::filesystem::path& path, std::string_view content);
// Makes `to` a file with the content and mode of `from`; makes its folder where that is missing.
void copy_content(const std::filesystem::path& from, const std::filesystem::path& to);
// The file `to` gets the content of `from`, whole or not at all.
void copy_whole(const std::filesystem::path& from, const std::filesystem::path& to);
// A folder with nothing in it, whatever was there before.
void make_empty_folder(const std::filesystem::path& path);
// Makes missing folders. Error{failed} names the first that cannot be made.
void make_folders(const std::filesystem::path& path);
// Throws Error{failed} unless the folder can be made and written to; leaves nothing behind.
void require_writable_folder(const std::filesystem::path& path, std::string_view purpose);
// Copies a folder's files, links as links, with modes. `keep` decides by path relative to `from`.
void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to,
               const std::function<bool(const std::filesystem::path&)>& keep = nullptr);
// Bytes for an ordinary user; of the nearest existing parent.
std::uint64_t free_disk(const std::filesystem::path& path);

// A new file beside `path` (".NAME.XXXXXX"); commit() renames it, the destructor removes it.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  const std::filesystem::path& temporary() const {
    return temporary_;
  }  // for writers that want a name
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

// A private folder (mode 0700) that goes away with the object, unless kept.
class TempDir {
 public:
  // In $TMPDIR or /tmp; or in `parent`, which is made if missing.
  explicit TempDir(std::string_view prefix = "sagebuild", const std::filesystem::path& parent = {});
  ~TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep();
  // For a folder in $TMPDIR: if this process is killed, the next one's sweep_temp_dirs removes it.
  // Puts a hidden file into the folder, locked while the process lives.
  void sweep_if_killed();

 private:
  std::filesystem::path path_;
  bool kept_ = false;
  int mark_ = -1;  // the locked file
};

// Removes from $TMPDIR what killed processes left there: marked folders of ours whose mark nobody
// holds. Never fails.
void sweep_temp_dirs();

// Holds an exclusive flock on a file until destroyed. If another process has it, `on_wait` is
// called once, then waits (interruptible).
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path,
                    const std::function<void()>& on_wait = nullptr);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

// Where things live. cache: SAGEBUILD_CACHE_DIR, else XDG_CACHE_HOME/sagebuild, else
// ~/.cache/sagebuild.
std::filesystem::path cache_folder();
std::filesystem::path home_folder();
// The program's data (patches/, examples/): SAGEBUILD_DATA_DIR, else ../share/sagebuild beside the
// running binary, else the source folder that it was built from. Error{environment} if none has
// patches/.
std::filesystem::path data_folder();
std::filesystem::path running_binary();
std::string program_version();  // "0.1.0"

}  // namespace sagebuild
