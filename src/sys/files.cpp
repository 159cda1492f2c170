#include "sagebuild/sys/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <thread>
#include <utility>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/file_bytes.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sys/fail.hpp"
#include "sys/living.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// The file that a link points to, so that a write replaces the file and not the link.
fs::path followed(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  return error ? path : target;
}

// Makes a file that nobody has, and puts its name into `name`, whose last letters are replaced.
// As mkostemp, but for the mode, from which the system takes the umask: asking for the umask means
// setting it, and then what another thread makes meanwhile is open to all.
int open_new(std::string& name, mode_t mode) {
  constexpr std::string_view kLetters =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV";
  constexpr std::size_t kReplaced = 6;
  while (true) {
    std::array<unsigned char, kReplaced> random{};
    if (getrandom(random.data(), random.size(), 0) < 0) return -1;
    for (std::size_t i = 0; i < kReplaced; ++i)
      name[name.size() - kReplaced + i] = kLetters[random[i] % kLetters.size()];
    const int fd = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

void copy_below(const fs::path& from, const fs::path& to, const fs::path& below,
                const std::function<bool(const fs::path&)>& keep) {
  make_folders(to / below);
  for (const fs::path& path : entries_of(from / below)) {
    throw_if_interrupted();
    const fs::path relative = below / path.filename();
    if (keep && !keep(relative)) continue;
    std::error_code error;
    if (is_link(path)) {
      fs::copy_symlink(path, to / relative, error);
    } else if (is_folder(path)) {
      fs::create_directory(to / relative, path, error);
      if (!error) copy_below(from, to, relative, keep);
    } else if (is_file(path)) {
      fs::copy_file(path, to / relative, error);
    }
    if (error) fail("copy to", to / relative, error.value());
  }
}

}  // namespace

std::optional<std::string> read_file_if_exists(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (fd < 0) fail("read", path, errno);
  std::string text;
  struct stat status {};
  if (fstat(fd, &status) == 0 && status.st_size > 0)
    text.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[1 << 16];
  ssize_t count = 0;
  while ((count = read(fd, buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<std::size_t>(count));
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
    throw Error(ErrorKind::failed,
                fmt::format("cannot write to the {} '{}'", purpose, path.string()), error.causes,
                error.hint);
  }
}

void copy_tree(const fs::path& from, const fs::path& to,
               const std::function<bool(const fs::path&)>& keep) {
  copy_below(from, to, "", keep);
}

std::uint64_t free_disk(const fs::path& path) {
  fs::path nearest = absolute_path(path);
  std::error_code error;
  while (!fs::exists(nearest, error) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  return fs::space(nearest, error).available;
}

AtomicFile::AtomicFile(fs::path path) : path_(followed(path)) {
  make_folders(path_.parent_path());
  std::string name = path_.parent_path() / ("." + path_.filename().string() + ".XXXXXX");
  struct stat status {};
  const bool replaces = stat(path_.c_str(), &status) == 0;
  const mode_t mode = replaces ? status.st_mode & 07777 : 0666;
  const int fd = open_new(name, mode);
  if (fd < 0) fail("write", path_, errno);
  temporary_ = name;
  if (replaces) fchmod(fd, mode);  // whatever the umask
  file_ = fdopen(fd, "wb");
}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size())
    fail("write", path_, errno);
}

void AtomicFile::commit() {
  if (std::fclose(std::exchange(file_, nullptr)) != 0) fail("write", path_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", path_, errno);
  temporary_.clear();
}

void copy_whole(const fs::path& from, const fs::path& to) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const FileBytes source(from);
  AtomicFile target(to);
  std::string piece;
  for (std::uint64_t at = 0; at < source.size(); at += piece.size()) {
    piece = source.read(
        at, static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, source.size() - at)));
    target.write(piece);
  }
  target.commit();
}

TempDir::TempDir(std::string_view prefix, const fs::path& parent) {
  const fs::path folder =
      parent.empty() ? fs::path(environment_value("TMPDIR").value_or("/tmp")) : parent;
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
    : path_(std::exchange(other.path_, {})),
      kept_(other.kept_),
      mark_(std::exchange(other.mark_, -1)) {}

void TempDir::keep() {
  kept_ = true;
  unmark(path_);
}

void TempDir::sweep_if_killed() {
  if (!kept_) mark_ = mark_as_living(path_);
}

void sweep_temp_dirs() {
  std::error_code error;
  const std::string all = environment_value("TMPDIR").value_or("/tmp");
  for (fs::directory_iterator entry(all, error), end; !error && entry != end;
       entry.increment(error))
    remove_if_ended(entry->path());
}

FileLock::FileLock(const fs::path& path, const std::function<void()>& on_wait) {
  make_folders(path.parent_path());
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("lock", path, errno);
  bool said = false;
  // Polled, because a blocking flock would miss a signal that came just before it.
  while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    if (number == EWOULDBLOCK && interrupted() == 0) {
      if (on_wait && !said) on_wait();
      said = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      continue;
    }
    close(fd_);
    throw_if_interrupted();
    fail("lock", path, number);
  }
}

FileLock::~FileLock() { close(fd_); }

fs::path home_folder() { return environment_value("HOME").value_or("/tmp"); }

fs::path cache_folder() {
  if (const auto folder = environment_value("SAGEBUILD_CACHE_DIR")) return absolute_path(*folder);
  if (const auto folder = environment_value("XDG_CACHE_HOME"))
    return absolute_path(*folder) / "sagebuild";
  return home_folder() / ".cache" / "sagebuild";
}

fs::path running_binary() { return link_target("/proc/self/exe"); }

std::string program_version() { return SAGEBUILD_VERSION; }

fs::path data_folder() {
  std::vector<fs::path> candidates;
  if (const auto folder = environment_value("SAGEBUILD_DATA_DIR")) {
    if (is_there(fs::path(*folder) / "patches")) return real_path_if_any(*folder);
    throw Error(ErrorKind::environment,
                fmt::format("cannot use SAGEBUILD_DATA_DIR, which is '{}'", *folder),
                {"there is no folder 'patches' in it"},
                "unset it, or set it to the folder that holds patches/");
  }
  candidates.push_back(running_binary().parent_path().parent_path() / "share" / "sagebuild");
  candidates.emplace_back(SAGEBUILD_SOURCE_DATA);
  for (const fs::path& candidate : candidates) {
    if (is_there(candidate / "patches")) return real_path_if_any(candidate);
  }
  throw Error(ErrorKind::environment, "cannot find sagebuild's own data (patches/)",
              {fmt::format("looked beside '{}'", running_binary().string())},
              "install with 'cmake --install', or set SAGEBUILD_DATA_DIR to the folder that holds "
              "patches/");
}

}  // namespace sagebuild
