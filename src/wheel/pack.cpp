#include "sagebuild/wheel/pack.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "record.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/wheel/module_facts.hpp"
#include "sagebuild/wheel/reader.hpp"
#include "sbom.hpp"
#include "torch_needs.hpp"
#include "zip_file.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Entries = std::map<std::string, ZipEntry>;

Entries entries_of(const WheelReader& wheel) {
  Entries entries;
  for (std::size_t i = 0; i < wheel.entries().size(); ++i) {
    const auto& [name, size, mode] = wheel.entries()[i];
    if (name.ends_with('/')) continue;
    ZipEntry entry{"", (mode & 0111U) != 0};
    entry.content.reserve(size);
    wheel.stream(i, [&](std::string_view piece) { entry.content += piece; });
    entries.insert_or_assign(name, std::move(entry));
  }
  return entries;
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
      headers += fmt::format("Requires-Dist: torch{}{}{}{}\n", torch->extras, torch_pin,
                             torch->marker.empty() ? "" : "; ", torch->marker);
    else
      headers += line.starts_with("Version:") ? fmt::format("Version: {}\n", version)
                                              : fmt::format("{}\n", line);
  }
  if (!pinned) headers += fmt::format("Requires-Dist: torch{}\n", torch_pin);
  return headers + (end < text.size() ? text.substr(end + 1) : "");
}

std::string wheel_file(const std::string& text, const WheelName& name) {
  std::string result;
  for (const auto line : lines_of(text)) {
    if (line.starts_with("Tag:") || line.starts_with("Build:") || trimmed(line).empty()) continue;
    result += line.starts_with("Generator:")
                  ? fmt::format("Generator: sagebuild ({})\n", program_version())
                  : fmt::format("{}\n", line);
  }
  // Expanded, one line per combination: pip and uv compare them with the file's name.
  for (const std::string& tag : expanded_tags(name)) result += fmt::format("Tag: {}\n", tag);
  return result;
}

std::string record(const std::vector<std::pair<std::string, ZipEntry>>& entries,
                   const std::string& record_name) {
  std::string text;
  for (const auto& [name, entry] : entries) text += record_line(name, entry.content);
  return text + record_line(record_name, "", "");
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

WheelName finished_name(const PackSettings& settings) {
  auto name = parse_wheel_name(settings.recorded.filename().string());
  if (!name)
    throw Error(ErrorKind::failed,
                fmt::format("'{}' is no wheel's name", settings.recorded.filename().string()));
  name->version = labelled_version(name->version, settings.local_label);
  name->build.clear();
  name->platform = settings.platform;
  return *name;
}

fs::path wheel_path(const PackSettings& settings) {
  return settings.output / finished_name(settings).file_name();
}

PlatformTag platform_of(const PackSettings& settings) {
  std::vector<ModuleFacts> modules =
      libraries_in(WheelReader(settings.recorded),
                   [&](const std::string& name) { return !settings.modules.contains(name); });
  for (const auto& [name, file] : settings.modules)
    modules.push_back(module_facts(file, name.string()));
  return lowest_platform(modules, machine_architecture());
}

void compress_module(const fs::path& file, const fs::path& zip) {
  write_zip(zip, {{file.filename().string(), ZipEntry{read_file(file), true}}},
            source_date_epoch());
}

Wheel pack_wheel(const PackSettings& settings) {
  const WheelReader recorded(settings.recorded);
  Entries entries = entries_of(recorded);
  const WheelName name = finished_name(settings);
  const std::string old_info = recorded.dist_info();
  const std::string info = fmt::format("{}-{}.dist-info", name.distribution, name.version);

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
    if (file == "METADATA")
      entry.content = metadata(entry.content, name.version, settings.torch_pin);
    if (file == "WHEEL") entry.content = wheel_file(entry.content, name);
    info_files.emplace_back(info + "/" + file, std::move(entry));
  }
  info_files.emplace_back(info + "/sagebuild.json", ZipEntry{provenance_json(settings.provenance)});
  info_files.emplace_back(info + "/sboms/sagebuild.cdx.json",
                          ZipEntry{sbom_json(settings.provenance, name)});
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
