#include "sagebuild/hub/index.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr const char* kSchema = "sagebuild.wheels/1";

WheelRows present_rows(const std::string& text, std::string& warning) {
  WheelRows rows;
  if (text.empty()) return rows;
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("wheels") || !document["wheels"].is_array()) {
    warning =
        fmt::format("'{}' in the repository is not readable and is written anew", kWheelsJson);
    return rows;
  }
  for (const json& row : document["wheels"]) {
    if (row.is_object() && row.contains("file") && row["file"].is_string())
      rows[row["file"].get<std::string>()] = row;
  }
  return rows;
}

// A known row holds only for the bytes that it was written for.
bool describes(const json& row, const RemoteFile& file) {
  // The tree knows no SHA-256 of a small wheel
  if (!file.lfs) return row.contains("size") && row["size"] == file.size;
  return row.contains("sha256") && row["sha256"] == file.lfs->hex();
}

std::string cell(const json& row, const char* key) {
  if (!row.contains(key)) return "";
  const json& value = row[key];
  std::string text;
  if (value.is_string()) text = value.get<std::string>();
  if (value.is_array()) {
    for (const json& item : value)
      text +=
          (text.empty() ? "" : " ") + (item.is_string() ? item.get<std::string>() : item.dump());
  }
  return replaced(std::move(text), "|", "\\|");
}

std::string table(const WheelRows& rows, const IndexPlace& place) {
  std::string text = "| wheel | Python | torch | CUDA | GPUs | size |\n|---|---|---|---|---|---|\n";
  for (const auto& [path, row] : rows) {
    text += fmt::format("| [{}]({}) | {} | {} | {} | {} | {} |\n", path.substr(path.rfind('/') + 1),
                        resolve_url(place.endpoint, place.repo, place.revision, path),
                        cell(row, "python"), cell(row, "torch"), cell(row, "cuda"),
                        cell(row, "architectures"), human_size(row.value("size", 0ULL)));
  }
  return text;
}

std::string with_section(const std::string& readme, const std::string& section, const RepoId& repo,
                         std::string& warning) {
  const std::string block = fmt::format("{}\n{}{}\n", kTableBegin, section, kTableEnd);
  if (readme.empty())
    return fmt::format("# {}\n\n{}", repo.name.substr(repo.name.find('/') + 1), block);
  const auto begin = readme.find(kTableBegin);
  const auto end = readme.find(kTableEnd);
  if (begin == std::string::npos && end == std::string::npos) {
    return readme + (readme.ends_with('\n') ? "\n" : "\n\n") + block;
  }
  const bool whole = begin != std::string::npos && end != std::string::npos && begin < end &&
                     readme.find(kTableBegin, begin + 1) == std::string::npos &&
                     readme.find(kTableEnd, end + 1) == std::string::npos;
  if (!whole) {  // guessing where the section ends could delete the user's own words
    warning = fmt::format(
        "the markers of the wheel table in '{}' are damaged; the file is left alone", kReadme);
    return readme;
  }
  auto after = end + kTableEnd.size();
  if (after < readme.size() && readme[after] == '\n') ++after;
  return readme.substr(0, begin) + block + readme.substr(after);
}

}  // namespace

json row_from_name(std::string_view path) {
  json row = {{"file", path}};
  const auto name = parse_wheel_name(path.substr(path.rfind('/') + 1));
  if (!name) return row;
  row["name"] = name->distribution;
  row["version"] = name->version;
  row["python"] = name->python;
  row["abi"] = name->abi;
  row["platform"] = name->platform;
  const std::string label = name->local_label();
  if (const auto cuda = cuda_of_label(label)) row["cuda"] = cuda->major_minor();
  if (const auto torch = torch_of_label(label)) row["torch"] = torch->major_minor();
  return row;
}

Index make_index(const std::map<std::string, RemoteFile>& wheels, const WheelRows& rows,
                 const std::string& present_json, const std::string& present_readme,
                 const IndexPlace& place) {
  Index index;
  const WheelRows known = present_rows(present_json, index.warning);
  WheelRows all;
  for (const auto& [path, file] : wheels) {
    json row = row_from_name(path);
    const auto old = known.find(path);
    if (old != known.end() && describes(old->second, file)) row = old->second;
    if (const auto ours = rows.find(path); ours != rows.end()) row = ours->second;
    row["file"] = path;
    row["size"] = file.size;
    if (file.lfs) row["sha256"] = file.lfs->hex();
    if (const std::string digest = cell(row, "sha256"); !digest.empty()) {
      index.sha256_sums += fmt::format("{}  {}\n", digest, path);
    }
    all[path] = std::move(row);
  }
  json listed = json::array();
  for (const auto& [path, row] : all) listed.push_back(row);
  index.wheels_json = json{{"schema", kSchema}, {"wheels", listed}}.dump(2) + "\n";
  index.readme = with_section(present_readme, table(all, place), place.repo, index.warning);
  return index;
}

}  // namespace sagebuild
