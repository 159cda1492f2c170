#include "sagebuild/hub/index.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "hub/readme.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/version.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr std::string_view kSchemaName = "sagebuild.wheels/";
constexpr const char* kSchema = "sagebuild.wheels/1";
constexpr const char* kWheelsInLfs = "*.whl filter=lfs diff=lfs merge=lfs -text";
constexpr std::size_t kHexDigits = 64;

json parsed(const std::string& text) { return parse_json(text).value.value_or(json()); }

// Names and facts of others may hold any byte.
std::string dumped(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

// A document of ours, of this version or a newer one.
bool is_ours(const json& document) {
  return document.is_object() && document.contains("schema") && document["schema"].is_string() &&
         document["schema"].get<std::string>().starts_with(kSchemaName) &&
         document.contains("wheels") && document["wheels"].is_array();
}

// The wheel that a row is about; empty if it is somebody else's row.
std::string wheel_of(const json& row) {
  if (!row.is_object() || !row.contains("file") || !row["file"].is_string()) return {};
  std::string path = row["file"].get<std::string>();
  return is_wheel_path(path) && path.find("://") == std::string::npos ? path : std::string();
}

// Facts hold only for the bytes that they were written for.
bool describes(const json& row, const ObjectId& wheel) {
  return row.contains("size") && row["size"] == wheel.size && row.contains("sha256") &&
         row["sha256"] == wheel.sha256.hex();
}

std::string wheels_json(const WheelRows& rows, const std::optional<std::string>& present) {
  json document = present ? parsed(*present) : json();
  if (!is_ours(document)) document = {{"schema", kSchema}, {"wheels", json::array()}};
  json listed = json::array();
  for (const auto& [path, row] : rows) listed.push_back(row);
  for (const json& row : document["wheels"]) {
    if (wheel_of(row).empty()) listed.push_back(row);
  }
  document["wheels"] = std::move(listed);
  return dumped(document);
}

struct SumLine {
  bool is_sum = false;
  std::string path;
};

// "HEX  PATH" or "HEX *PATH", as sha256sum writes and reads it.
SumLine read_sum(std::string_view line) {
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  if (line.size() < kHexDigits + 3 || line[kHexDigits] != ' ') return {};
  if (line.substr(0, kHexDigits).find_first_not_of(kHex) != std::string_view::npos) return {};
  if (line[kHexDigits + 1] != ' ' && line[kHexDigits + 1] != '*') return {};
  std::string_view path = line.substr(kHexDigits + 2);
  take_prefix(path, "./");
  return {true, std::string(path)};
}

// Sums of other files and comments stay in their order, above ours. Nothing if there are lines that
// are neither.
std::optional<std::string> sha256_sums(const WheelRows& rows,
                                       const std::optional<std::string>& present) {
  std::string text;
  if (present) {
    for (const std::string_view line : lines_of(*present)) {
      const SumLine sum = read_sum(line);
      if (!sum.is_sum && !trimmed(line).empty() && !line.starts_with('#')) return std::nullopt;
      if (!sum.is_sum || !is_wheel_path(sum.path)) text += fmt::format("{}\n", line);
    }
  }
  for (const auto& [path, row] : rows)
    text += fmt::format("{}  {}\n", text_of_row(row, "sha256"), path);
  return text;
}

// Whoever has a line for wheels has decided.
std::string attributes(const std::optional<std::string>& present) {
  if (!present) return fmt::format("{}\n", kWheelsInLfs);
  for (const std::string_view line : lines_of(*present)) {
    const auto words = split(line, " \t");
    if (!words.empty() && words.front() == "*.whl") return *present;
  }
  return fmt::format("{}{}{}\n", *present, present->empty() || present->ends_with('\n') ? "" : "\n",
                     kWheelsInLfs);
}

// SHA256SUMS and the table are made of lines: a name that breaks one would forge another.
bool fits_a_line(std::string_view path) {
  return !first_bad_utf8(path) && path.find('\\') == std::string_view::npos &&
         std::ranges::none_of(
             path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string left_alone(std::string_view path, std::string_view reason) {
  return fmt::format("'{}' in the repository {}; it is left alone (--force-index replaces it)",
                     path, reason);
}

// Version numbers compare as numbers, and a pre-release is before its release.
auto version_key(const std::string& text) {
  const std::string released = text.substr(0, text.find('+'));
  const bool is_final = released.find_first_not_of("0123456789.") == std::string::npos ||
                        released.find("post") != std::string::npos;
  return std::tuple(parse_version(text).value_or(Version{}), is_final);
}

}  // namespace

bool is_wheel_path(std::string_view path) { return path.ends_with(".whl"); }

bool matches_glob(const std::string& path, const std::string& glob) {
  return fnmatch(glob.c_str(), path.c_str(), 0) == 0 ||
         fnmatch(glob.c_str(), std::string(name_of_path(path)).c_str(), 0) == 0;
}

std::string_view name_of_path(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string text_of_row(const json& row, const char* key) {
  if (!row.is_object() || !row.contains(key)) return "";
  const json& value = row[key];
  if (value.is_string()) return value.get<std::string>();
  std::string text;
  if (!value.is_array()) return text;
  for (const json& item : value) {
    if (!item.is_string() && !item.is_number()) continue;
    text += text.empty() ? "" : " ";
    text += item.is_string() ? item.get<std::string>() : item.dump();
  }
  return text;
}

json row_from_name(std::string_view path) {
  json row = {{"file", path}};
  const auto name = parse_wheel_name(name_of_path(path));
  if (!name) return row;
  row["name"] = name->distribution;
  row["version"] = name->version;
  row["python"] = name->python;
  row["abi"] = name->abi;
  row["platform"] = name->platform;
  const std::string label = name->local_label();
  if (const auto cuda = cuda_of_label(label)) row["cuda"] = cuda->text();
  if (const auto torch = torch_of_label(label)) row["torch"] = torch->major_minor();
  return row;
}

WheelRows rows_of(const ShelfWheels& wheels, const std::string& present_json) {
  WheelRows rows;
  const json document = parsed(present_json);
  if (is_ours(document)) {
    for (const json& row : document["wheels"]) {
      const auto wheel = wheels.find(wheel_of(row));
      if (wheel != wheels.end() && describes(row, wheel->second)) rows.emplace(wheel->first, row);
    }
  }
  for (const auto& [path, wheel] : wheels) {
    json& row = rows.emplace(path, row_from_name(path)).first->second;
    row["size"] = wheel.size;
    row["sha256"] = wheel.sha256.hex();
  }
  return rows;
}

std::vector<const json*> newest_first(const WheelRows& rows) {
  std::vector<const json*> sorted;
  for (const auto& [path, row] : rows) sorted.push_back(&row);
  const auto key = [](const json* row) {
    return std::tuple(version_key(text_of_row(*row, "version")),
                      version_key(text_of_row(*row, "torch")),
                      version_key(text_of_row(*row, "cuda")));
  };
  // "cp39" before "cp310" by number; rows that are equal so far stay in the order of their paths.
  const auto python = [](const json* row) {
    const std::string tag = text_of_row(*row, "python");
    const auto digits = tag.find_first_of("0123456789");
    if (digits == std::string::npos || digits + 1 >= tag.size()) return Version{};
    return parse_version(tag.substr(digits, 1) + "." + tag.substr(digits + 1)).value_or(Version{});
  };
  std::ranges::stable_sort(sorted, [&](const json* a, const json* b) {
    if (key(a) != key(b)) return key(a) > key(b);
    return python(a) > python(b);
  });
  return sorted;
}

namespace {

// Those whose names SHA256SUMS and the table can hold.
ShelfWheels listable(const ShelfWheels& wheels, std::vector<std::string>& warnings) {
  ShelfWheels listed;
  for (const auto& [path, wheel] : wheels) {
    if (fits_a_line(path))
      listed.emplace(path, wheel);
    else
      warnings.push_back(
          fmt::format("'{}' is left out of the index: its name holds a backslash or characters "
                      "that cannot be shown",
                      path));
  }
  return listed;
}

// The rows of all wheels: what the repository tells of them, then what is told anew.
WheelRows merged_rows(const ShelfWheels& listed, const WheelRows& told,
                      const std::string& present_json) {
  WheelRows all = rows_of(listed, present_json);
  for (const auto& [path, row] : told) {
    const auto place_of_row = all.find(path);
    if (place_of_row == all.end()) continue;
    // Keys that this version does not know stay: the bytes are the same.
    if (place_of_row->second.is_object()) place_of_row->second.update(row);
  }
  for (auto& [path, row] : all) {
    row["file"] = path;
    row["size"] = listed.at(path).size;
    row["sha256"] = listed.at(path).sha256.hex();
  }
  return all;
}

}  // namespace

Index make_index(const ShelfWheels& wheels, const WheelRows& rows, const PresentFiles& present,
                 const IndexPlace& place, const IndexOptions& options) {
  Index index;
  const auto content = [&](const char* path) -> std::optional<std::string> {
    const auto found = present.find(path);
    return found == present.end() ? std::nullopt : found->second;
  };
  const auto is_unread = [&](const char* path) {
    return present.contains(path) && !present.at(path).has_value();
  };
  const ShelfWheels listed = listable(wheels, index.warnings);
  const WheelRows all = merged_rows(listed, rows, content(kWheelsJson).value_or(""));

  const auto present_json = content(kWheelsJson);
  if (options.force ||
      (!is_unread(kWheelsJson) && (!present_json || is_ours(parsed(*present_json)))))
    index.files[kWheelsJson] = wheels_json(all, present_json);
  else
    index.warnings.push_back(left_alone(kWheelsJson, "is not one of sagebuild's"));

  std::optional<std::string> sums;
  if (!is_unread(kSha256Sums)) sums = sha256_sums(all, content(kSha256Sums));
  if (!sums && options.force) sums = sha256_sums(all, std::nullopt);
  if (sums)
    index.files[kSha256Sums] = *std::move(sums);
  else
    index.warnings.push_back(left_alone(kSha256Sums, "is not a list of SHA-256 sums"));

  if (!is_unread(kAttributes)) index.files[kAttributes] = attributes(content(kAttributes));
  if (!options.with_readme) return index;
  if (is_unread(kReadme)) {
    index.warnings.push_back(
        fmt::format("'{}' is too large to be read and is left alone", kReadme));
  } else if (auto readme =
                 readme_with_table(content(kReadme), all, place, options.force, index.warnings)) {
    index.files[kReadme] = *std::move(readme);
  }
  return index;
}

}  // namespace sagebuild
