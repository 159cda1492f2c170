#include "sagebuild/sys/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

std::shared_ptr<spdlog::logger> logger;
std::filesystem::path path_of_log;

}  // namespace

void open_log(const std::filesystem::path& path) {
  make_folders(path.parent_path());
  logger = std::make_shared<spdlog::logger>("run", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string()));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %v");
  logger->flush_on(spdlog::level::info);  // a log that a crash cuts short is the one somebody will read
  path_of_log = path;
}

std::filesystem::path log_path() { return path_of_log; }

void log_line(std::string_view text) {
  if (logger) logger->info(redacted(text));
}

}  // namespace sagebuild
