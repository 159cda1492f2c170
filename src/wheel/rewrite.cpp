#include "sagebuild/wheel/rewrite.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <map>
#include <utility>

#include "record.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/wheel/reader.hpp"
#include "zip_file.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLabelText = "abcdefghijklmnopqrstuvwxyz0123456789.";
constexpr std::string_view kTagText =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";

[[noreturn]] void refuse(std::string_view what, const std::string& text, const char* hint) {
  throw Error(ErrorKind::usage, fmt::format("'{}' is no {}", text, what), {}, hint);
}

// Words of these characters, with single dots between them.
bool is_dotted(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos && !text.starts_with('.') &&
         !text.ends_with('.') && text.find("..") == std::string_view::npos;
}

std::string normalized_label(const std::string& label) {
  std::string result = lower(label);
  for (char& c : result)
    if (c == '-' || c == '_') c = '.';
  if (!is_dotted(result, kLabelText))
    refuse("local version label", label,
           "letters, digits and single dots between them: cu130torch2.11");
  return result;
}

std::string tag_set(const std::string& text) {
  if (text.empty() || !is_dotted(text, kTagText))
    refuse("tag", text, "such as cp311, abi3, manylinux_2_34_x86_64; dots join several");
  return text;
}

std::string platform_set(const std::string& text) {
  (void)tag_set(text);
  for (const std::string_view tag : split(text, "."))
    if (!is_platform_tag(tag))
      refuse("platform tag", std::string(tag),
             "such as any, linux_x86_64, manylinux_2_34_x86_64; dots join several");
  return text;
}

std::string build_number(const std::string& text) {
  const bool is_sound =
      text.empty() || (text.find_first_not_of(kTagText) == std::string::npos &&
                       std::string_view("0123456789").find(text[0]) != std::string_view::npos);
  if (!is_sound) refuse("build tag", text, "it begins with a digit: 1, or 2gpu");
  return text;
}

// What every header of METADATA or WHEEL becomes: `change` gives nothing for one that stays, and
// the text of the lines that take its place. A line that begins with a blank continues the header
// before it, and shares its fate. Line ends stay as they are.
template <class Change>
std::string with_changed_headers(const std::string& text, Change change) {
  std::string result;
  std::size_t at = 0;
  bool is_replaced = false;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line = std::string_view(text).substr(at, end - at);
    const std::string_view newline = line.ends_with("\r\n") ? "\r\n" : "\n";
    if (line == newline) break;  // the description follows
    at = end;
    if (!line.starts_with(' ') && !line.starts_with('\t')) {
      const std::optional<std::vector<std::string>> lines = change(line);
      is_replaced = lines.has_value();
      if (lines)
        for (const std::string& one : *lines) result += fmt::format("{}{}", one, newline);
    }
    if (!is_replaced) result += line;
  }
  return result + text.substr(at);
}

bool has_key(std::string_view line, std::string_view key) {
  return lower(line.substr(0, line.find(':'))) == key;
}

std::string with_version(const std::string& metadata, const std::string& version) {
  return with_changed_headers(
      metadata, [&](std::string_view line) -> std::optional<std::vector<std::string>> {
        if (!has_key(line, "version")) return std::nullopt;
        return std::vector{"Version: " + version};
      });
}

std::string with_tags(const std::string& wheel_file, const WheelName& name) {
  std::vector<std::string> lines;
  if (!name.build.empty()) lines.push_back("Build: " + name.build);
  for (const std::string& tag : expanded_tags(name)) lines.push_back("Tag: " + tag);
  return with_changed_headers(
      wheel_file, [&](std::string_view line) -> std::optional<std::vector<std::string>> {
        if (has_key(line, "build")) return std::vector<std::string>();
        if (!has_key(line, "tag")) return std::nullopt;
        return std::exchange(lines, {});  // all of them in place of the first
      });
}

bool is_signature(std::string_view name) {
  return name.ends_with(".dist-info/RECORD.jws") || name.ends_with(".dist-info/RECORD.p7s");
}

// What is to be done to the entries of one wheel.
class Rewrite {
 public:
  Rewrite(const fs::path& wheel, const WheelName& from, WheelName to)
      : reader_(wheel), from_(from), to_(std::move(to)), info_(reader_.dist_info()) {
    const std::string base = info_.substr(0, info_.size() - std::string_view(".dist-info").size());
    const std::string changed = fmt::format("{}-{}", base.substr(0, base.rfind('-')), to_.version);
    new_info_ = is_same_version() ? info_ : changed + ".dist-info";
    data_ = base + ".data";
    new_data_ = is_same_version() ? data_ : changed + ".data";
  }

  void plan() {
    change("WHEEL", with_tags(reader_.read(info_ + "/WHEEL"), to_));
    if (!is_same_version()) {
      change("METADATA", with_version(reader_.read(info_ + "/METADATA"), to_.version));
      for (const WheelEntry& entry : reader_.entries()) {
        const bool is_sbom =
            entry.name.starts_with(info_ + "/sboms/") && entry.name.ends_with(".json");
        if (!is_sbom) continue;
        if (auto text = sbom_of_version(reader_.read(entry.name), from_.version, to_.version))
          changed_[entry.name] = std::move(*text);
      }
    }
    changed_[info_ + "/RECORD"] = record();
  }

  void apply(const fs::path& file, const fs::path& target) const {
    int code = 0;
    zip_t* archive = zip_open(file.c_str(), 0, &code);
    if (archive == nullptr) fail(target, "libzip cannot open it");
    const auto [clock, date] = dos_time(source_date_epoch());
    for (std::size_t i = 0; i < reader_.entries().size(); ++i) {
      const std::string& name = reader_.entries()[i].name;
      const auto at = static_cast<zip_uint64_t>(i);
      bool done = true;
      if (is_signature(name)) {
        done = zip_delete(archive, at) == 0;
      } else {
        if (const auto text = changed_.find(name); text != changed_.end())
          done = replace(archive, at, text->second, clock, date);
        const std::string new_name = renamed(name);
        if (done && new_name != name)
          done = zip_file_rename(archive, at, new_name.c_str(), ZIP_FL_ENC_UTF_8) == 0;
      }
      if (!done) discard(archive, target);
    }
    if (zip_close(archive) != 0) discard(archive, target);
  }

  // What stands in code, which is not touched.
  std::vector<std::string> notes() const {
    std::vector<std::string> found;
    if (is_same_version()) return found;
    for (const WheelEntry& entry : reader_.entries()) {
      if (!entry.name.ends_with(".py") || entry.size > kMostSearched) continue;
      const std::string text = reader_.read(entry.name);
      for (const std::string_view line : lines_of(text))
        if (line.find("version") != std::string_view::npos &&
            (line.find("\"" + from_.version + "\"") != std::string_view::npos ||
             line.find("'" + from_.version + "'") != std::string_view::npos))
          found.push_back(fmt::format("{} still says {}", entry.name, trimmed(line)));
    }
    return found;
  }

 private:
  static constexpr std::uint64_t kMostSearched = 1'000'000;  // bytes

  [[noreturn]] static void fail(const fs::path& file, const std::string& why) {
    throw Error(ErrorKind::failed, fmt::format("cannot write the wheel '{}'", file.string()),
                {why});
  }
  [[noreturn]] static void discard(zip_t* archive, const fs::path& file) {
    const std::string why = zip_strerror(archive);
    zip_discard(archive);
    fail(file, why);
  }

  static bool replace(zip_t* archive, zip_uint64_t at, const std::string& text, std::uint16_t clock,
                      std::uint16_t date) {
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(archive, at, 0, &system, &attributes);
    zip_source_t* source = zip_source_buffer(archive, text.data(), text.size(), 0);
    if (source == nullptr) return false;
    if (zip_file_replace(archive, at, source, 0) != 0) {
      zip_source_free(source);
      return false;
    }
    zip_set_file_compression(archive, at, ZIP_CM_DEFLATE, kZipLevel);
    zip_file_set_dostime(archive, at, clock, date, 0);
    zip_file_set_external_attributes(archive, at, 0, system, attributes);
    return true;
  }

  bool is_same_version() const { return from_.version == to_.version; }

  void change(const std::string& file, std::string text) {
    const std::string name = info_ + "/" + file;
    if (text != reader_.read(name)) changed_[name] = std::move(text);
  }

  std::string renamed(const std::string& name) const {
    for (const auto& [from, to] : {std::pair(info_, new_info_), std::pair(data_, new_data_)})
      if (name.starts_with(from + "/")) return to + name.substr(from.size());
    return name;
  }

  // In the order that it had; it is true, so it has every file.
  std::string record() const {
    std::string text;
    for (const RecordLine& line : parse_record(reader_.read(info_ + "/RECORD"))) {
      if (is_signature(line.name)) continue;
      const auto changed = changed_.find(line.name);
      if (changed != changed_.end())
        text += record_line(renamed(line.name), changed->second);
      else
        text += record_line(renamed(line.name), line.sha256,
                            line.size ? std::to_string(*line.size) : "");
    }
    return text;
  }

  WheelReader reader_;
  WheelName from_, to_;
  std::string info_, new_info_;
  std::string data_, new_data_;
  std::map<std::string, std::string> changed_;  // entry -> its new content
};

void require_sound_result(const fs::path& written, const fs::path& target,
                          const std::function<void()>& tick) {
  try {
    require_sound_wheel(written, target.filename().string(), tick);
  } catch (const Error& error) {
    throw Error(
        ErrorKind::failed,
        fmt::format("cannot write '{}': it would not be a sound wheel", target.filename().string()),
        error.causes, "nothing was written; build the wheel again with what it shall say");
  }
}

}  // namespace

WheelName changed_name(const WheelName& name, const WheelChange& change) {
  WheelName result = name;
  if (change.label) {
    const std::string base = name.version.substr(0, name.version.find('+'));
    result.version = change.label->empty() ? base : base + "+" + normalized_label(*change.label);
  }
  if (change.python) result.python = tag_set(*change.python);
  if (change.abi) result.abi = tag_set(*change.abi);
  if (change.platform) result.platform = platform_set(*change.platform);
  if (change.build) result.build = build_number(*change.build);
  return result;
}

std::vector<std::string> rewrite_wheel(const fs::path& wheel, const fs::path& target,
                                       const std::function<void()>& tick) {
  const auto from = parse_wheel_name(wheel.filename().string());
  const auto to = parse_wheel_name(target.filename().string());
  if (!from || !to)
    throw Error(ErrorKind::bug, fmt::format("'{}' is no wheel's name", wheel.filename().string()));
  Rewrite rewrite(wheel, *from, *to);
  rewrite.plan();
  if (tick) tick();
  AtomicFile file(target);
  copy_whole(wheel, file.temporary());
  rewrite.apply(file.temporary(), target);
  require_sound_result(file.temporary(), target, tick);
  file.commit();
  return rewrite.notes();
}

}  // namespace sagebuild
