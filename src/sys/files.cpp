#include "sagebuild/sys/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <thread>
#include <utility>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string_view what, const fs::path& path, int number) {
  std::string hint;
  if (number == ENOSPC || number == EDQUOT) {
    hint = fmt::format("the disk that holds '{}' is full: free some space, or choose another folder",
                       path.parent_path().string());
  } else if (number == EACCES || number == EPERM || number == EROFS) {
    hint = "check the permissions of that folder, or choose another one";
  } else if (number == ENOTDIR || number == EEXIST) {
    hint = "something that is no folder has that name: move it away, or choose another name";
  }
  throw Error(ErrorKind::failed, fmt::format("cannot {} '{}'", what, path.string()), {errno_text(number)}, hint);
}

// Says that a folder is a TempDir's. Its lock ends with the process, however that ends.
constexpr const char* kMark = ".sagebuild-temporary";

// The mark appears locked: nobody may find it free before. -1 where it cannot be locked; then the folder is not swept.
int locked_mark(const fs::path& folder) {
  const fs::path fresh = folder / fmt::format("{}.new", kMark);
  const int fd = open(fresh.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && rename(fresh.c_str(), (folder / kMark).c_str()) == 0) return fd;
  unlink(fresh.c_str());
  if (fd >= 0) close(fd);
  return -1;
}

// The mark goes last, so that a folder half removed is still known for what it is.
void remove_marked(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename() != kMark) fs::remove_all(entry.path(), ignored);
  fs::remove_all(folder, ignored);
}

// The file that a link points to, so that a write replaces the file and not the link.
fs::path followed(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  return error ? path : target;
}

}  // namespace

std::optional<std::string> read_file_if_exists(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (fd < 0) fail("read", path, errno);
  std::string text;
  struct stat status {};
  if (fstat(fd, &status) == 0 && status.st_size > 0) text.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[1 << 16];
  ssize_t count = 0;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(count));
  const int number = errno;
  close(fd);
  if (count < 0) fail("read", path, number);
  return text;
}

std::string read_file(const fs::path& path) {
  auto text = read_file_if_exists(path);
  if (!text) fail("read", path, ENOENT);
  return *std::move(text);
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void make_folders(const fs::path& path) {
  if (path.empty()) return;
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("make the folder", path, error.value());
}

void copy_content(const fs::path& from, const fs::path& to) {
  make_folders(to.parent_path());
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) fail("copy", from, error.value());
}

void make_empty_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail("remove", path, error.value());
  make_folders(path);
}

void require_writable_folder(const fs::path& path, std::string_view purpose) {
  try {
    make_folders(path);
    const TempDir probe(".sagebuild-probe", path);
  } catch (const Error& error) {
    throw Error(ErrorKind::failed, fmt::format("cannot write to the {} '{}'", purpose, path.string()), error.causes,
                error.hint);
  }
}

void copy_tree(const fs::path& from, const fs::path& to, const std::function<bool(const fs::path&)>& keep) {
  make_folders(to);
  for (auto entry = fs::recursive_directory_iterator(from); entry != fs::recursive_directory_iterator(); ++entry) {
    throw_if_interrupted();
    const fs::path relative = entry->path().lexically_relative(from);
    if (keep && !keep(relative)) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    std::error_code error;
    if (entry->is_symlink())
      fs::copy_symlink(entry->path(), to / relative, error);
    else if (entry->is_directory())
      fs::create_directory(to / relative, entry->path(), error);
    else if (entry->is_regular_file())
      fs::copy_file(entry->path(), to / relative, error);
    if (error) fail("copy to", to / relative, error.value());
  }
}

std::uint64_t free_disk(const fs::path& path) {
  fs::path nearest = fs::absolute(path);
  std::error_code error;
  while (!fs::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
  return fs::space(nearest, error).available;
}

AtomicFile::AtomicFile(fs::path path) : path_(followed(path)) {
  make_folders(path_.parent_path());
  std::string name = path_.parent_path() / ("." + path_.filename().string() + ".XXXXXX");
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) fail("write", path_, errno);
  temporary_ = name;
  struct stat status {};
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(fd, stat(path_.c_str(), &status) == 0 ? status.st_mode & 07777 : 0666 & ~mask);
  file_ = fdopen(fd, "wb");
}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail("write", path_, errno);
}

void AtomicFile::commit() {
  if (std::fclose(std::exchange(file_, nullptr)) != 0) fail("write", path_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", path_, errno);
  temporary_.clear();
}

TempDir::TempDir(std::string_view prefix, const fs::path& parent) {
  const fs::path folder = parent.empty() ? fs::path(environment_value("TMPDIR").value_or("/tmp")) : parent;
  make_folders(folder);
  std::string name = folder / fmt::format("{}.XXXXXX", prefix);
  if (mkdtemp(name.data()) == nullptr) fail("make a folder in", folder, errno);
  path_ = name;
}

TempDir::~TempDir() {
  if (!kept_ && !path_.empty()) remove_marked(path_);
  if (mark_ >= 0) close(mark_);
}

TempDir::TempDir(TempDir&& other) noexcept
    : path_(std::exchange(other.path_, {})), kept_(other.kept_), mark_(std::exchange(other.mark_, -1)) {}

void TempDir::keep() {
  kept_ = true;
  unlink((path_ / kMark).c_str());
}

void TempDir::sweep_if_killed() {
  if (!kept_) mark_ = locked_mark(path_);
}

void sweep_temp_dirs() {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(environment_value("TMPDIR").value_or("/tmp"), ignored)) {
    struct stat status {};
    if (lstat(entry.path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) continue;
    const int mark = open((entry.path() / kMark).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (mark < 0) continue;
    if (flock(mark, LOCK_EX | LOCK_NB) == 0) remove_marked(entry.path());
    close(mark);
  }
}

FileLock::FileLock(const fs::path& path, const std::function<void()>& on_wait) {
  make_folders(path.parent_path());
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("lock", path, errno);
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  if (on_wait) on_wait();
  // Polled, because a blocking flock would miss a signal that came just before it.
  while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (interrupted() != 0) {
      close(fd_);
      throw_if_interrupted();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FileLock::~FileLock() { close(fd_); }

fs::path home_folder() { return environment_value("HOME").value_or("/tmp"); }

fs::path cache_folder() {
  if (const auto folder = environment_value("SAGEBUILD_CACHE_DIR")) return fs::absolute(*folder);
  if (const auto folder = environment_value("XDG_CACHE_HOME")) return fs::absolute(*folder) / "sagebuild";
  return home_folder() / ".cache" / "sagebuild";
}

fs::path running_binary() { return fs::read_symlink("/proc/self/exe"); }

std::string program_version() { return SAGEBUILD_VERSION; }

fs::path data_folder() {
  std::vector<fs::path> candidates;
  if (const auto folder = environment_value("SAGEBUILD_DATA_DIR")) {
    if (fs::is_directory(fs::path(*folder) / "patches")) return fs::weakly_canonical(*folder);
    throw Error(ErrorKind::environment, fmt::format("cannot use SAGEBUILD_DATA_DIR, which is '{}'", *folder),
                {"there is no folder 'patches' in it"}, "unset it, or set it to the folder that holds patches/");
  }
  candidates.push_back(running_binary().parent_path().parent_path() / "share" / "sagebuild");
  candidates.emplace_back(SAGEBUILD_SOURCE_DATA);
  for (const fs::path& candidate : candidates) {
    if (fs::is_directory(candidate / "patches")) return fs::weakly_canonical(candidate);
  }
  throw Error(ErrorKind::environment, "cannot find sagebuild's own data (patches/)",
              {fmt::format("looked beside '{}'", running_binary().string())},
              "install with 'cmake --install', or set SAGEBUILD_DATA_DIR to the folder that holds patches/");
}

}  // namespace sagebuild
