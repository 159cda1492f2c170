#include "sagebuild/hub/repo.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kLongestName = 96;
constexpr const char* kHub = "https://huggingface.co";

std::string plural(const RepoId& repo) { return repo.kind + "s"; }

// Rules of the official client.
std::string_view name_fault(std::string_view part) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (part.empty()) return "a part is empty";
  if (part.find_first_not_of(kAllowed) != std::string_view::npos)
    return "only letters, digits, '.', '_' and '-' may be used";
  if (part.find("--") != std::string_view::npos || part.find("..") != std::string_view::npos)
    return "'--' and '..' are not allowed";
  if (part.ends_with(".git")) return "it may not end in '.git'";
  if (part.front() == '-' || part.front() == '.' || part.back() == '-' || part.back() == '.') {
    return "it may not begin or end with '-' or '.'";
  }
  return {};
}

// Rules of git-check-ref-format.
std::string_view branch_fault(std::string_view name) {
  constexpr std::string_view kForbidden = " ~^:?*[\\\x7f";
  const auto parts = split(name, "/");
  const auto is_odd = [](std::string_view part) {
    return part.starts_with('.') || part.ends_with(".lock");
  };
  if (name.empty()) return "it is empty";
  if (name.starts_with('/') || name.ends_with('/') || name.find("//") != std::string_view::npos)
    return "a part is empty";
  if (std::ranges::any_of(parts, is_odd)) return "a part begins with '.' or ends with '.lock'";
  if (name.starts_with('-') || name.ends_with('.')) return "it begins with '-' or ends with '.'";
  if (name.find("..") != std::string_view::npos || name.find("@{") != std::string_view::npos)
    return "it has '..' or '@{'";
  if (name == "@" || name == "HEAD") return "the word is git's own";
  const bool control =
      std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (control || name.find_first_of(kForbidden) != std::string_view::npos || first_bad_utf8(name))
    return "it has a character that no ref may have";
  return {};
}

bool is_loopback(const std::string& origin) {
  return origin.starts_with("http://127.") || origin.starts_with("http://localhost:") ||
         origin.starts_with("http://[::1]:");
}

}  // namespace

RepoId parse_repo_id(std::string_view text) {
  RepoId repo;
  std::string_view name = text;
  if (take_prefix(name, "datasets/"))
    repo.kind = "dataset";
  else if (take_prefix(name, "spaces/"))
    repo.kind = "space";
  const auto slash = name.find('/');
  std::string_view fault = "it has no '/'";
  if (slash != std::string_view::npos) {
    fault = name_fault(name.substr(0, slash));
    if (fault.empty()) fault = name_fault(name.substr(slash + 1));
    if (fault.empty() && name.size() > kLongestName) fault = "it is longer than 96 characters";
  }
  if (!fault.empty()) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a repository name", text),
                {std::string(fault)},
                "write OWNER/NAME, for example wongfei2009/sageattention-compiled");
  }
  repo.name = name;
  return repo;
}

std::string shown(const RepoId& repo) {
  return repo.kind == "model" ? repo.name : plural(repo) + "/" + repo.name;
}
std::string api_path(const RepoId& repo) {
  return fmt::format("/api/{}/{}", plural(repo), repo.name);
}
std::string web_path(const RepoId& repo) { return "/" + shown(repo); }

std::string encoded_path(std::string_view path) { return percent_encoded(path, "/"); }
std::string encoded_revision(std::string_view revision) { return percent_encoded(revision); }

std::string resolve_url(const std::string& endpoint, const RepoId& repo, std::string_view revision,
                        std::string_view path) {
  return fmt::format("{}{}/resolve/{}/{}", endpoint, web_path(repo), encoded_revision(revision),
                     encoded_path(path));
}

void require_repo_path(std::string_view path) {
  const auto parts = split(path, "/");
  const bool bad_part = std::ranges::any_of(parts, [](std::string_view part) {
    return part == "." || part == ".." || part == ".git" || part == ".cache" ||
           trimmed(part).empty();
  });
  const bool control = std::ranges::any_of(
      path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (parts.empty() || bad_part || control || first_bad_utf8(path) || path.front() == '/' ||
      path.back() == '/' || path.find("//") != std::string_view::npos) {
    throw Error(ErrorKind::usage, fmt::format("'{}' cannot be a path in a repository", path), {},
                "use relative names that are not blank, without '.', '..', '.git' or '.cache'");
  }
}

void require_branch_name(std::string_view name) {
  const auto refuse = [&](std::string cause, std::string hint) {
    throw Error(ErrorKind::usage, fmt::format("'{}' cannot be the name of a branch", name),
                {std::move(cause)}, std::move(hint));
  };
  if (name.starts_with("refs/pr/"))
    refuse("it is a pull request", "--pr opens one, and finds its own again");
  if (name == "refs" || name.starts_with("refs/")) {
    const bool is_branch = name.starts_with("refs/heads/");
    refuse("it is the whole name of a ref",
           is_branch ? fmt::format("write '{}'", name.substr(11)) : "name a branch");
  }
  constexpr std::size_t kCommitId = 40;
  if (name.size() == kCommitId &&
      name.find_first_not_of("0123456789abcdef") == std::string_view::npos)
    refuse("it is the id of a commit", "nothing can be added to a commit: name a branch");
  if (const std::string_view fault = branch_fault(name); !fault.empty())
    refuse(std::string(fault), "git refuses such names; use letters, digits, '-', '.' and '/'");
}

std::string hub_endpoint() {
  const auto given = environment_value("HF_ENDPOINT");
  if (!given) return kHub;
  const auto url = parse_url(*given);
  const auto origin = origin_of(*given);
  if (!url || !origin)
    throw Error(ErrorKind::usage,
                fmt::format("HF_ENDPOINT '{}' is not an http or https URL", shown_url(*given)));
  if (url->plain.find_first_of("?#") != std::string::npos)
    throw Error(ErrorKind::usage,
                fmt::format("HF_ENDPOINT '{}' has a query or a fragment", shown_url(*given)));
  if (origin->starts_with("http:") && !is_loopback(*origin)) {
    throw Error(ErrorKind::usage, fmt::format("HF_ENDPOINT '{}' is plain http", shown_url(*given)),
                {"the token would be readable on the way"}, "use https");
  }
  std::string endpoint = url->plain;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

std::string canonical_endpoint() { return kHub; }

}  // namespace sagebuild
