#pragma once
// The Hub's HTTP calls, one function each, with typed answers. What the Hub refuses becomes an
// Error that says which call, the Hub's own words, the request id and what to do; what the caller
// must decide (a moved head, a lost answer) is a value. Protocol:
// https://huggingface.co/docs/hub/api, and the official client huggingface_hub where that is
// silent.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/hub/repo.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {

// A file as the repository has it.
struct RemoteFile {
  std::uint64_t size = 0;
  std::string blob;           // git's id of the content, or of the LFS pointer
  std::optional<Digest> lfs;  // SHA-256, for LFS files
};
using RemoteTree = std::map<std::string, RemoteFile>;

// A file as the commit will have it. LFS content is at the Hub already; other content travels
// inside the commit.
struct CommitFile {
  std::string path;
  std::uint64_t size = 0;
  std::optional<Digest> lfs;
  std::string content;
};

struct CommitRequest {
  std::string revision;
  std::string parent;  // the head that the commit is meant for: the Hub refuses any other
  std::string summary;
  std::string description;
  bool open_pull = false;
  std::vector<CommitFile> files;
  std::vector<std::string> deleted;  // paths
};

struct CommitAnswer {
  enum class Result {
    made,
    head_moved,    // 412: somebody else was faster
    objects_gone,  // LFS content is not there (any more): send it again
    unclear,       // no usable answer: it may or may not have happened
  };
  Result result = Result::unclear;
  std::string commit;
  std::string pull_url;
  Response response;  // for `unclear`: why
};

struct UploadMode {
  bool lfs = false;
  bool ignored = false;  // the repository's .gitignore drops it
};

// What the batch call says to do with one object.
struct ObjectUpload {
  bool present = false;     // nothing to send
  std::string href;         // single: PUT here; multipart: completion
  std::uint64_t chunk = 0;  // 0: single
  std::vector<std::string> parts;
  Headers headers;     // for the PUTs
  std::string verify;  // may be empty
};

struct ObjectId {
  Digest sha256;
  std::uint64_t size = 0;
};

class HubApi {
 public:
  // The references outlive the object.
  HubApi(HttpClient& http, std::string endpoint, const HubToken& token, RepoId repo);

  const RepoId& repo() const { return repo_; }
  const std::string& endpoint() const { return endpoint_; }
  HttpClient& http() { return http_; }
  // After a rename the Hub redirects from the old name; from then on the new one is used.
  void use_name(const std::string& name) { repo_.name = name; }

  // False if there is no such repository. Throws if the token may not write; whoami explains why.
  bool may_write();
  // Existing is fine. `sdk` is for a Space alone: "static", "gradio", "docker", "streamlit".
  void create(bool is_private, const std::string& sdk = "static");
  void create_branch(const std::string& branch);  // from main; existing is fine

  // The commit at the head, or nothing if there is no such revision. Learns the repository's
  // present name, and whether it is private.
  std::optional<std::string> head(const std::string& revision);
  bool is_private() const { return is_private_; }
  RemoteTree tree(const std::string& commit);
  // A small file. Its content is checked against `expected`, whatever host it came from.
  std::string download(const std::string& commit, const std::string& path,
                       const RemoteFile& expected);

  // When each of these files was last changed, "2026-11-29T10:00:00.000Z", as far as the Hub says.
  std::map<std::string, std::string> dates(const std::string& commit,
                                           const std::vector<std::string>& paths);

  struct Candidate {
    std::string path;
    std::string sample;  // the first 512 bytes
    std::uint64_t size = 0;
  };
  std::vector<UploadMode> upload_modes(const std::string& revision,
                                       const std::vector<Candidate>& files, bool open_pull);
  std::vector<ObjectUpload> batch(const std::vector<ObjectId>& objects,
                                  const std::string& revision);
  // Nothing if all is well; else the answer that says what is wrong with the object.
  std::optional<Response> complete(const ObjectUpload& upload, const ObjectId& object,
                                   const std::vector<std::string>& etags);
  std::optional<Response> verify(const ObjectUpload& upload, const ObjectId& object);
  CommitAnswer commit(const CommitRequest& request);

  struct Pull {
    int number = 0;
    std::string url;
  };
  std::vector<Pull> open_pulls();  // newest first

 private:
  Request request(std::string method, std::string path) const;
  nlohmann::json read_json(const Request& request, std::string_view doing);
  [[noreturn]] void explain_refusal(const Request& request, const Response& response);

  HttpClient& http_;
  std::string endpoint_;
  const HubToken& token_;
  RepoId repo_;
  bool is_private_ = false;
};

// The Hub's or the storage's own words in an answer: JSON, XML or X-Error-Message; empty if there
// are none.
std::string server_message(const Response& response);
// The Error for an answer that ends the command. `doing` is "commit to 'user/wheels'".
Error hub_error(std::string_view doing, const Request& request, const Response& response);
Error no_repository(const RepoId& repo);

}  // namespace sagebuild
