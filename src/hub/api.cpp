#include "sagebuild/hub/api.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// Beyond this no honest repository goes (the Hub advises under 100 000 files, 1000 a page); a
// server whose pages go in a circle must end.
constexpr int kMostPages = 1000;
constexpr std::size_t kPerPreupload = 256;  // the official client's step
constexpr std::size_t kPerPathsInfo = 100;

// A success that holds no JSON is some proxy's page or a cut answer: worth another try.
bool is_no_json(const Response& response) { return response.ok() && !json::accept(response.body); }

bool is_missing_repo(const Response& response) {
  const auto code = response.headers.find("X-Error-Code");
  return (response.status == 404 || response.status == 401) && code == "RepoNotFound";
}

std::optional<std::string> next_page(const Response& response) {
  const auto link = response.headers.find("Link");
  if (!link || link->find("rel=\"next\"") == std::string::npos) return std::nullopt;
  const auto begin = link->find('<');
  const auto end = link->find('>');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return std::nullopt;
  return link->substr(begin + 1, end - begin - 1);
}

void add_entry(RemoteTree& tree, const json& entry) {
  if (entry.at("type") != "file") return;
  RemoteFile file;
  file.size = entry.at("size").get<std::uint64_t>();
  file.blob = entry.at("oid").get<std::string>();
  if (entry.contains("lfs") && entry["lfs"].is_object())
    file.lfs = digest_from_hex(entry["lfs"].at("oid").get<std::string>());
  tree[entry.at("path").get<std::string>()] = std::move(file);
}

}  // namespace

HubApi::HubApi(HttpClient& http, std::string endpoint, const HubToken& token, RepoId repo)
    : http_(http), endpoint_(std::move(endpoint)), token_(token), repo_(std::move(repo)) {}

Request HubApi::request(std::string method, std::string path) const {
  Request made;
  made.method = std::move(method);
  made.url = endpoint_ + path;
  if (!token_.secret.empty()) {
    const auto scheme =
        token_.user.empty() ? Credentials::Scheme::bearer : Credentials::Scheme::basic;
    made.credentials = {scheme, token_.user, &token_.secret};
  }
  made.redirects = Redirects::same_origin;  // a renamed repository answers 307
  made.also_transient = is_no_json;
  return made;
}

json HubApi::read_json(const Request& request, std::string_view doing) {
  const Response response = http_.send(request);
  if (!response.ok() || is_no_json(response)) throw hub_error(doing, request, response);
  return json::parse(response.body);
}

bool HubApi::may_write() {
  Request asked = request("GET", api_path(repo_) + "/auth-check/write");
  asked.also_transient = nullptr;  // only the status matters
  const Response response = http_.send(asked);
  if (response.ok()) return true;
  // Without a token the Hub says 401 for a missing repository as well, and a token is needed either
  // way.
  if (is_missing_repo(response) && !token_.secret.empty()) return false;
  if (response.status == 401 || response.status == 403) explain_refusal(asked, response);
  throw hub_error(fmt::format("reach '{}'", shown(repo_)), asked, response);
}

void HubApi::explain_refusal(const Request& asked, const Response& response) {
  Error error = hub_error(fmt::format("write to '{}'", shown(repo_)), asked, response);
  if (token_.secret.empty()) {
    throw Error(ErrorKind::environment,
                fmt::format("cannot write to '{}' without a token", shown(repo_)), {},
                "log in with `hf auth login`, or set HF_TOKEN to a token with write access");
  }
  const Response who = http_.send(request("GET", "/api/whoami-v2"));
  const json user = json::parse(who.body, nullptr, false);
  if (who.status == 401) {
    error.causes.push_back(
        fmt::format("the token from {} is not valid, or it has expired", token_.origin));
    error.hint = "make a new token, or run `hf auth login` again";
  } else if (who.ok() && user.is_object()) {
    const std::string role = user.value(json::json_pointer("/auth/accessToken/role"), "unknown");
    error.causes.push_back(fmt::format("the token from {} is {}'s, with the role '{}'",
                                       token_.origin, user.value("name", "?"), role));
    if (role == "read") error.hint = "this token may only read: make one with write access";
    if (role == "fineGrained")
      error.hint = fmt::format("give the fine-grained token write access to '{}'", shown(repo_));
  }
  throw error;
}

void HubApi::create(bool is_private, const std::string& sdk) {
  const auto slash = repo_.name.find('/');
  json body = {{"organization", repo_.name.substr(0, slash)},
               {"name", repo_.name.substr(slash + 1)},
               {"type", repo_.kind}};
  body["visibility"] = is_private ? "private" : "public";
  if (repo_.kind == "space") body["sdk"] = sdk;
  Request asked = request("POST", "/api/repos/create");
  asked.headers = {{"Content-Type", "application/json"}};
  asked.body = body.dump();
  asked.also_transient = nullptr;  // nothing in the answer is needed
  const Response response = http_.send(asked);
  if (!response.ok() && response.status != 409)
    throw hub_error(fmt::format("create '{}'", shown(repo_)), asked, response);
}

void HubApi::create_branch(const std::string& branch) {
  Request asked = request("POST", api_path(repo_) + "/branch/" + encoded_revision(branch));
  asked.headers = {{"Content-Type", "application/json"}};
  asked.body = std::string("{}");
  asked.also_transient = nullptr;
  const Response response = http_.send(asked);
  if (!response.ok() && response.status != 409)
    throw hub_error(fmt::format("make the branch '{}'", branch), asked, response);
}

std::optional<std::string> HubApi::head(const std::string& revision) {
  const Request asked = request("GET", api_path(repo_) + "/revision/" + encoded_revision(revision));
  const Response response = http_.send(asked);
  if (response.status == 404 && response.headers.find("X-Error-Code") == "RevisionNotFound")
    return std::nullopt;
  const std::string doing = fmt::format("read '{}'", shown(repo_));
  if (!response.ok()) throw hub_error(doing, asked, response);
  const json info = json::parse(response.body, nullptr, false);
  if (!info.is_object() || !info.contains("sha") || !info["sha"].is_string())
    throw hub_error(doing, asked, response);
  if (info.contains("id") && info["id"].is_string()) use_name(info["id"].get<std::string>());
  is_private_ = info.contains("private") && info["private"] == true;
  return info["sha"].get<std::string>();
}

RemoteTree HubApi::tree(const std::string& commit) {
  RemoteTree tree;
  Request asked = request(
      "GET", fmt::format("{}/tree/{}?recursive=true&expand=false", api_path(repo_), commit));
  const std::string doing = fmt::format("list the files of '{}'", shown(repo_));
  for (int page = 0; page < kMostPages; ++page) {
    const Response response = http_.send(asked);
    if (!response.ok() || is_no_json(response)) throw hub_error(doing, asked, response);
    try {
      for (const json& entry : json::parse(response.body)) add_entry(tree, entry);
    } catch (const json::exception& reason) {
      throw Error(ErrorKind::network, "cannot " + doing,
                  {described(asked, response), reason.what()});
    }
    const auto next = next_page(response);
    if (!next) return tree;
    const auto url = resolved_url(response.url, *next);
    if (!url || origin_of(*url) != origin_of(endpoint_)) {
      throw Error(ErrorKind::network, "cannot " + doing,
                  {fmt::format("the next page is on another host: '{}'", shown_url(*next))});
    }
    asked.url = *url;
  }
  throw Error(ErrorKind::network, "cannot " + doing,
              {fmt::format("it goes on after {} pages", kMostPages)});
}

std::map<std::string, std::string> HubApi::dates(const std::string& commit,
                                                 const std::vector<std::string>& paths) {
  std::map<std::string, std::string> dates;
  const std::string doing = fmt::format("read the dates of the files of '{}'", shown(repo_));
  for (std::size_t begin = 0; begin < paths.size(); begin += kPerPathsInfo) {
    const auto end = std::min(paths.size(), begin + kPerPathsInfo);
    Request asked = request("POST", fmt::format("{}/paths-info/{}", api_path(repo_), commit));
    asked.headers = {{"Content-Type", "application/json"}};
    asked.body = json{
        {"paths", std::vector(paths.begin() + static_cast<std::ptrdiff_t>(begin),
                              paths.begin() + static_cast<std::ptrdiff_t>(end))},
        {"expand",
         true}}.dump();
    const json answer = read_json(asked, doing);
    for (const json& entry : answer) {
      if (!entry.is_object() || !entry.contains("path") || !entry["path"].is_string()) continue;
      const json last = entry.value("lastCommit", json());
      if (last.is_object() && last.contains("date") && last["date"].is_string())
        dates[entry["path"].get<std::string>()] = last["date"].get<std::string>();
    }
  }
  return dates;
}

std::string HubApi::download(const std::string& commit, const std::string& path,
                             const RemoteFile& expected) {
  Request asked =
      request("GET", fmt::format("{}/resolve/{}/{}", web_path(repo_), commit, encoded_path(path)));
  asked.redirects = Redirects::anywhere;  // to the storage, without the token
  asked.also_transient = nullptr;
  Response response = http_.send(asked);
  const std::string doing = fmt::format("read '{}' of '{}'", path, shown(repo_));
  if (!response.ok()) throw hub_error(doing, asked, response);
  const bool is_true = expected.lfs ? sha256(response.body) == *expected.lfs
                                    : git_blob_id(response.body) == expected.blob;
  if (!is_true) {  // it would be written back as the user's own words
    throw Error(ErrorKind::network, "cannot " + doing,
                {described(asked, response), "the content is not that of the commit"});
  }
  return std::move(response.body);
}

std::vector<UploadMode> HubApi::upload_modes(const std::string& revision,
                                             const std::vector<Candidate>& files, bool open_pull) {
  std::map<std::string, UploadMode> modes;
  const std::string doing = fmt::format("prepare the upload to '{}'", shown(repo_));
  for (std::size_t begin = 0; begin < files.size(); begin += kPerPreupload) {
    json listed = json::array();
    for (std::size_t i = begin; i < std::min(files.size(), begin + kPerPreupload); ++i) {
      listed.push_back(
          {{"path", files[i].path}, {"sample", base64(files[i].sample)}, {"size", files[i].size}});
    }
    Request asked =
        request("POST", fmt::format("{}/preupload/{}{}", api_path(repo_),
                                    encoded_revision(revision), open_pull ? "?create_pr=1" : ""));
    asked.headers = {{"Content-Type", "application/json"}};
    asked.body = json{{"files", listed}}.dump();
    const json answer = read_json(asked, doing);
    try {
      for (const json& file : answer.at("files")) {
        const std::string mode = file.at("uploadMode").get<std::string>();
        modes[file.at("path").get<std::string>()] = {mode == "lfs",
                                                     file.value("shouldIgnore", false)};
      }
    } catch (const json::exception& reason) {
      throw Error(ErrorKind::network, "cannot " + doing,
                  {"the Hub's answer is not understood", reason.what()});
    }
  }
  std::vector<UploadMode> result;
  for (const Candidate& file : files) {
    const auto mode = modes.find(file.path);
    if (mode == modes.end())
      throw Error(ErrorKind::network, "cannot " + doing,
                  {fmt::format("the Hub says nothing about '{}'", file.path)});
    result.push_back(mode->second);
    if (file.size == 0) result.back().lfs = false;  // the storage refuses empty objects
  }
  return result;
}

CommitAnswer HubApi::commit(const CommitRequest& wanted) {
  std::string lines = json{{"key", "header"},
                           {"value",
                            {{"summary", wanted.summary},
                             {"description", wanted.description},
                             {"parentCommit", wanted.parent}}}}
                          .dump() +
                      "\n";
  for (const CommitFile& file : wanted.files) {
    const json line = file.lfs ? json{{"key", "lfsFile"},
                                      {"value",
                                       {{"path", file.path},
                                        {"algo", "sha256"},
                                        {"oid", file.lfs->hex()},
                                        {"size", file.size}}}}
                               : json{{"key", "file"},
                                      {"value",
                                       {{"path", file.path},
                                        {"encoding", "base64"},
                                        {"content", base64(file.content)}}}};
    lines += line.dump() + "\n";
  }
  for (const std::string& path : wanted.deleted)
    lines += json{{"key", "deletedFile"}, {"value", {{"path", path}}}}.dump() + "\n";
  Request asked = request(
      "POST", fmt::format("{}/commit/{}{}", api_path(repo_), encoded_revision(wanted.revision),
                          wanted.open_pull ? "?create_pr=1" : ""));
  asked.headers = {{"Content-Type", "application/x-ndjson"}};
  asked.body = std::move(lines);
  asked.once = true;  // a second one could be a second commit: the caller looks first
  CommitAnswer answer;
  answer.response = http_.send(asked);
  const Response& response = answer.response;
  const json body = json::parse(response.body, nullptr, false);
  if (response.ok() && body.is_object() && body.contains("commitOid") &&
      body["commitOid"].is_string()) {
    answer.result = CommitAnswer::Result::made;
    answer.commit = body["commitOid"].get<std::string>();
    if (body.contains("pullRequestUrl") && body["pullRequestUrl"].is_string())
      answer.pull_url = body["pullRequestUrl"].get<std::string>();
  } else if (response.status == 412 && response.failure == Failure::none) {
    answer.result = CommitAnswer::Result::head_moved;
  } else if (response.status == 400 &&
             server_message(response).find("LFS pointer") != std::string::npos) {
    answer.result = CommitAnswer::Result::objects_gone;
  } else if (!response.ok() && !is_transient(response)) {
    throw hub_error(fmt::format("commit to '{}'", shown(repo_)), asked, response);
  }
  return answer;
}

std::vector<HubApi::Pull> HubApi::open_pulls() {
  const json answer =
      read_json(request("GET", api_path(repo_) + "/discussions?p=0&type=pull_request&status=open"),
                fmt::format("list the pull requests of '{}'", shown(repo_)));
  std::vector<Pull> pulls;
  if (!answer.is_object()) return pulls;
  for (const json& each : answer.value("discussions", json::array())) {
    if (!each.is_object() || !each.value("isPullRequest", false)) continue;
    const int number = each.value("num", 0);
    pulls.push_back(
        {number, fmt::format("{}{}/discussions/{}", endpoint_, web_path(repo_), number)});
  }
  std::ranges::sort(pulls, std::ranges::greater{}, &Pull::number);
  return pulls;
}

}  // namespace sagebuild
