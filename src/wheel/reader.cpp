#include "sagebuild/wheel/reader.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "wheel/zip_layout.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr unsigned kUnixModeShift = 16;

struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

}  // namespace

struct WheelReader::Archive {
  zip_t* zip = nullptr;
  ~Archive() {
    if (zip != nullptr) zip_discard(zip);
  }
};

WheelReader::WheelReader(std::filesystem::path path)
    : path_(std::move(path)), archive_(std::make_unique<Archive>()), faults_(zip_faults(path_)) {
  int code = 0;
  archive_->zip = zip_open(path_.c_str(), ZIP_RDONLY, &code);
  if (archive_->zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(ErrorKind::failed, fmt::format("cannot read the wheel '{}'", path_.string()),
                {reason});
  }
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(archive_->zip, 0));
  for (zip_uint64_t index = 0; index < count; ++index) {
    zip_stat_t info;
    if (zip_stat_index(archive_->zip, index, 0, &info) != 0) {
      throw Error(ErrorKind::failed, fmt::format("cannot read the wheel '{}'", path_.string()),
                  {zip_strerror(archive_->zip)});
    }
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(archive_->zip, index, 0, &system, &attributes);
    const bool is_unix = system == ZIP_OPSYS_UNIX;
    entries_.push_back({info.name, info.size, is_unix ? attributes >> kUnixModeShift : 0});
  }
}

WheelReader::~WheelReader() = default;

bool WheelReader::has(std::string_view name) const {
  return std::ranges::find(entries_, name, &WheelEntry::name) != entries_.end();
}

std::string WheelReader::dist_info() const {
  std::set<std::string> folders;
  for (const WheelEntry& entry : entries_) {
    const std::string top = entry.name.substr(0, entry.name.find('/'));
    if (top.size() < entry.name.size() && top.ends_with(".dist-info")) folders.insert(top);
  }
  if (folders.size() == 1) return *folders.begin();
  throw Error(ErrorKind::failed, fmt::format("'{}' is not a sound wheel", path_.string()),
              {fmt::format("it has {} .dist-info folders, not one", folders.size())});
}

std::string WheelReader::read(std::string_view name, std::uint64_t limit) const {
  const auto entry = std::ranges::find(entries_, name, &WheelEntry::name);
  const std::string what = fmt::format("cannot read '{}' in '{}'", name, path_.string());
  if (entry == entries_.end())
    throw Error(ErrorKind::failed, what, {"there is no such file in the wheel"});
  if (entry->size > limit)
    throw Error(ErrorKind::failed, what, {fmt::format("it is larger than {}", human_size(limit))});
  std::string text;
  stream(static_cast<std::size_t>(entry - entries_.begin()),
         [&text](std::string_view piece) { text += piece; });
  return text;
}

void WheelReader::stream(std::size_t index,
                         const std::function<void(std::string_view)>& take) const {
  const std::string what =
      fmt::format("cannot read '{}' in '{}'", entries_.at(index).name, path_.string());
  const std::unique_ptr<zip_file_t, FileCloser> file(zip_fopen_index(archive_->zip, index, 0));
  if (!file) throw Error(ErrorKind::failed, what, {zip_strerror(archive_->zip)});
  std::uint64_t left = entries_[index].size + 1;
  std::string piece(std::min<std::uint64_t>(kPiece, left), '\0');
  while (true) {
    const zip_int64_t got = zip_fread(file.get(), piece.data(), piece.size());
    if (got < 0)
      throw Error(ErrorKind::failed, what, {zip_error_strerror(zip_file_get_error(file.get()))});
    if (got == 0) return;
    left -= std::min(left, static_cast<std::uint64_t>(got));
    if (left == 0) throw Error(ErrorKind::failed, what, {"it unpacks to more than it says"});
    take({piece.data(), static_cast<std::size_t>(got)});
  }
}

std::vector<std::string> metadata_fields(std::string_view text, std::string_view key) {
  std::vector<std::string> values;
  const std::string wanted = lower(key);
  for (const std::string_view line : lines_of(text)) {
    if (line.empty()) break;  // the description follows
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && lower(line.substr(0, colon)) == wanted) {
      values.emplace_back(trimmed(line.substr(colon + 1)));
    }
  }
  return values;
}

std::optional<std::string> metadata_field(std::string_view text, std::string_view key) {
  auto values = metadata_fields(text, key);
  if (values.empty()) return std::nullopt;
  return std::move(values.front());
}

std::vector<RecordLine> parse_record(std::string_view text) {
  std::vector<RecordLine> lines;
  std::vector<std::string> fields(1);
  bool quoted = false;
  const auto end_line = [&] {
    if (fields.size() == 3) {
      std::string_view hash = fields[1];
      const bool known = take_prefix(hash, "sha256=");
      const auto size = to_integer(fields[2]);
      lines.push_back(
          {fields[0], known ? std::string(hash) : std::string(),
           size ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*size)) : std::nullopt});
    }
    fields.assign(1, {});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      fields.back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (quoted)
      fields.back() += c;
    else if (c == ',')
      fields.emplace_back();
    else if (c == '\n')
      end_line();
    else if (c != '\r')
      fields.back() += c;
  }
  end_line();
  return lines;
}

}  // namespace sagebuild
