// The LFS half of the Hub's calls: batch, completion, verify.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/api.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr const char* kLfsType = "application/vnd.git-lfs+json";
constexpr std::size_t kPerBatch = 256;

[[noreturn]] void fail_batch(const std::string& reason, std::string hint = {}) {
  throw Error(ErrorKind::failed, "the Hub's upload instructions cannot be followed", {reason},
              std::move(hint));
}

// A mirror behind HF_ENDPOINT may still name the real Hub; the official client treats it so, too.
std::string at_endpoint(std::string href, const std::string& endpoint) {
  constexpr std::string_view kHub = "https://huggingface.co/";
  if (href.starts_with(kHub)) href = endpoint + "/" + href.substr(kHub.size());
  return href;
}

// Part URLs have numeric keys, padded or not, in any order; other entries are headers.
void read_parts(ObjectUpload& upload, const json& header, std::uint64_t size) {
  std::map<long long, std::string> parts;
  for (const auto& [key, value] : header.items()) {
    if (!value.is_string()) continue;
    if (const auto number = to_integer(key))
      parts[*number] = value.get<std::string>();
    else if (lower(key) == "chunk_size")
      upload.chunk = static_cast<std::uint64_t>(
          std::max(0LL, to_integer(value.get<std::string>()).value_or(-1)));
    else if (lower(key) != "authorization")
      upload.headers.add(key, value.get<std::string>());
  }
  const bool has_chunk = std::ranges::any_of(
      header.items(), [](const auto& item) { return lower(item.key()) == "chunk_size"; });
  if (!has_chunk) return;
  if (upload.chunk == 0) fail_batch("the part size is not a number");
  const std::uint64_t count = (size + upload.chunk - 1) / upload.chunk;
  long long expected = 1;
  for (auto& [number, url] : parts) {
    if (number != expected++) break;
    upload.parts.push_back(std::move(url));
  }
  if (upload.parts.size() != count || parts.size() != count) {
    fail_batch(fmt::format("{} part addresses for {} parts", parts.size(), count));
  }
}

ObjectUpload read_object(const json& object, const ObjectId& wanted, const std::string& endpoint) {
  ObjectUpload upload;
  if (object.contains("error")) {
    const json& error = object["error"];
    fail_batch(fmt::format("object {}: {} (code {})", wanted.sha256.hex().substr(0, 12),
                           error.value("message", "refused"), error.value("code", 0)));
  }
  if (!object.contains("actions") || !object["actions"].contains("upload")) {
    upload.present = true;
    return upload;
  }
  const json& actions = object["actions"];
  upload.href = at_endpoint(actions["upload"].at("href").get<std::string>(), endpoint);
  if (actions["upload"].contains("header"))
    read_parts(upload, actions["upload"]["header"], wanted.size);
  if (actions.contains("verify"))
    upload.verify = at_endpoint(actions["verify"].at("href").get<std::string>(), endpoint);
  return upload;
}

}  // namespace

std::vector<ObjectUpload> HubApi::batch(const std::vector<ObjectId>& objects,
                                        const std::string& revision) {
  std::vector<ObjectUpload> uploads;
  const std::string doing = fmt::format("ask '{}' where to send the files", shown(repo_));
  for (std::size_t begin = 0; begin < objects.size(); begin += kPerBatch) {
    const std::size_t end = std::min(objects.size(), begin + kPerBatch);
    json body = {{"operation", "upload"},
                 {"transfers", {"basic", "multipart"}},
                 {"hash_algo", "sha256"},
                 {"objects", json::array()}};
    for (std::size_t i = begin; i < end; ++i)
      body["objects"].push_back({{"oid", objects[i].sha256.hex()}, {"size", objects[i].size}});
    if (!revision.empty()) body["ref"] = {{"name", revision}};
    Request asked = request("POST", web_path(repo_) + ".git/info/lfs/objects/batch");
    asked.headers = {{"Content-Type", kLfsType}, {"Accept", kLfsType}};
    asked.body = body.dump();
    const json answer = read_json(asked, doing);
    try {
      if (answer.value("transfer", "basic") == "xet") {
        fail_batch("this Hub no longer takes LFS uploads", "send the wheel with `hf upload`");
      }
      std::map<std::string, const json*> by_oid;
      for (const json& object : answer.at("objects"))
        by_oid[object.at("oid").get<std::string>()] = &object;
      for (std::size_t i = begin; i < end; ++i) {
        const auto found = by_oid.find(objects[i].sha256.hex());
        if (found == by_oid.end()) fail_batch("the Hub says nothing about one of the files");
        uploads.push_back(read_object(*found->second, objects[i], endpoint_));
      }
    } catch (const json::exception& reason) {
      throw Error(ErrorKind::network, "cannot " + doing,
                  {"the Hub's answer is not understood", reason.what()});
    }
  }
  return uploads;
}

std::optional<Response> HubApi::complete(const ObjectUpload& upload, const ObjectId& object,
                                         const std::vector<std::string>& etags) {
  json parts = json::array();
  for (const std::string& etag : etags)
    parts.push_back({{"partNumber", parts.size() + 1}, {"etag", etag}});
  Request asked;
  asked.method = "POST";
  asked.url = upload.href;  // signed: no token
  asked.headers = {{"Content-Type", kLfsType}, {"Accept", kLfsType}};
  asked.body = json{{"oid", object.sha256.hex()}, {"parts", parts}}.dump();
  Response response = http_.send(asked);
  if (response.ok()) return std::nullopt;
  if (is_transient(response) || response.failure != Failure::none)
    throw hub_error("complete an upload", asked, response);
  return response;
}

std::optional<Response> HubApi::verify(const ObjectUpload& upload, const ObjectId& object) {
  Request asked = request("POST", "");
  asked.url = upload.verify;
  asked.headers = {{"Content-Type", "application/json"}};
  asked.body = json{{"oid", object.sha256.hex()}, {"size", object.size}}.dump();
  asked.also_transient = nullptr;
  // The token is the Hub's alone
  if (origin_of(asked.url) != origin_of(endpoint_)) asked.credentials = {};
  Response response = http_.send(asked);
  if (response.ok()) return std::nullopt;
  if (is_transient(response) || response.failure != Failure::none || response.status == 401 ||
      response.status == 403) {
    throw hub_error("have an upload verified", asked, response);
  }
  return response;
}

}  // namespace sagebuild
