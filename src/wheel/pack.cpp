#include "sagebuild/wheel/pack.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "torch_needs.hpp"
#include "zip_file.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Entries = std::map<std::string, ZipEntry>;

// NAME-VERSION(-BUILD)?-PY-ABI-PLATFORM.whl (PEP 427).
struct WheelName {
  std::string distribution, version, python, abi;
};

WheelName parse_name(const fs::path& wheel) {
  const std::string stem = wheel.stem();
  const auto parts = split(stem, "-");
  if (parts.size() < 5)
    throw Error(ErrorKind::failed,
                fmt::format("'{}' is no wheel's name", wheel.filename().string()));
  return {std::string(parts[0]), std::string(parts[1]), std::string(parts[parts.size() - 3]),
          std::string(parts[parts.size() - 2])};
}

std::string dist_info_of(const Entries& entries) {
  for (const auto& [name, entry] : entries) {
    const auto slash = name.find('/');
    if (slash != std::string::npos && name.substr(0, slash).ends_with(".dist-info"))
      return name.substr(0, slash);
  }
  throw Error(ErrorKind::failed, "the recorded wheel has no .dist-info folder");
}

// Sets the version and what is required of torch. Headers end at the first empty line; a
// description may follow.
std::string metadata(const std::string& text, const std::string& version,
                     const std::string& torch_pin) {
  const auto end = std::min(text.find("\n\n"), text.size());
  std::string headers;
  bool pinned = torch_pin.empty();
  for (const auto line : lines_of(std::string_view(text).substr(0, end))) {
    const auto torch = torch_pin.empty() ? std::nullopt : torch_requirement(line);
    pinned |= torch && torch->marker.empty();
    if (torch)
      headers +=
          fmt::format("Requires-Dist: torch{}{}{}\n", torch->extras, torch_pin, torch->marker);
    else
      headers += line.starts_with("Version:") ? fmt::format("Version: {}\n", version)
                                              : fmt::format("{}\n", line);
  }
  if (!pinned) headers += fmt::format("Requires-Dist: torch{}\n", torch_pin);
  return headers + (end < text.size() ? text.substr(end + 1) : "");
}

std::string wheel_file(const std::string& text, const WheelName& name,
                       const std::string& platform) {
  std::string result;
  for (const auto line : lines_of(text)) {
    if (line.starts_with("Tag:") || line.starts_with("Build:") || trimmed(line).empty()) continue;
    result += line.starts_with("Generator:")
                  ? fmt::format("Generator: sagebuild ({})\n", program_version())
                  : fmt::format("{}\n", line);
  }
  // Expanded, one line per combination: pip and uv compare them with the file's name.
  for (const auto python : split(name.python, ".")) {
    for (const auto abi : split(name.abi, "."))
      result += fmt::format("Tag: {}-{}-{}\n", python, abi, platform);
  }
  return result;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  return "\"" + replaced(text, "\"", "\"\"") + "\"";
}

std::string record(const std::vector<std::pair<std::string, ZipEntry>>& entries,
                   const std::string& record_name) {
  std::string text;
  for (const auto& [name, entry] : entries) {
    text += fmt::format("{},sha256={},{}\n", csv_field(name), sha256(entry.content).base64url(),
                        entry.content.size());
  }
  return text + fmt::format("{},,\n", csv_field(record_name));
}

void replace_modules(Entries& entries, const PackSettings& settings) {
  for (const DroppedModule& dropped : settings.provenance.plan.dropped)
    entries.erase(dropped.output.string());
  for (const auto& [name, file] : settings.modules) {
    const auto entry = entries.find(name.string());
    if (entry == entries.end()) {
      throw Error(ErrorKind::bug,
                  fmt::format("the recorded wheel has no place for '{}'", name.string()));
    }
    entry->second = {read_file(file), true};
    const auto compressed = settings.compressed.find(name);
    if (compressed != settings.compressed.end()) entry->second.compressed = compressed->second;
  }
}

}  // namespace

fs::path wheel_path(const PackSettings& settings) {
  const WheelName name = parse_name(settings.recorded);
  return settings.output / fmt::format("{}-{}-{}-{}-{}.whl", name.distribution,
                                       labelled_version(name.version, settings.local_label),
                                       name.python, name.abi, settings.platform);
}

void compress_module(const fs::path& file, const fs::path& zip) {
  write_zip(zip, {{file.filename().string(), ZipEntry{read_file(file), true}}},
            source_date_epoch());
}

Wheel pack_wheel(const PackSettings& settings) {
  Entries entries = read_zip(settings.recorded);
  const WheelName name = parse_name(settings.recorded);
  const std::string old_info = dist_info_of(entries);
  const std::string version = labelled_version(name.version, settings.local_label);
  const std::string info = fmt::format("{}-{}.dist-info", name.distribution, version);

  replace_modules(entries, settings);
  std::vector<std::pair<std::string, ZipEntry>> files;
  std::vector<std::pair<std::string, ZipEntry>> info_files;
  for (auto& [path, entry] : entries) {
    if (!path.starts_with(old_info + "/")) {
      files.emplace_back(path, std::move(entry));
      continue;
    }
    const std::string file = path.substr(old_info.size() + 1);
    if (file == "RECORD" || file == "RECORD.jws" || file == "RECORD.p7s") continue;
    if (file == "METADATA") entry.content = metadata(entry.content, version, settings.torch_pin);
    if (file == "WHEEL") entry.content = wheel_file(entry.content, name, settings.platform);
    info_files.emplace_back(info + "/" + file, std::move(entry));
  }
  info_files.emplace_back(info + "/sagebuild.json", ZipEntry{provenance_json(settings.provenance)});
  std::ranges::sort(info_files, {}, [](const auto& entry) { return entry.first; });
  files.insert(files.end(), std::make_move_iterator(info_files.begin()),
               std::make_move_iterator(info_files.end()));
  const std::string record_name = info + "/RECORD";
  std::string record_text = record(files, record_name);
  files.emplace_back(record_name, ZipEntry{std::move(record_text)});

  const fs::path path = wheel_path(settings);
  write_zip(path, files, source_date_epoch());
  return {path};
}

}  // namespace sagebuild
