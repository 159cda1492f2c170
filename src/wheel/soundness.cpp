// The checks of read_wheel. Each adds its faults to a list, so that the user sees them all at once.

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
constexpr const char* kNoName = "the file name is not NAME-VERSION-PYTHON-ABI-PLATFORM.whl";

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

void check_metadata(const WheelName& name, const std::string& dist_info,
                    const std::string& metadata, Faults& faults) {
  const auto field = [&](const char* key, const std::string& expected, auto normalized) {
    const std::string found = metadata_field(metadata, key).value_or("");
    if (normalized(found) != normalized(expected)) {
      faults.push_back(
          fmt::format("METADATA has the {} '{}', the file name '{}'", lower(key), found, expected));
    }
  };
  // One reader takes the first, another one the last.
  for (const char* key : {"Metadata-Version", "Name", "Version", "Requires-Python"}) {
    const std::vector<std::string> values = metadata_fields(metadata, key);
    if (values.size() > 1)
      faults.push_back(
          fmt::format("METADATA has {} {} times: '{}'", key, values.size(), join(values, "', '")));
  }
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

// Runs `read`; what it throws is a fault.
template <class Read>
void attempt(Faults& faults, Read read) {
  try {
    read();
  } catch (const Error& error) {
    faults.push_back(error.message);
    faults.insert(faults.end(), error.causes.begin(), error.causes.end());
  }
}

std::map<std::string, RecordLine> read_record(const WheelReader& wheel,
                                              const std::string& record_name, Faults& faults) {
  std::map<std::string, RecordLine> record;
  const std::string text = wheel.read(record_name);
  if (first_bad_utf8(text)) faults.emplace_back("RECORD is no UTF-8");
  for (RecordLine& line : parse_record(text)) {
    const std::string name = line.name;
    if (!record.emplace(name, std::move(line)).second)
      faults.push_back(fmt::format("RECORD lists '{}' twice", name));
  }
  return record;
}

// Streams every entry, which checks its CRC too. Without a RECORD there is one fault, not one for
// each file.
void check_record(const WheelReader& wheel, const std::string& record_name, const TakeEntry& take,
                  const std::function<void()>& tick, WheelFaults& faults) {
  std::map<std::string, RecordLine> record;
  const std::size_t before = faults.record.size();
  if (!record_name.empty())
    attempt(faults.record, [&] { record = read_record(wheel, record_name, faults.record); });
  const bool has_record =
      !record.empty() || (!record_name.empty() && before == faults.record.size());
  const auto& entries = wheel.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& name = entries[i].name;
    const auto line = record.find(name);
    const bool listed = line != record.end();
    const RecordLine expected = listed ? line->second : RecordLine{};
    if (listed) record.erase(line);
    if (name.ends_with('/')) continue;
    Sha256 hash;
    std::uint64_t size = 0;
    const std::size_t damages = faults.archive.size();
    attempt(faults.archive, [&] {
      wheel.stream(i, [&](std::string_view piece) {
        hash.update(piece);
        size += piece.size();
        if (take) take(i, piece);
        if (tick) tick();
      });
    });
    if (damages != faults.archive.size() || is_signature(name) || !has_record) continue;
    if (!listed)
      faults.record.push_back(fmt::format("RECORD does not list '{}'", name));
    else if (name != record_name && hash.finish().base64url() != expected.sha256)
      faults.record.push_back(fmt::format("'{}' has not the hash that RECORD says", name));
    else if (name != record_name && expected.size != size)
      faults.record.push_back(fmt::format("'{}' has not the size that RECORD says", name));
  }
  for (const auto& [name, line] : record)
    faults.record.push_back(fmt::format("RECORD lists '{}', which is not in the archive", name));
}

[[noreturn]] void refuse(const std::filesystem::path& path, Faults faults) {
  if (faults.size() > kMostShown) {
    const std::size_t more = faults.size() - kMostShown;
    faults.resize(kMostShown);
    faults.push_back(fmt::format("and {} more faults", more));
  }
  throw Error(ErrorKind::findings,
              fmt::format("'{}' is not a sound wheel", path.filename().string()), std::move(faults),
              "build it again; a wheel must not be edited or renamed by hand");
}

}  // namespace

SaidWheel read_wheel(const WheelReader& wheel, std::string_view name, const TakeEntry& take,
                     const std::function<void()>& tick) {
  SaidWheel said;
  WheelFaults& faults = said.faults;
  faults.archive = wheel.faults();
  said.name = parse_wheel_name(name);
  if (!said.name) faults.archive.emplace_back(kNoName);
  std::string info;
  attempt(faults.archive, [&] { info = wheel.dist_info(); });
  if (!info.empty()) {
    attempt(faults.metadata, [&] {
      said.metadata = wheel.read(info + "/METADATA");
      if (said.name) check_metadata(*said.name, info, said.metadata, faults.metadata);
    });
    attempt(faults.tags, [&] {
      const std::string text = wheel.read(info + "/WHEEL");
      if (said.name) check_tags(*said.name, text, faults.tags);
    });
    if (wheel.has(info + "/sagebuild.json"))
      attempt(faults.archive, [&] { said.provenance = wheel.read(info + "/sagebuild.json"); });
  }
  check_record(wheel, info.empty() ? "" : info + "/RECORD", take, tick, faults);
  return said;
}

SoundWheel require_sound_wheel(const std::filesystem::path& path,
                               const std::function<void()>& tick) {
  return require_sound_wheel(path, path.filename().string(), tick);
}

SoundWheel require_sound_wheel(const std::filesystem::path& path, const std::string& name,
                               const std::function<void()>& tick) {
  // Before it is opened: any other file is told so.
  if (!parse_wheel_name(name)) refuse(path, {kNoName});
  Faults faults;
  SaidWheel said;
  attempt(faults, [&] {
    said = read_wheel(WheelReader(path), name, nullptr, tick);
    faults = said.faults.all();
  });
  if (!faults.empty()) refuse(path, std::move(faults));
  return {*said.name, std::move(said.metadata), std::move(said.provenance)};
}

}  // namespace sagebuild
