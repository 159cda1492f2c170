#include "hub/commit_faults.hpp"

#include <fmt/format.h>

namespace sagebuild {

std::string said(const CommitAnswer& answer) {
  const Response& response = answer.response;
  if (!answer.fault.empty()) return answer.fault;
  const std::string words = server_message(response);
  return response.failure != Failure::none ? response.reason
         : words.empty()                   ? fmt::format("status {}", response.status)
                                           : fmt::format("status {}, {}", response.status, words);
}

void make_unknown(Error& error, const std::string& repo, const CommitAnswer& last) {
  error.causes.insert(error.causes.begin(),
                      {fmt::format("the answer to the commit was: {}", said(last)),
                       "and a look at the repository does not tell: " + error.message});
  error.kind = ErrorKind::network;
  error.message = fmt::format("it is not known whether the commit to '{}' was made", repo);
  error.hint = "run the same command again: it looks first, and makes no second commit";
}

Error not_made(const std::string& repo, const std::string& revision, const std::string& head,
               const CommitAnswer& last) {
  Request shown_request;
  shown_request.method = "POST";
  shown_request.url = last.response.url;
  Error error =
      hub_error(fmt::format("commit to '{}'", repo), shown_request, last.response, last.fault);
  if (last.response.url.empty()) error.causes = {last.fault};
  if (last.result != CommitAnswer::Result::refused) error.kind = ErrorKind::network;
  error.causes.push_back(
      fmt::format("it is not in '{}' of '{}', whose head is {}", revision, repo, head));
  if (!last.commit.empty()) {
    error.message = fmt::format("it is not known whether the commit to '{}' was made", repo);
    error.causes.back() =
        fmt::format("the Hub names it, and at the head {} lists other files", head);
    error.hint = "look at the repository on the Hub before you run the same command again";
  }
  if (last.result == CommitAnswer::Result::head_moved && last.fault.empty())
    error.hint = "others commit to it all the time; run the same command again later";
  return error;
}

}  // namespace sagebuild
