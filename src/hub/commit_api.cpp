// The calls around a commit: which files go to LFS, the commit itself, and pull requests.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>

#include "hub/shape.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/api.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr std::size_t kPerPreupload = 256;  // the official client's step
constexpr int kMostPages = 1000;            // of pull requests; the Hub has 10 on a page

std::string commit_lines(const CommitRequest& wanted) {
  const auto line = [](const char* key, json value) {
    return json_line({{"key", key}, {"value", std::move(value)}}) + "\n";
  };
  std::string lines = line("header", {{"summary", wanted.summary},
                                      {"description", wanted.description},
                                      {"parentCommit", wanted.parent}});
  for (const CommitFile& file : wanted.files) {
    if (file.lfs)
      lines += line(
          "lfsFile",
          {{"path", file.path}, {"algo", "sha256"}, {"oid", file.lfs->hex()}, {"size", file.size}});
    else
      lines += line(
          "file", {{"path", file.path}, {"encoding", "base64"}, {"content", base64(file.content)}});
  }
  for (const std::string& path : wanted.removed) lines += line("deletedFile", {{"path", path}});
  return lines;
}

// N of ".../discussions/N".
int pull_number(const Field& url) {
  const std::string text = url.address();
  const auto slash = text.rfind('/');
  const auto number = to_integer(std::string_view(text).substr(slash + 1));
  if (!text.substr(0, slash).ends_with("/discussions") || !number || *number < 1 ||
      *number > std::numeric_limits<int>::max())
    url.refuse("the address of a pull request");
  return static_cast<int>(*number);
}

HubApi::Pull read_pull(const Field& entry) {
  HubApi::Pull pull;
  pull.number = static_cast<int>(
      std::min<std::uint64_t>(entry.at("num").count(), std::numeric_limits<int>::max()));
  pull.title = entry.at("title").text();
  if (const auto description = entry.find("description")) pull.description = description->text();
  return pull;
}

}  // namespace

std::vector<UploadMode> HubApi::upload_modes(const std::string& revision,
                                             const std::vector<Candidate>& files, bool open_pull) {
  std::vector<UploadMode> result;
  const std::string doing = fmt::format("prepare the upload to '{}'", shown(repo_));
  for (std::size_t begin = 0; begin < files.size(); begin += kPerPreupload) {
    const std::span step(files.data() + begin, std::min(files.size() - begin, kPerPreupload));
    json listed = json::array();
    for (const Candidate& file : step)
      listed.push_back({{"path", file.path}, {"sample", base64(file.sample)}, {"size", file.size}});
    Request asked =
        request("POST", fmt::format("{}/preupload/{}{}", api_path(repo_),
                                    encoded_revision(revision), open_pull ? "?create_pr=1" : ""));
    asked.headers = {{"Content-Type", "application/json"}};
    asked.body = json_line({{"files", listed}});
    std::map<std::string, UploadMode> modes;
    const Response response = ask(asked, doing, [&](const Field& answer) {
      modes.clear();
      for (const Field& file : answer.at("files").list()) {
        const Field mode = file.at("uploadMode");
        if (mode.text() != "lfs" && mode.text() != "regular") mode.refuse("'lfs' or 'regular'");
        const auto oid = file.find("oid");
        modes[file.at("path").name()] = {mode.text() == "lfs", file.at("shouldIgnore").flag(),
                                         oid && !oid->text().empty()};
      }
      for (const Candidate& file : step) {
        if (!modes.contains(file.path))
          throw BadShape(fmt::format("the answer says nothing about '{}'", file.path));
      }
    });
    if (!response.ok()) throw hub_error(doing, asked, response);
    for (const Candidate& file : step) {
      result.push_back(modes[file.path]);
      if (file.size == 0) result.back().lfs = false;  // the storage refuses empty objects
    }
  }
  return result;
}

CommitAnswer HubApi::commit(const CommitRequest& wanted) {
  Request asked = request(
      "POST", fmt::format("{}/commit/{}{}", api_path(repo_), encoded_revision(wanted.revision),
                          wanted.open_pull ? "?create_pr=1" : ""));
  asked.headers = {{"Content-Type", "application/x-ndjson"}};
  asked.body = commit_lines(wanted);
  asked.once = true;        // a second one could be a second commit: the caller looks first
  asked.keep_query = true;  // without it, what should be a pull request goes to main
  CommitAnswer answer;
  answer.response = http_.send(asked);
  const Response& response = answer.response;
  if (response.ok()) {
    answer.fault = answer_fault(response, [&](const Field& body) {
      answer.commit = body.at("commitOid").git_id();
      if (const auto success = body.find("success"); success && !success->flag())
        success->refuse("true");
      if (wanted.open_pull) answer.pull = pull_number(body.at("pullRequestUrl"));
    });
    if (answer.fault.empty()) answer.result = CommitAnswer::Result::made;
  } else if (response.status == 412 && response.failure == Failure::none) {
    answer.result = CommitAnswer::Result::head_moved;
  } else if (response.status == 400 &&
             server_message(response).find("LFS pointer") != std::string::npos) {
    answer.result = CommitAnswer::Result::objects_gone;
  } else if (!is_transient(response) && response.failure != Failure::oversized) {
    answer.result = CommitAnswer::Result::refused;
  }
  return answer;
}

std::vector<HubApi::Pull> HubApi::open_pulls() {
  const std::string doing = fmt::format("list the pull requests of '{}'", shown(repo_));
  std::vector<Pull> pulls;
  for (int page = 0; page < kMostPages; ++page) {
    const Request asked = request(
        "GET",
        fmt::format("{}/discussions?p={}&type=pull_request&status=open", api_path(repo_), page));
    std::vector<Pull> more;
    bool is_last = false;
    const Response response = ask(asked, doing, [&](const Field& answer) {
      more.clear();
      const std::vector<Field> listed = answer.at("discussions").list();
      for (const Field& each : listed) {
        const bool is_open =
            each.at("status").name() == "open" || each.at("status").name() == "draft";
        if (each.at("isPullRequest").flag() && is_open) more.push_back(read_pull(each));
      }
      is_last = listed.empty() ||
                answer.at("start").count() + listed.size() >= answer.at("count").count();
    });
    if (!response.ok()) throw hub_error(doing, asked, response);
    pulls.insert(pulls.end(), more.begin(), more.end());
    if (is_last) break;
  }
  return pulls;
}

std::optional<std::string> HubApi::description_of(const Pull& pull) {
  if (pull.description) return pull.description;
  const std::string doing =
      fmt::format("read the pull request {} of '{}'", pull.number, shown(repo_));
  const Request asked =
      request("GET", fmt::format("{}/discussions/{}", api_path(repo_), pull.number));
  std::optional<std::string> text;
  const Response response = ask(asked, doing, [&](const Field& answer) {
    text.reset();
    for (const Field& event : answer.at("events").list()) {
      if (event.at("type").name() != "comment" || text) continue;
      text = event.at("data").at("latest").at("raw").text();
    }
  });
  if (response.status == 404) return std::nullopt;
  if (!response.ok()) throw hub_error(doing, asked, response);
  return text;
}

std::string HubApi::pull_url(int number) const {
  return fmt::format("{}{}/discussions/{}", endpoint_, web_path(repo_), number);
}

}  // namespace sagebuild
