#include "sagebuild/hub/api.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hub/shape.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// Beyond this no honest repository goes (the Hub advises under 100 000 files, 1000 a page); a
// server whose pages go in a circle must end.
constexpr int kMostPages = 1000;
// The Hub lists no more beside a revision, as the official client knows (VERY_LARGE_REPO_THRESHOLD
// in its _snapshot_download.py).
constexpr std::size_t kPerPathsInfo = 100;
constexpr std::size_t kMostSiblings = 50'000;
constexpr const char* kPageFault = "it answered with a web page";

bool is_missing_repo(const Response& response) {
  const auto code = response.headers.find("X-Error-Code");
  return (response.status == 404 || response.status == 401) && code == "RepoNotFound";
}

bool is_missing_revision(const Response& response) {
  return response.status == 404 && response.headers.find("X-Error-Code") == "RevisionNotFound";
}

std::optional<std::string> next_page(const Response& response) {
  const auto link = response.headers.find("Link");
  if (!link || link->find("rel=\"next\"") == std::string::npos) return std::nullopt;
  const auto begin = link->find('<');
  const auto end = link->find('>');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return std::nullopt;
  return link->substr(begin + 1, end - begin - 1);
}

void add_entry(RemoteTree& tree, const Field& entry) {
  const std::string type = entry.at("type").name(), path = entry.at("path").name();
  if (type == "directory") return;
  RemoteFile file;
  file.size = entry.at("size").count();
  file.blob = entry.at("oid").git_id();
  if (const auto lfs = entry.find("lfs")) {
    file.lfs = lfs->at("oid").sha256();
    if (lfs->at("size").count() != file.size) lfs->at("size").refuse("the size of the file");
  }
  if (type == "file" && !tree.emplace(path, std::move(file)).second)
    entry.at("path").refuse("another file in each entry");
}

// Of a redirected request, too.
bool is_same_repo(const RepoId& asked, const std::string& answered, const Response& response) {
  if (lower(answered) == lower(asked.name)) return true;
  return response.url.find(api_path({asked.kind, answered}) + "/revision/") != std::string::npos;
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
  return made;
}

Response HubApi::send(Request asked, std::string_view doing) {
  asked.also_transient = [](const Response& response) {
    return response.ok() && is_web_page(response);
  };
  Response response = http_.send(asked);
  if (asked.also_transient(response)) throw hub_error(doing, asked, response, kPageFault);
  return response;
}

Response HubApi::ask(Request asked, std::string_view doing, const ReadAnswer& read) {
  std::string fault;
  asked.also_transient = [&](const Response& response) {
    fault = response.ok() ? answer_fault(response, read) : "";
    return !fault.empty();
  };
  Response response = http_.send(asked);
  if (asked.also_transient(response)) throw hub_error(doing, asked, response, fault);
  return response;
}

bool HubApi::may_write() {
  const Request asked = request("GET", api_path(repo_) + "/auth-check/write");
  const std::string doing = fmt::format("reach '{}'", shown(repo_));
  const Response response = send(asked, doing);
  if (response.ok()) return true;
  // Without a token the Hub says 401 for a missing repository as well, and a token is needed either
  // way.
  if (is_missing_repo(response) && !token_.secret.empty()) return false;
  if (response.status == 401 || response.status == 403) explain_refusal(asked, response);
  throw hub_error(doing, asked, response);
}

bool HubApi::may_propose() {
  const Request asked = request("GET", api_path(repo_) + "/revision/main");
  const std::string doing = fmt::format("reach '{}'", shown(repo_));
  if (token_.secret.empty()) explain_refusal(asked, {});
  const Response response = send(asked, doing);
  if (response.ok() || is_missing_revision(response)) return true;
  if (is_missing_repo(response)) return false;
  if (response.status == 401) explain_refusal(asked, response);
  throw hub_error(doing, asked, response);
}

void HubApi::explain_refusal(const Request& asked, const Response& response) {
  if (token_.secret.empty()) {
    throw Error(ErrorKind::environment,
                fmt::format("cannot write to '{}' without a token", shown(repo_)), {},
                "log in with `hf auth login`, or set HF_TOKEN to a token with write access");
  }
  Error error = hub_error(fmt::format("write to '{}'", shown(repo_)), asked, response);
  std::string user, role;
  const auto read = [&](const Field& answer) {
    user = answer.at("name").name();
    role = "unknown";
    const auto auth = answer.find("auth");
    const auto token = auth ? auth->find("accessToken") : std::nullopt;
    if (const auto found = token ? token->find("role") : std::nullopt) role = found->name();
  };
  if (is_about_repository(response)) throw error;
  const Response who = http_.send(request("GET", "/api/whoami-v2"));
  if (who.status == 401) {
    error.causes.push_back(
        fmt::format("the token from {} is not valid, or it has expired", token_.origin));
    error.hint = "make a new token, or run `hf auth login` again";
  } else if (who.ok() && answer_fault(who, read).empty()) {
    error.causes.push_back(
        fmt::format("the token from {} is {}'s, with the role '{}'", token_.origin, user, role));
    if (role == "read") error.hint = "this token may only read: make one with write access";
    if (role == "fineGrained")
      error.hint = fmt::format("give the fine-grained token write access to '{}'", shown(repo_));
  }
  throw error;
}

Error HubApi::missing_repository() {
  Error error = no_repository(repo_);
  for (const char* kind : {"model", "dataset", "space"}) {
    if (repo_.kind == kind) continue;
    const RepoId other{kind, repo_.name};
    Request asked = request("GET", api_path(other) + "/revision/main");
    asked.once = true;  // it is only for the hint
    const auto read = [](const Field& answer) { answer.at("id").name(); };
    const Response response = http_.send(asked);
    if (!response.ok() || !answer_fault(response, read).empty()) continue;
    error.causes.push_back(fmt::format("there is a {} of this name", kind));
    error.hint = fmt::format("did you mean '{}'?", shown(other));
  }
  return error;
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
  asked.body = json_line(body);
  const std::string doing = fmt::format("create '{}'", shown(repo_));
  const Response response =
      ask(asked, doing, [](const Field& answer) { answer.at("url").address(); });
  if (!response.ok() && response.status != 409) throw hub_error(doing, asked, response);
}

void HubApi::create_branch(const std::string& branch) {
  Request asked = request("POST", api_path(repo_) + "/branch/" + encoded_revision(branch));
  asked.headers = {{"Content-Type", "application/json"}};
  asked.body = std::string("{}");
  const std::string doing = fmt::format("make the branch '{}'", branch);
  const Response response = send(asked, doing);
  if (!response.ok() && response.status != 409) throw hub_error(doing, asked, response);
}

std::optional<std::string> HubApi::head(const std::string& revision) {
  const Request asked = request("GET", api_path(repo_) + "/revision/" + encoded_revision(revision));
  const std::string doing = fmt::format("read '{}'", shown(repo_));
  std::string commit, name;
  std::set<std::string> files;
  const Response response = ask(asked, doing, [&](const Field& answer) {
    commit = answer.at("sha").git_id();
    name = answer.at("id").word();
    is_private_ = answer.at("private").flag();
    files.clear();
    for (const Field& file : answer.at("siblings").list())
      files.insert(file.at("rfilename").name());
  });
  if (is_missing_revision(response)) return std::nullopt;
  if (is_missing_repo(response)) throw missing_repository();
  if (!response.ok()) throw hub_error(doing, asked, response);
  if (!is_same_repo(repo_, name, response)) {
    throw hub_error(doing, asked, response,
                    fmt::format("the answer is about another repository, '{}'", name));
  }
  use_name(name);
  files_of_[commit] = std::move(files);
  return commit;
}

RemoteTree HubApi::tree(const std::string& commit) {
  RemoteTree tree;
  Request asked = request(
      "GET", fmt::format("{}/tree/{}?recursive=true&expand=false", api_path(repo_), commit));
  const std::string doing = fmt::format("list the files of '{}'", shown(repo_));
  for (int page = 0; page < kMostPages; ++page) {
    RemoteTree longer;
    const Response response = ask(asked, doing, [&](const Field& answer) {
      longer = tree;
      for (const Field& entry : answer.list()) add_entry(longer, entry);
    });
    if (!response.ok()) throw hub_error(doing, asked, response);
    tree = std::move(longer);
    const auto next = next_page(response);
    if (!next) {
      require_same_files(commit, tree);
      return tree;
    }
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

void HubApi::require_same_files(const std::string& commit, const RemoteTree& tree) const {
  const auto known = files_of_.find(commit);
  if (known == files_of_.end()) return;
  const std::set<std::string>& files = known->second;
  std::string odd;
  for (const std::string& path : files) {
    if (!tree.contains(path)) odd = path;
  }
  const bool is_whole = !files.empty() && files.size() <= kMostSiblings;
  for (const auto& [path, file] : tree) {
    if (is_whole && !files.contains(path)) odd = path;
  }
  if (odd.empty()) return;
  throw Error(ErrorKind::network, fmt::format("cannot list the files of '{}'", shown(repo_)),
              {fmt::format("the Hub contradicts itself about the commit {}: '{}' is in only one of "
                           "two lists of its files",
                           commit, odd)},
              "nothing was changed; run the same command again later");
}

std::map<std::string, std::string> HubApi::dates(const std::string& commit,
                                                 const std::vector<std::string>& paths) {
  std::map<std::string, std::string> dates;
  const std::string doing = fmt::format("read the dates of the files of '{}'", shown(repo_));
  for (std::size_t begin = 0; begin < paths.size(); begin += kPerPathsInfo) {
    const auto first = paths.begin() + static_cast<std::ptrdiff_t>(begin);
    const std::size_t count = std::min(kPerPathsInfo, paths.size() - begin);
    const std::vector<std::string> step(first, first + static_cast<std::ptrdiff_t>(count));
    Request asked = request("POST", fmt::format("{}/paths-info/{}", api_path(repo_), commit));
    asked.headers = {{"Content-Type", "application/json"}};
    asked.body = json_line({{"paths", step}, {"expand", true}});
    const Response response = ask(asked, doing, [&](const Field& answer) {
      for (const Field& entry : answer.list()) {
        const auto last = entry.find("lastCommit");
        const auto date = last ? last->find("date") : std::nullopt;
        if (date) dates[entry.at("path").name()] = date->text();
      }
    });
    if (!response.ok()) throw hub_error(doing, asked, response);
  }
  return dates;
}

std::string HubApi::download(const std::string& commit, const std::string& path,
                             const RemoteFile& expected) {
  Request asked =
      request("GET", fmt::format("{}/resolve/{}/{}", web_path(repo_), commit, encoded_path(path)));
  asked.redirects = Redirects::anywhere;  // to the storage, without the token
  const auto is_wrong = [&](const Response& response) {
    return response.ok() && (response.body.size() != expected.size ||
                             (expected.lfs ? sha256(response.body) != *expected.lfs
                                           : git_blob_id(response.body) != expected.blob));
  };
  asked.also_transient = is_wrong;
  Response response = http_.send(asked);
  const std::string doing = fmt::format("read '{}' of '{}'", path, shown(repo_));
  if (!response.ok()) throw hub_error(doing, asked, response);
  if (is_wrong(response)) {  // it would be written back as the user's own words
    throw hub_error(doing, asked, response,
                    is_web_page(response) ? kPageFault : "the content is not that of the commit");
  }
  return std::move(response.body);
}

}  // namespace sagebuild
