#include "zip_file.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <ctime>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

// A file in the zip: the upper 16 bits of the external attributes are its Unix mode
// (APPNOTE 4.4.15).
constexpr zip_uint32_t kExecutable = 0100755U << 16;
constexpr zip_uint32_t kPlain = 0100644U << 16;

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what,
                       std::string_view why) {
  std::string hint = "--keep-temp keeps what would have gone into it";
  if (why.find("No space left") != std::string_view::npos)
    hint = fmt::format(
        "the disk that holds '{}' is full: free some space, or choose another folder with --output",
        path.parent_path().string());
  throw Error(ErrorKind::failed, fmt::format("cannot {} the wheel '{}'", what, path.string()),
              {std::string(why)}, std::move(hint));
}

zip_t* open_zip(const std::filesystem::path& path, int flags, std::string_view what) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), flags, &code);
  if (archive != nullptr) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  fail(path, what, text);
}

// The first file of `module`, as it lies compressed there.
zip_source_t* compressed_source(zip_t* archive, zip_t* module) {
#if LIBZIP_VERSION_MAJOR > 1 || \
    LIBZIP_VERSION_MINOR >= 10  // the old name is deprecated from there on
  return zip_source_zip_file(archive, module, 0, ZIP_FL_COMPRESSED, 0, -1, nullptr);
#else
  return zip_source_zip(archive, module, 0, ZIP_FL_COMPRESSED, 0, -1);
#endif
}

}  // namespace

std::pair<std::uint16_t, std::uint16_t> dos_time(std::int64_t epoch_seconds) {
  const std::time_t time = epoch_seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  const auto date = ((utc.tm_year - 80) << 9) | ((utc.tm_mon + 1) << 5) | utc.tm_mday;
  const auto clock = (utc.tm_hour << 11) | (utc.tm_min << 5) | (utc.tm_sec / 2);
  return {static_cast<std::uint16_t>(clock), static_cast<std::uint16_t>(date)};
}

void write_zip(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, ZipEntry>>& entries,
               std::int64_t epoch_seconds) {
  AtomicFile target(path);
  zip_t* archive = open_zip(target.temporary(), ZIP_CREATE | ZIP_TRUNCATE, "write");
  const auto [clock, date] = dos_time(epoch_seconds);
  std::vector<zip_t*> sources;  // open until everything is written
  const ScopeExit close([&] { std::ranges::for_each(sources, zip_discard); });
  for (const auto& [name, entry] : entries) {
    zip_source_t* source = nullptr;
    if (entry.compressed.empty()) {
      source = zip_source_buffer(archive, entry.content.data(), entry.content.size(), 0);
    } else {
      sources.push_back(open_zip(entry.compressed, ZIP_RDONLY, "read a module of"));
      source = compressed_source(archive, sources.back());
    }
    const zip_int64_t index =
        source == nullptr ? -1 : zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      const std::string why = zip_strerror(archive);
      zip_discard(archive);
      fail(path, "write", why);
    }
    const auto at = static_cast<zip_uint64_t>(index);
    if (entry.compressed.empty()) zip_set_file_compression(archive, at, ZIP_CM_DEFLATE, kZipLevel);
    zip_file_set_dostime(archive, at, clock, date, 0);
    zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX,
                                     entry.executable ? kExecutable : kPlain);
  }
  if (zip_close(archive) != 0) {
    const std::string why = zip_strerror(archive);
    zip_discard(archive);
    fail(path, "write", why);
  }
  target.commit();
}

}  // namespace sagebuild
