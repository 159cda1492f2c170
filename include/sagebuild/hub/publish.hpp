#pragma once
// Files become one commit, or nothing happens. A second run sees what is there and sends the rest;
// beside the Hub only the addresses of a large file's parts are remembered (kept_uploads).

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sagebuild/hub/api.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/hub/objects.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct PublishFile {
  std::filesystem::path path;
  std::string repo_path;
  nlohmann::json facts;              // a wheel's row for wheels.json; null: what its name says
  std::optional<FileStamp> checked;  // before the file was checked: it must be the same still
};

struct MovedFile {
  std::string from, to;  // paths in the repository
  RemoteFile file;       // as the repository has it
};

struct PublishRequest {
  std::vector<PublishFile> files;
  RemoteTree removed;  // as they were chosen; content that came later is not removed
  std::vector<MovedFile> moved;
  bool reindex = false;  // make the index files again, although no wheel changes
  IndexOptions index;
  std::string branch = "main";  // made from main if it is missing
  bool open_pull = false;       // a pull request against main instead of a commit
  bool create = false;          // make the repository if it is missing
  bool is_private = false;
  bool public_ok = false;              // with is_private: a public repository will do
  std::string sdk = "static";          // of a Space that is made
  bool force = false;                  // replace a file that has other content
  bool dry_run = false;                // read, compare, and stop
  std::filesystem::path kept_uploads;  // see send_objects
  std::string summary;
  std::string description;
};

struct PublishedFile {
  std::string repo_path;
  Digest sha256;
  std::uint64_t size = 0;
  bool was_present = false;  // with the same content, before this run
};

struct PublishOutcome {
  enum class Result { committed, pull_request, unchanged, dry_run };
  Result result = Result::unchanged;
  std::string commit;    // that holds all files; empty after a dry run
  std::string pull_url;  // of a pull request
  std::string repo;      // its name now: it may have been renamed
  std::vector<PublishedFile> files;
  std::vector<std::string> removed;      // paths that the commit removes
  std::vector<std::string> index_files;  // wheels.json and its kin, where the commit changes them
  std::uint64_t bytes_sent = 0;          // to the storage
  bool is_private = false;               // its files need a token
};

// Throws what publish would throw for want of a token, of rights, of the repository, of its
// privacy, or for the name of the branch. False if the repository is still to be made.
bool require_access(HubApi& api, const PublishRequest& request);

// Checks access, hashes, compares with the head, sends what is missing, commits with the head as
// the parent, and reads the commit back. If the head moved meanwhile, or the answer got lost, it
// looks at the new head and goes on from there: no commit is made twice, and content that somebody
// else put there meanwhile is neither removed nor, without `force`, replaced; a move never
// replaces a file. Where a wheel is added, removed or
// moved, the index files (hub/index.hpp) are part of the commit. A pull request of this program for
// the same change is found by a mark in its description and gone on with, never doubled. Throws
// Error and leaves the repository as it was; where that cannot be found out, the Error says that it
// is not known whether the commit was made.
PublishOutcome publish(HubApi& api, const PublishRequest& request, Reporter& report);

}  // namespace sagebuild
