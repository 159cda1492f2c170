#include "cache/remote_store.hpp"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <utility>

#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/http.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace fs = std::filesystem;
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kMostFailures = 3;               // in a row: refusals, broken answers
constexpr int kSlowAnswers = 8;                // so many answers tell what is slow
constexpr int kSlowShare = 20;                 // their mean is above this part of the patience
constexpr std::uint64_t kSlowest = 1'000'000;  // bytes per second of a download
constexpr int kTooLarge = 413;
// No object or module is near it: what claims more is not fetched, for the size in an entry bounds
// the download.
constexpr std::uint64_t kLargestBlob = 8'000'000'000;

// Thrown by the client's tick, to end a transfer.
struct OutOfPatience {};
struct Stopped {};

HttpSettings bounded(const RemoteCacheSettings& settings) {
  HttpSettings http = http_settings_from_environment();
  http.connect_timeout = settings.patience;
  http.stall = settings.patience;
  http.retry.attempts = 1;
  return http;
}

Request request_for(const RemoteCacheSettings& settings, std::string method, std::string_view kind,
                    const Digest& digest) {
  Request request;
  request.method = std::move(method);
  request.url = fmt::format("{}{}{}/{}", settings.url, settings.url.ends_with('/') ? "" : "/", kind,
                            digest.hex());
  request.redirects = Redirects::same_origin;
  if (!settings.secret.empty()) {
    const auto scheme =
        settings.user.empty() ? Credentials::Scheme::bearer : Credentials::Scheme::basic;
    request.credentials = {scheme, settings.user, &settings.secret};
  }
  return request;
}

}  // namespace

// What became of one request. `status` 0: no answer, `reason` says why.
struct RemoteStore::Answer {
  int status = 0;
  std::string reason;
  std::string body;
  bool too_slow = false;

  bool ok() const { return status >= 200 && status < 300; }
  static Answer of(Response response) {
    if (response.failure != Failure::none) {
      return {0, std::move(response.reason), {}, response.failure == Failure::stalled};
    }
    return {response.status, fmt::format("status {}", response.status), std::move(response.body),
            false};
  }
};

// Decides when the server is given up, for reading and for writing. Shared by both threads.
class RemoteStore::Breaker {
 public:
  explicit Breaker(const RemoteCacheSettings& settings)
      : settings_(settings), writes_(!settings.read_only) {}

  bool reads() const { return reads_; }
  bool writes() const { return writes_; }

  void read_ended(const Answer& answer, SteadyClock::duration waited, bool is_entry) {
    const std::lock_guard lock(mutex_);
    if (answer.ok() || answer.status == 404) {
      failures_ = 0;
      if (is_entry) note_wait(waited);
    } else if (answer.too_slow) {
      give_up("is too slow", answer.reason);
    } else if (answer.status == 401 || answer.status == 403) {
      give_up("refuses to be read", answer.reason);
    } else if (++failures_ >= kMostFailures) {
      give_up("does not work", answer.reason);
    }
  }

  void too_large(const ResultFile& blob) {
    const std::lock_guard lock(mutex_);
    complain(fmt::format("names a result of {}, which is not fetched", human_size(blob.size)));
  }

  // False: nothing more of this upload.
  bool write_ended(const Answer& answer) {
    const std::lock_guard lock(mutex_);
    if (answer.ok()) return true;
    if (answer.status == kTooLarge) {
      complain("takes no large files, so their results are not uploaded (status 413)");
    } else {
      writes_ = false;
      complain(fmt::format("takes no results, so nothing more is uploaded in this run: {}",
                           answer.reason));
    }
    return false;
  }

  void left_out(std::size_t count) {
    const std::lock_guard lock(mutex_);
    complain(fmt::format("was too slow for {} result{}, which are not uploaded", count,
                         count == 1 ? "" : "s"));
  }

  std::vector<std::string> take_complaints() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
  }

 private:
  void note_wait(SteadyClock::duration waited) {
    waited_ += waited;
    if (++answers_ < kSlowAnswers) return;
    const auto mean = waited_ / answers_;
    if (mean > settings_.patience / kSlowShare) {
      give_up("is too slow", fmt::format("{} per answer",
                                         human_time(std::chrono::duration<double>(mean).count())));
    }
    answers_ = 0;
    waited_ = {};
  }

  void give_up(std::string_view what, std::string_view reason) {
    reads_ = false;
    writes_ = false;
    complain(fmt::format("{}, so this run goes on without it: {}", what, reason));
  }

  void complain(std::string_view text) {
    if (!said_.emplace(text).second) return;
    pending_.push_back(fmt::format("the remote cache at '{}' {}", shown_url(settings_.url), text));
  }

  const RemoteCacheSettings& settings_;
  std::atomic<bool> reads_ = true;
  std::atomic<bool> writes_;
  std::mutex mutex_;
  int failures_ = 0;
  int answers_ = 0;
  SteadyClock::duration waited_{};
  std::set<std::string> said_;
  std::vector<std::string> pending_;
};

RemoteStore::RemoteStore(RemoteCacheSettings settings)
    : settings_(std::move(settings)), breaker_(std::make_unique<Breaker>(settings_)) {
  HttpSettings http = bounded(settings_);
  http.tick = [this] {
    throw_if_interrupted();
    if (SteadyClock::now() > deadline_) throw OutOfPatience{};
  };
  reader_ = std::make_unique<HttpClient>(std::move(http));
}

RemoteStore::~RemoteStore() {
  stop_ = true;
  changed_.notify_all();
  if (writer_.joinable()) writer_.join();
}

RemoteStore::Answer RemoteStore::read(const Request& request, std::uint64_t size, bool is_entry) {
  const std::lock_guard one_at_a_time(reading_);
  const auto started = SteadyClock::now();
  deadline_ = started + settings_.patience + std::chrono::seconds(size / kSlowest);
  Answer answer;
  try {
    answer = Answer::of(reader_->send(request));
  } catch (const OutOfPatience&) {
    answer = {0,
              fmt::format(
                  "no whole answer after {}",
                  human_time(std::chrono::duration<double>(SteadyClock::now() - started).count())),
              {},
              true};
  }
  breaker_->read_ended(answer, SteadyClock::now() - started, is_entry);
  return answer;
}

std::optional<std::string> RemoteStore::entry(const Digest& key) {
  if (!breaker_->reads()) return std::nullopt;
  const Answer answer = read(request_for(settings_, "GET", "ac", key), 0, true);
  return answer.ok() ? from_wire(answer.body) : std::nullopt;
}

bool RemoteStore::fetch(const ResultFile& blob, const fs::path& file) {
  if (!breaker_->reads()) return false;
  if (blob.size > kLargestBlob) {
    breaker_->too_large(blob);
    return false;
  }
  Request request = request_for(settings_, "GET", "cas", blob.digest);
  request.to_file = file;
  request.body_limit = blob.size;
  return read(request, blob.size, false).ok();
}

void RemoteStore::upload(const Digest& key, std::string wire_bytes, std::vector<Blob> blobs) {
  if (!breaker_->writes()) return;
  const std::lock_guard lock(mutex_);
  queue_.push_back({key, std::move(wire_bytes), std::move(blobs)});
  if (!writer_.joinable()) writer_ = std::thread([this] { send_uploads(); });
  changed_.notify_all();
}

void RemoteStore::send_uploads() {
  leave_signals_to_main();
  HttpSettings http = bounded(settings_);
  http.tick = [this] {
    if (stop_) throw Stopped{};
  };
  HttpClient client(std::move(http));
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    const Upload upload = std::move(queue_.front());
    queue_.pop_front();
    sending_ = true;
    lock.unlock();
    try {
      send(upload, client);
    } catch (const Stopped&) {  // the loop ends
    } catch (const Error&) {    // evicted meanwhile: there is nothing to send
    }
    lock.lock();
    sending_ = false;
    if (!breaker_->writes()) queue_.clear();
    changed_.notify_all();
  }
}

void RemoteStore::send(const Upload& upload, HttpClient& client) {
  for (const Blob& blob : upload.blobs) {
    Request request = request_for(settings_, "PUT", "cas", blob.file.digest);
    request.body = FileRange{blob.path, 0, blob.file.size};
    if (!breaker_->write_ended(Answer::of(client.send(request)))) return;
  }
  Request request = request_for(settings_, "PUT", "ac", upload.key);
  request.headers.add("Content-Type", "application/octet-stream");
  request.body = upload.bytes;
  breaker_->write_ended(Answer::of(client.send(request)));
}

void RemoteStore::finish() {
  const auto deadline = SteadyClock::now() + settings_.flush_limit;
  std::unique_lock lock(mutex_);
  const auto is_done = [&] { return queue_.empty() && !sending_; };
  while (!is_done() && SteadyClock::now() < deadline) {
    throw_if_interrupted();
    changed_.wait_for(lock, 100ms, is_done);
  }
  if (is_done()) return;
  breaker_->left_out(queue_.size() + (sending_ ? 1 : 0));
  queue_.clear();
}

std::vector<std::string> RemoteStore::take_complaints() { return breaker_->take_complaints(); }

}  // namespace sagebuild
