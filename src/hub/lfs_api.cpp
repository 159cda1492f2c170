// The LFS half of the Hub's calls: batch, completion, verify.

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "hub/shape.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/api.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr const char* kLfsType = "application/vnd.git-lfs+json";
constexpr std::size_t kPerBatch = 256;

[[noreturn]] void refuse_upload(const std::string& reason, std::string hint = {}) {
  throw Error(ErrorKind::failed, "the Hub does not take the upload", {reason}, std::move(hint));
}

// A mirror behind HF_ENDPOINT may still name the real Hub; the official client treats it so, too.
std::string at_endpoint(const Field& action, const std::string& endpoint) {
  constexpr std::string_view kHub = "https://huggingface.co/";
  const Field field = action.at("href");
  const std::string href = field.address();
  if (endpoint.starts_with("https:") && !href.starts_with("https:"))
    field.refuse("an https address");
  return href.starts_with(kHub) ? endpoint + "/" + href.substr(kHub.size()) : href;
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kSymbols.find(c) != std::string_view::npos;
  });
}

// Part URLs have numeric keys, padded or not, in any order; other entries are headers.
void read_parts(ObjectUpload& upload, const Field& header, std::uint64_t size) {
  std::map<long long, std::string> parts;
  std::optional<Field> chunk;
  for (const auto& [key, value] : header.members()) {
    if (const auto number = to_integer(key))
      parts[*number] = value.address();
    else if (lower(key) == "chunk_size")
      chunk = value;
    else if (!is_header_name(key))
      value.refuse("a header with a name of its own");
    else if (lower(key) != "authorization")
      upload.headers.add(key, value.word());
  }
  if (!chunk) return;
  const auto bytes = to_integer(chunk->text());
  if (!bytes || *bytes < 1) chunk->refuse("the size of a part");
  upload.chunk = static_cast<std::uint64_t>(*bytes);
  const std::uint64_t count = (size + upload.chunk - 1) / upload.chunk;
  long long expected = 1;
  for (auto& [number, url] : parts) {
    if (number != expected++) break;
    upload.parts.push_back(std::move(url));
  }
  if (upload.parts.size() != count || parts.size() != count) {
    throw BadShape(
        fmt::format("the answer has {} part addresses for {} parts", parts.size(), count));
  }
}

ObjectUpload read_object(const Field& object, const ObjectId& wanted, const std::string& endpoint) {
  ObjectUpload upload;
  if (object.at("size").count() != wanted.size) object.at("size").refuse("the size that was asked");
  if (const auto error = object.find("error")) {
    upload.refused = fmt::format("object {}: {} (code {})", wanted.sha256.hex().substr(0, 12),
                                 error->at("message").text(), error->at("code").count());
    return upload;
  }
  const auto actions = object.find("actions");
  const auto put = actions ? actions->find("upload") : std::nullopt;
  upload.present = !put;
  if (!put) return upload;
  upload.href = at_endpoint(*put, endpoint);
  if (const auto header = put->find("header")) read_parts(upload, *header, wanted.size);
  if (const auto verify = actions->find("verify")) upload.verify = at_endpoint(*verify, endpoint);
  return upload;
}

std::vector<ObjectUpload> read_objects(const Field& answer, std::span<const ObjectId> wanted,
                                       const std::string& endpoint) {
  std::map<Digest, Field> by_oid;
  for (const Field& object : answer.at("objects").list())
    by_oid.insert_or_assign(object.at("oid").sha256(), object);
  std::vector<ObjectUpload> uploads;
  for (const ObjectId& each : wanted) {
    const auto found = by_oid.find(each.sha256);
    if (found == by_oid.end())
      throw BadShape(fmt::format("the answer says nothing about the object {}", each.sha256.hex()));
    uploads.push_back(read_object(found->second, each, endpoint));
  }
  return uploads;
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
    asked.body = json_line(body);
    const std::span step(objects.data() + begin, end - begin);
    std::vector<ObjectUpload> some;
    bool is_xet = false;
    const Response response = ask(asked, doing, [&](const Field& answer) {
      const auto transfer = answer.find("transfer");
      is_xet = transfer && transfer->text() == "xet";
      some = is_xet ? std::vector<ObjectUpload>() : read_objects(answer, step, endpoint_);
    });
    if (!response.ok()) {
      Error error = hub_error(doing, asked, response);
      // huggingface_hub issue 3816
      if (response.status == 403 && revision.empty())
        error.hint =
            "the Hub takes large files only from who may write to the repository, also for "
            "a pull request: upload to a repository of your own, and tell its owner";
      throw error;
    }
    if (is_xet)
      refuse_upload("this Hub no longer takes LFS uploads", "send the wheel with `hf upload`");
    for (ObjectUpload& upload : some) {
      if (!upload.refused.empty()) refuse_upload(upload.refused);
      uploads.push_back(std::move(upload));
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
  Response response = send(asked, "complete an upload");
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
  // The token is the Hub's alone
  if (origin_of(asked.url) != origin_of(endpoint_)) asked.credentials = {};
  Response response = send(asked, "have an upload verified");
  if (response.ok()) return std::nullopt;
  if (is_transient(response) || response.failure != Failure::none || response.status == 401 ||
      response.status == 403) {
    throw hub_error("have an upload verified", asked, response);
  }
  return response;
}

}  // namespace sagebuild
