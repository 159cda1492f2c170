// The checks of require_sound_wheel. Each adds its faults to one list, so that the user sees them
// all at once.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

using Faults = std::vector<std::string>;
constexpr std::size_t kMostShown = 20;
constexpr std::uint32_t kFileType = 0170000, kSymlink = 0120000;

// PEP 503, with "_" as file names have it.
std::string normalized_name(std::string_view name) {
  std::string result;
  for (const char c : lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator)
      result += c;
    else if (!result.ends_with('_'))
      result += '_';
  }
  return result;
}

// Near enough to PEP 440 for comparing a wheel with itself: case and the separators of the local
// label do not count.
std::string normalized_version(std::string_view version) {
  std::string result = lower(version);
  std::ranges::replace(result, '-', '.');
  std::ranges::replace(result, '_', '.');
  return result;
}

bool is_unsafe(std::string_view name) {
  const auto parts = split(name, "/");
  return name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos ||
         name.find("//") != std::string_view::npos ||
         std::ranges::any_of(parts,
                             [](std::string_view part) { return part == "." || part == ".."; });
}

void check_entries(const WheelReader& wheel, Faults& faults) {
  std::set<std::string> names, folded;
  for (const WheelEntry& entry : wheel.entries()) {
    if (is_unsafe(entry.name))
      faults.push_back(fmt::format("'{}' would be unpacked outside its place", entry.name));
    if (!names.insert(entry.name).second)
      faults.push_back(fmt::format("'{}' is in the archive twice", entry.name));
    else if (!folded.insert(lower(entry.name)).second)
      faults.push_back(fmt::format("'{}' differs from another name only in case", entry.name));
    if ((entry.mode & kFileType) == kSymlink)
      faults.push_back(fmt::format("'{}' is a symbolic link", entry.name));
  }
}

void check_metadata(const WheelName& name, const std::string& dist_info,
                    const std::string& metadata, Faults& faults) {
  const auto field = [&](const char* key, const std::string& expected, auto normalized) {
    const std::string found = metadata_field(metadata, key).value_or("");
    if (normalized(found) != normalized(expected)) {
      faults.push_back(
          fmt::format("METADATA has the {} '{}', the file name '{}'", lower(key), found, expected));
    }
  };
  // As the core metadata specification has it; readers of it would stumble
  if (const auto bad = first_bad_utf8(metadata))
    faults.push_back(fmt::format("METADATA is not UTF-8, first at byte {}", *bad));
  field("Name", name.distribution, normalized_name);
  field("Version", name.version, normalized_version);
  const std::string stem =
      dist_info.substr(0, dist_info.size() - std::string_view(".dist-info").size());
  const auto dash = stem.find('-');
  const bool fits = dash != std::string::npos &&
                    normalized_name(stem.substr(0, dash)) == normalized_name(name.distribution) &&
                    normalized_version(stem.substr(dash + 1)) == normalized_version(name.version);
  if (!fits) faults.push_back(fmt::format("the folder '{}' does not fit the file name", dist_info));
}

void check_tags(const WheelName& name, const std::string& wheel_file, Faults& faults) {
  auto said = metadata_fields(wheel_file, "Tag");
  auto named = expanded_tags(name);
  std::ranges::sort(said);
  std::ranges::sort(named);
  if (said != named) {
    faults.push_back(fmt::format("WHEEL has the tags '{}', the file name '{}'", join(said, " "),
                                 join(named, " ")));
  }
}

bool is_signature(std::string_view name) {
  return name.ends_with("/RECORD.jws") || name.ends_with("/RECORD.p7s");
}

void check_record(const WheelReader& wheel, const std::string& record_name,
                  const std::function<void()>& tick, Faults& faults) {
  std::map<std::string, RecordLine> record;
  for (RecordLine& line : parse_record(wheel.read(record_name))) {
    const std::string name = line.name;
    if (!record.emplace(name, std::move(line)).second)
      faults.push_back(fmt::format("RECORD lists '{}' twice", name));
  }
  const auto& entries = wheel.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& name = entries[i].name;
    const auto line = record.find(name);
    const bool listed = line != record.end();
    const RecordLine expected = listed ? line->second : RecordLine{};
    if (listed) record.erase(line);
    if (name.ends_with('/') || is_signature(name)) continue;
    Sha256 hash;
    std::uint64_t size = 0;
    wheel.stream(i, [&](std::string_view piece) {  // also checks the CRC of RECORD itself
      hash.update(piece);
      size += piece.size();
      if (tick) tick();
    });
    if (!listed)
      faults.push_back(fmt::format("RECORD does not list '{}'", name));
    else if (name != record_name && hash.finish().base64url() != expected.sha256)
      faults.push_back(fmt::format("'{}' has not the hash that RECORD says", name));
    else if (name != record_name && expected.size != size)
      faults.push_back(fmt::format("'{}' has not the size that RECORD says", name));
  }
  for (const auto& [name, line] : record)
    faults.push_back(fmt::format("RECORD lists '{}', which is not in the archive", name));
}

[[noreturn]] void refuse(const std::filesystem::path& path, Faults faults) {
  if (faults.size() > kMostShown) {
    const std::size_t more = faults.size() - kMostShown;
    faults.resize(kMostShown);
    faults.push_back(fmt::format("and {} more faults", more));
  }
  throw Error(ErrorKind::failed, fmt::format("'{}' is not a sound wheel", path.filename().string()),
              std::move(faults), "build it again; a wheel must not be edited or renamed by hand");
}

}  // namespace

SoundWheel require_sound_wheel(const std::filesystem::path& path,
                               const std::function<void()>& tick) {
  return require_sound_wheel(path, path.filename().string(), tick);
}

SoundWheel require_sound_wheel(const std::filesystem::path& path, const std::string& file_name,
                               const std::function<void()>& tick) {
  const auto name = parse_wheel_name(file_name);
  if (!name) refuse(path, {"the file name is not NAME-VERSION-PYTHON-ABI-PLATFORM.whl"});
  Faults faults;
  SoundWheel sound{*name, {}, {}};
  try {
    const WheelReader wheel(path);
    check_entries(wheel, faults);
    const std::string dist_info = wheel.dist_info();
    sound.metadata = wheel.read(dist_info + "/METADATA");
    check_metadata(*name, dist_info, sound.metadata, faults);
    check_tags(*name, wheel.read(dist_info + "/WHEEL"), faults);
    check_record(wheel, dist_info + "/RECORD", tick, faults);
    if (wheel.has(dist_info + "/sagebuild.json"))
      sound.provenance = wheel.read(dist_info + "/sagebuild.json");
  } catch (const Error& error) {
    faults.push_back(error.message);
    faults.insert(faults.end(), error.causes.begin(), error.causes.end());
  }
  if (!faults.empty()) refuse(path, std::move(faults));
  return sound;
}

}  // namespace sagebuild
