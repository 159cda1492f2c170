#pragma once
// The Hub's HTTP calls, one function each, with typed answers. What the Hub refuses becomes an
// Error that says which call, the Hub's own words, the request id and what to do; what the caller
// must decide (a moved head, a lost answer) is a value. An answer is believed only if its whole
// shape is that of the protocol; another one counts as the network's fault (Error{network}), since
// the Hub gives none. Protocol: https://huggingface.co/docs/hub/api, and the official client
// huggingface_hub where that is silent.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/hub/repo.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {

class Field;

// A file as the repository has it.
struct RemoteFile {
  std::uint64_t size = 0;
  std::string blob;           // git's id of the content, or of the LFS pointer
  std::optional<Digest> lfs;  // SHA-256, for LFS files

  bool operator==(const RemoteFile&) const = default;
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
  std::vector<std::string> removed;  // paths
};

struct CommitAnswer {
  enum class Result {
    made,
    head_moved,    // 412: somebody else was faster
    objects_gone,  // LFS content is not there (any more): send it again
    refused,       // says the answer; something on the way may have said it in the Hub's place
    unclear,       // no usable answer: it may or may not have happened
  };
  Result result = Result::unclear;
  std::string commit;  // as an answer of success names it, also one that is not believed
  int pull = 0;        // number of the pull request that was opened
  Response response;
  std::string fault;  // why an answer of success is not believed
};

struct UploadMode {
  bool lfs = false;
  bool ignored = false;  // the repository's .gitignore drops it
  bool present = false;  // the branch has a file of this name
};

// What the batch call says to do with one object.
struct ObjectUpload {
  bool present = false;     // nothing to send
  std::string refused;      // the Hub does not want it: why
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
  // The same for who only proposes: seeing it is enough.
  bool may_propose();
  // There is none of this name. Says so if one of another kind has it.
  Error missing_repository();
  // Existing is fine. `sdk` is for a Space alone: "static", "gradio", "docker", "streamlit".
  void create(bool is_private, const std::string& sdk);
  void create_branch(const std::string& branch);  // from main; existing is fine

  // The commit at the head, or nothing if there is no such revision. Learns the repository's
  // present name, whether it is private, and which files the commit has.
  std::optional<std::string> head(const std::string& revision);
  bool is_private() const { return is_private_; }  // at the last head()
  // Of a commit that head() gave, it must have the files that head() learned: a short or empty list
  // would have them replaced. Throws Error{network} otherwise.
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
    std::string title;
    std::optional<std::string> description;  // where the list has it
  };
  std::vector<Pull> open_pulls();  // all of them
  // Its first comment; nothing if the Hub does not tell.
  std::optional<std::string> description_of(const Pull& pull);
  std::string pull_url(int number) const;

 private:
  Request request(std::string method, std::string path) const;
  // Sends it; a web page in place of an answer is tried again, and then an Error.
  Response send(Request asked, std::string_view doing);
  // The same for an answer that must be read whole by `read`, which may be called several times.
  // What is no success is given back.
  Response ask(Request asked, std::string_view doing,
               const std::function<void(const Field&)>& read);
  [[noreturn]] void explain_refusal(const Request& request, const Response& response);
  void require_same_files(const std::string& commit, const RemoteTree& tree) const;

  HttpClient& http_;
  std::string endpoint_;
  const HubToken& token_;
  RepoId repo_;
  bool is_private_ = false;
  std::map<std::string, std::set<std::string>> files_of_;  // by commit, as head() learned them
};

// The Hub's or the storage's own words in an answer: JSON, XML or X-Error-Message; empty if there
// are none.
std::string server_message(const Response& response);
// A refusal that no other token changes: the repository is gated or disabled.
bool is_about_repository(const Response& response);
// The Error for an answer that ends the command. `doing` is "commit to 'user/wheels'"; `fault` says
// why a success is not believed.
Error hub_error(std::string_view doing, const Request& request, const Response& response,
                const std::string& fault = {});
Error no_repository(const RepoId& repo);

}  // namespace sagebuild
