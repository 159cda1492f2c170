#include "hub/saved_upload.hpp"

#include <sys/stat.h>

#include <chrono>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr const char* kSchema = "sagebuild.multipart/1";
// The Hub's completion addresses hold for about a day.
constexpr auto kLongest = std::chrono::hours(20);

bool is_too_old(const std::filesystem::path& file) {
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(file, error);
  return error || std::filesystem::file_time_type::clock::now() - changed > kLongest;
}

// Whatever else lies in the folder is somebody else's.
bool is_name_of_ours(const std::filesystem::path& file) {
  constexpr std::size_t kHexDigits = 64;
  const std::string name = file.stem().string();
  return file.extension() == ".json" && name.size() == kHexDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

SavedUpload read(const json& document) {
  SavedUpload saved;
  saved.upload.href = document.at("href").get<std::string>();
  saved.upload.verify = document.at("verify").get<std::string>();
  saved.upload.chunk = document.at("chunk").get<std::uint64_t>();
  saved.upload.parts = document.at("parts").get<std::vector<std::string>>();
  for (const auto& [name, value] : document.at("headers").items())
    saved.upload.headers.add(name, value.get<std::string>());
  saved.etags = document.at("etags").get<std::vector<std::string>>();
  return saved;
}

}  // namespace

UploadStore::UploadStore(std::filesystem::path folder, std::string place)
    : folder_(std::move(folder)), place_(std::move(place)) {}

std::filesystem::path UploadStore::file_of(const ObjectId& object) const {
  return folder_ / (sha256(place_ + "\n" + object.sha256.hex()).hex() + ".json");
}

std::optional<SavedUpload> UploadStore::find(const ObjectId& object) const {
  if (folder_.empty()) return std::nullopt;
  const auto file = file_of(object);
  for (const auto& old : entries_if_readable(folder_)) {
    std::error_code error;
    if (is_name_of_ours(old) && is_too_old(old)) std::filesystem::remove(old, error);
  }
  try {
    if (!is_file(file)) return std::nullopt;  // a pipe would be waited for
    const auto text = read_file_if_exists(file);
    const auto document = text ? parse_json(*text).value : std::nullopt;
    if (!document || document->value("schema", "") != kSchema) return std::nullopt;
    SavedUpload saved = read(*document);
    const std::uint64_t chunk = saved.upload.chunk;
    const bool fits = chunk > 0 && saved.upload.parts.size() == (object.size + chunk - 1) / chunk &&
                      saved.etags.size() == saved.upload.parts.size();
    return fits ? std::optional(std::move(saved)) : std::nullopt;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void UploadStore::save(const ObjectId& object, const SavedUpload& saved) const {
  if (folder_.empty()) return;
  json headers = json::object();
  for (const auto& [name, value] : saved.upload.headers.fields()) headers[name] = value;
  const json document = {
      {"schema", kSchema},           {"href", saved.upload.href},   {"verify", saved.upload.verify},
      {"chunk", saved.upload.chunk}, {"parts", saved.upload.parts}, {"headers", headers},
      {"etags", saved.etags}};
  try {
    make_folders(folder_);
    ::chmod(folder_.c_str(), S_IRWXU);
    write_file(file_of(object), json_line(document));
  } catch (const Error&) {
    // A full or read-only disk is no reason to stop sending.
  }
}

void UploadStore::forget(const ObjectId& object) const {
  if (folder_.empty()) return;
  std::error_code error;
  std::filesystem::remove(file_of(object), error);
}

}  // namespace sagebuild
