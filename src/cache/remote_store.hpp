#pragma once
// The remote cache: GET and PUT of /ac/KEY and /cas/SHA256. Reads are done by the caller's thread,
// one at a time, each with a bound on its time; writes by a thread of its own. When the server
// fails or is slow, it is given up for the rest of the run (circuit breaker): a build is never
// slower than without it by more than a few patient waits.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sagebuild/cache/cache.hpp"

namespace sagebuild {

class HttpClient;
struct Request;

class RemoteStore {
 public:
  struct Blob {
    ResultFile file;
    std::filesystem::path path;  // in the local store; gone by then: the upload is left out
  };

  explicit RemoteStore(RemoteCacheSettings settings);
  ~RemoteStore();  // drops what is not sent yet
  RemoteStore(const RemoteStore&) = delete;
  RemoteStore& operator=(const RemoteStore&) = delete;

  // The sealed text. Throws Interrupted.
  std::optional<std::string> entry(const Digest& key);
  // Downloads into `file`, at most the size that `blob` names; what came is for the caller to
  // check. Throws Interrupted.
  bool fetch(const ResultFile& blob, const std::filesystem::path& file);

  // Queues the blobs, then the entry, so that an entry never stands before its contents.
  void upload(const Digest& key, std::string wire_bytes, std::vector<Blob> blobs);
  // Waits until the queue is empty, at most settings.flush_limit; what is left is dropped.
  void finish();

  // What the user should know, each once.
  std::vector<std::string> take_complaints();

 private:
  struct Upload {
    Digest key;
    std::string bytes;
    std::vector<Blob> blobs;
  };
  struct Answer;
  class Breaker;

  Answer read(const Request& request, std::uint64_t size, bool is_entry);
  void send_uploads();
  void send(const Upload& upload, HttpClient& client);

  RemoteCacheSettings settings_;
  std::unique_ptr<Breaker> breaker_;
  std::mutex reading_;                              // one read at a time
  std::chrono::steady_clock::time_point deadline_;  // of the read that runs
  std::unique_ptr<HttpClient> reader_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Upload> queue_;
  bool sending_ = false;
  std::atomic<bool> stop_ = false;
  std::thread writer_;  // started by the first upload
};

}  // namespace sagebuild
