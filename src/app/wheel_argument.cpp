#include "sagebuild/app/wheel_argument.hpp"

#include <fmt/format.h>

#include <fstream>
#include <system_error>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDigits = "0123456789";

// Everything but a regular file.
std::string kind_of(fs::file_type type) {
  switch (type) {
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::fifo:
      return "a named pipe";
    case fs::file_type::socket:
      return "a socket";
    case fs::file_type::block:
    case fs::file_type::character:
      return "a device";
    default:
      return "no file that can be read";
  }
}

bool is_source_distribution(std::string_view name) {
  return name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar.bz2") ||
         name.ends_with(".tar.xz") || name.ends_with(".zip");
}

// What the content shows instead of a zip archive; empty for one, and where it cannot be read:
// whoever reads it whole says why.
std::string other_content(const fs::path& path) {
  std::string begin(64, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<std::size_t>(file.gcount()));
  if (begin.starts_with("PK")) return "";
  if (begin.empty()) return "an empty file";
  if (begin.starts_with("version https://git-lfs")) return "a git-lfs pointer in place of the file";
  const std::string_view text = trimmed(begin);
  return text.starts_with('<') ? "a web page" : "no zip archive, as every wheel is";
}

[[noreturn]] void refuse(const fs::path& path, const std::string& what, std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("'{}' is not a wheel", path.string()),
              {"it is " + what}, std::move(hint));
}

}  // namespace

std::string true_wheel_name(std::string name) {
  name = percent_decoded(name);
  // wget's "x.whl.1"
  const auto end = name.rfind(".whl.");
  if (end != std::string::npos && name.find_first_not_of(kDigits, end + 5) == std::string::npos)
    name.resize(end + 4);
  if (!name.ends_with(").whl")) return name;
  const auto open = name.rfind('(');
  const auto number = name.substr(open + 1, name.size() - 5 - (open + 1));
  if (open == std::string::npos || number.empty() ||
      number.find_first_not_of(kDigits) != std::string::npos)
    return name;
  return std::string(trimmed(std::string_view(name).substr(0, open))) + ".whl";
}

std::string require_wheel_argument(const fs::path& path, bool fix_names) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found)
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", path.string()));
  if (failure)
    throw Error(ErrorKind::usage, fmt::format("cannot read '{}'", path.string()),
                {failure.message()});
  std::string name = path.filename().string();
  if (status.type() != fs::file_type::regular)
    refuse(path, kind_of(status.type()),
           status.type() == fs::file_type::directory
               ? fmt::format("name the wheels in it: {}", (path / "*.whl").string())
               : "name a file");
  const std::string truth = true_wheel_name(name);
  if (truth != name && !parse_wheel_name(name) && parse_wheel_name(truth)) {
    if (!fix_names)
      refuse(path, "one under a name that a download has changed",
             fmt::format("rename it to '{}', or pass --fix-names", truth));
    name = truth;
  }
  if (is_source_distribution(name))
    refuse(path, "a source distribution",
           fmt::format("`sagebuild build --source {}` makes a wheel of it", path.string()));
  if (!name.ends_with(".whl"))
    refuse(path, "a file whose name does not end in '.whl'", "name a wheel");
  if (const std::string other = other_content(path); !other.empty())
    refuse(path, other, "download or build it again");
  return name;
}

}  // namespace sagebuild
