#include "sagebuild/sys/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <set>
#include <utility>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/sys/files.hpp"
#include "sys/fail.hpp"
#include "sys/living.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<spdlog::logger> logger;
fs::path path_of_log;
// Of the run's folder: held until the process ends, since its last words name a file in there.
int mark_of_run = -1;

// A folder without a mark is an older sagebuild's, or lies on a disk without locks, or gets its
// mark just now.
constexpr auto kUnmarkedKept = std::chrono::hours(24 * 7);

std::string stamp_of_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  return stamp;
}

// Nobody else's: processes of two containers may have one number.
fs::path make_run_folder(const fs::path& all) {
  make_folders(all);
  for (int number = 1;; ++number) {
    const std::string again = number == 1 ? "" : fmt::format("-{}", number);
    const fs::path folder = all / fmt::format("{}-{}{}", stamp_of_now(), getpid(), again);
    std::error_code error;
    if (fs::create_directory(folder, error)) return folder;
    if (error) fail("make the folder", folder, error.value());
  }
}

bool is_long_unused(const fs::path& folder) {
  std::error_code error;
  const auto changed = fs::last_write_time(folder, error);
  return !error && fs::file_time_type::clock::now() - changed > kUnmarkedKept;
}

// The names begin with the time, so that the first are the oldest.
void remove_old_runs(const fs::path& all, std::size_t kept) {
  std::set<fs::path> runs;
  std::error_code error;
  for (fs::directory_iterator entry(all, error), end; !error && entry != end;
       entry.increment(error))
    runs.insert(entry->path());
  std::size_t count = runs.size();
  for (auto run = runs.begin(); run != runs.end() && count > kept; ++run) {
    if (is_marked(*run) ? !remove_if_ended(*run) : !is_long_unused(*run)) continue;
    std::error_code ignored;
    fs::remove_all(*run, ignored);
    --count;
  }
}

}  // namespace

fs::path open_run_log(const fs::path& all, std::size_t kept) {
  const fs::path folder = make_run_folder(all);
  const int mark = mark_as_living(folder);
  if (mark_of_run >= 0) close(mark_of_run);
  mark_of_run = mark;
  path_of_log = folder / "run.log";
  try {
    logger = std::make_shared<spdlog::logger>(
        "run", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path_of_log.string()));
  } catch (const spdlog::spdlog_ex& failure) {
    const std::string name = std::exchange(path_of_log, {}).string();
    throw Error(ErrorKind::failed, fmt::format("cannot write '{}'", name), {failure.what()});
  }
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %v");
  // A log that a crash cuts short is the one somebody will read
  logger->flush_on(spdlog::level::info);
  remove_old_runs(all, kept);
  return folder;
}

fs::path log_path() { return path_of_log; }

void log_line(std::string_view text) {
  if (logger) logger->info(redacted(text));
}

}  // namespace sagebuild
