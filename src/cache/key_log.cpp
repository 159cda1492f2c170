#include "cache/key_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::size_t kContext = 20;  // characters shown around a difference
constexpr std::size_t kShown = 60;    // and at most of the differing part

std::optional<KeyDescription> read_description(const fs::path& path) {
  try {
    const auto text = read_file_if_exists(path);
    const auto body = text ? unsealed(*text) : std::nullopt;
    if (!body) return std::nullopt;
    const json value = json::parse(*body);
    std::error_code ignored;
    return KeyDescription{
        value.at("kind").get<std::string>(), value.at("subject").get<std::string>(),
        value.at("inputs").get<std::vector<std::pair<std::string, std::string>>>(),
        path.filename().string(), fs::last_write_time(path, ignored)};
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string shortened(std::string_view text, std::size_t common, std::size_t tail) {
  const std::size_t from = common > kContext ? common - kContext : 0;
  const std::size_t to =
      std::min(text.size(), std::min(text.size() - tail + kContext, from + kContext + kShown));
  return fmt::format("{}{}{}", from > 0 ? "..." : "", text.substr(from, to - from),
                     to < text.size() ? "..." : "");
}

// Both values, cut to where they differ.
std::string change(std::string_view before, std::string_view now) {
  std::size_t common = 0;
  const std::size_t shorter = std::min(before.size(), now.size());
  while (common < shorter && before[common] == now[common]) ++common;
  std::size_t tail = 0;
  while (tail < shorter - common && before[before.size() - 1 - tail] == now[now.size() - 1 - tail])
    ++tail;
  return fmt::format("{} -> {}", shortened(before, common, tail), shortened(now, common, tail));
}

// The n-th input of a name is compared with the n-th of the same name.
std::map<std::pair<std::string, int>, std::string> numbered(const KeyDescription& description) {
  std::map<std::pair<std::string, int>, std::string> inputs;
  std::map<std::string, int> count;
  for (const auto& [name, value] : description.inputs) inputs[{name, count[name]++}] = value;
  return inputs;
}

std::vector<std::string> differences(const KeyDescription& before, const KeyDescription& now) {
  std::vector<std::string> texts;
  auto old_inputs = numbered(before);
  for (const auto& [id, value] : numbered(now)) {
    const auto old = old_inputs.extract(id);
    if (old.empty()) {
      texts.push_back(fmt::format("{}: new input {}", id.first, shortened(value, 0, 0)));
    } else if (old.mapped() != value) {
      texts.push_back(fmt::format("{}: {}", id.first, change(old.mapped(), value)));
    }
  }
  for (const auto& [id, value] : old_inputs)
    texts.push_back(fmt::format("{}: no longer an input", id.first));
  if (texts.empty() && before.key != now.key)
    texts.push_back("the order of inputs or the key schema changed");
  return texts;
}

}  // namespace

KeyDescription described(const ActionKey& key) {
  return {key.kind(), key.subject(), key.inputs(), key.digest().hex(), {}};
}

void KeyLog::put(const ActionKey& key) const {
  const std::string subject = Sha256().field(key.kind()).field(key.subject()).finish().hex();
  const json body = {{"kind", key.kind()}, {"subject", key.subject()}, {"inputs", key.inputs()}};
  write_file(folder_ / subject / key.digest().hex(),
             sealed(body.dump(-1, ' ', false, json::error_handler_t::replace)));
  keep_newest(folder_ / subject);
}

void KeyLog::keep_newest(const fs::path& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code ignored;
  for (const fs::path& path : entries_if_readable(folder)) {
    files.emplace_back(fs::last_write_time(path, ignored), path);
  }
  if (files.size() <= kMostKeys) return;
  std::ranges::sort(files);
  files.resize(files.size() - kMostKeys);
  for (const auto& [written, path] : files) fs::remove(path, ignored);
}

std::vector<KeyDescription> KeyLog::of_subject(const std::string& kind,
                                               const std::string& subject) const {
  return in_folder(folder_ / Sha256().field(kind).field(subject).finish().hex());
}

std::vector<std::vector<KeyDescription>> KeyLog::all() const {
  std::vector<std::vector<KeyDescription>> subjects;
  for (const fs::path& subject : entries_if_readable(folder_)) {
    auto keys = in_folder(subject);
    if (!keys.empty()) subjects.push_back(std::move(keys));
  }
  std::ranges::sort(subjects, {},
                    [](const auto& keys) { return std::pair(keys[0].kind, keys[0].subject); });
  return subjects;
}

std::vector<KeyDescription> KeyLog::in_folder(const fs::path& folder) const {
  std::vector<KeyDescription> keys;
  for (const fs::path& path : entries_if_readable(folder)) {
    if (auto key = read_description(path)) keys.push_back(std::move(*key));
  }
  std::ranges::sort(keys, std::greater(), &KeyDescription::written);
  return keys;
}

std::string difference(const KeyDescription& before, const KeyDescription& now) {
  return join(differences(before, now), "; ");
}

const KeyDescription* nearest_earlier(const std::vector<KeyDescription>& earlier,
                                      const KeyDescription& now) {
  const KeyDescription* nearest_one = nullptr;
  std::size_t fewest = 0;
  for (const KeyDescription& other : earlier) {
    if (other.key == now.key) continue;
    const std::size_t count = differences(other, now).size();
    if (nearest_one != nullptr && count >= fewest) continue;
    nearest_one = &other;
    fewest = count;
  }
  return nearest_one;
}

}  // namespace sagebuild
