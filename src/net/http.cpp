#include "sagebuild/net/http.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <new>

#include "net/transfer.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kMostRedirects = 10;
constexpr std::chrono::milliseconds kTick{100};

std::string from_environment(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  return {};
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string_view query_of(std::string_view url) {
  url = url.substr(0, url.find('#'));
  return url.substr(std::min(url.find('?'), url.size()));
}

void refuse_redirect(Response& response, std::string reason) {
  response.failure = Failure::redirect;
  response.reason = std::move(reason);
}

}  // namespace

std::optional<std::string> Headers::find(std::string_view name) const {
  const std::string wanted = lower(name);
  for (const auto& [field, value] : fields_) {
    if (lower(field) == wanted) return value;
  }
  return std::nullopt;
}

HttpSettings http_settings_from_environment() {
  HttpSettings settings;
  settings.ca_file = from_environment({"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"});
  settings.ca_folder = from_environment({"SSL_CERT_DIR"});
  return settings;
}

std::string described(const Request& request, const Response& response) {
  const std::string what = fmt::format("{} {}", request.method, shown_url(request.url));
  if (response.failure != Failure::none) return fmt::format("{}: {}", what, response.reason);
  return fmt::format("{}: status {}", what, response.status);
}

struct HttpClient::Multi {
  CURLM* handle = nullptr;

  Multi() {
    static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
    handle = initialized == CURLE_OK ? curl_multi_init() : nullptr;
    if (handle == nullptr) throw Error(ErrorKind::environment, "libcurl cannot be initialized");
  }
  ~Multi() { curl_multi_cleanup(handle); }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;
};

// One call of send_all: which requests wait, which are on the wire, which are done.
class HttpClient::Loop {
 public:
  Loop(HttpClient& client, std::span<const Request> requests, unsigned parallel)
      : client_(client),
        settings_(client.settings_),
        parallel_(std::max(1U, parallel)),
        responses_(requests.size()) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (!origin_of(requests[i].url)) {
        throw Error(ErrorKind::failed,
                    fmt::format("'{}' is not an http or https URL", shown_url(requests[i].url)));
      }
      waiting_.push_back({&requests[i], i, requests[i].url});
    }
  }

  std::vector<Response> run() {
    CURLM* multi = client_.multi_->handle;
    while (!waiting_.empty() || !active_.empty()) {
      start_due();
      int running = 0;
      curl_multi_perform(multi, &running);
      collect_finished();
      collect_stalled();
      if (settings_.tick) settings_.tick();
      if (!active_.empty() || !waiting_.empty())
        curl_multi_poll(multi, nullptr, 0, poll_limit(), nullptr);
    }
    return std::move(responses_);
  }

 private:
  struct Job {
    const Request* request;
    std::size_t index;
    std::string url;
    bool with_credentials = true;
    int attempt = 1;
    int redirects = 0;
    std::chrono::seconds asked{0};  // waited because the server said so
    Clock::time_point due = {};
    Clock::time_point started = {};
    std::unique_ptr<Transfer> transfer = nullptr;
  };

  void start_due() {
    for (auto job = waiting_.begin(); job != waiting_.end() && active_.size() < parallel_;) {
      if (job->due > Clock::now()) {
        ++job;
        continue;
      }
      job->started = Clock::now();
      job->transfer = std::make_unique<Transfer>(client_.multi_->handle, settings_, *job->request,
                                                 job->url, job->with_credentials);
      active_.push_back(std::move(*job));
      job = waiting_.erase(job);
    }
  }

  void collect_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(client_.multi_->handle, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto job = std::ranges::find_if(active_, [&](const Job& each) {
        return each.transfer->handle() == message->easy_handle;
      });
      Job ended = std::move(*job);
      active_.erase(job);
      Response response = ended.transfer->finish(code);
      complete(std::move(ended), std::move(response));
    }
  }

  void collect_stalled() {
    for (std::size_t i = 0; i < active_.size();) {
      if (active_[i].transfer->idle() < settings_.stall) {
        ++i;
        continue;
      }
      Job ended = std::move(active_[i]);
      active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
      Response response = ended.transfer->stalled();
      complete(std::move(ended), std::move(response));
    }
  }

  int poll_limit() const {
    auto limit = kTick;
    for (const Job& job : waiting_) {
      if (active_.size() >= parallel_) break;
      limit = std::min(limit, std::chrono::ceil<std::chrono::milliseconds>(job.due - Clock::now()));
    }
    return static_cast<int>(std::max<long long>(0, limit.count()));
  }

  // A transfer has ended: it is redirected, tried again, or the answer.
  void complete(Job job, Response response) {
    const bool kept_pure = !job.transfer->gave_to_sink();
    job.transfer.reset();
    response.attempts = job.attempt;
    log(job, response);
    if (settings_.on_answer) settings_.on_answer(response);
    if (response.failure == Failure::none && is_redirect(response.status) &&
        job.request->redirects != Redirects::none && follow(job, response)) {
      waiting_.push_front(std::move(job));
      return;
    }
    if (kept_pure && !job.request->once) {
      if (const auto wait = wait_before_retry(job, response)) {
        if (settings_.on_retry) settings_.on_retry(*job.request, response, *wait);
        job.due = Clock::now() + *wait;
        job.asked += asked_wait(response).value_or(std::chrono::seconds(0));
        ++job.attempt;
        job.url = job.request->url;
        job.redirects = 0;
        job.with_credentials = true;
        waiting_.push_back(std::move(job));
        return;
      }
    }
    if (job.request->answered) job.request->answered(response);
    responses_[job.index] = std::move(response);
  }

  // Points the job at the redirect's target, or makes the response a failure.
  bool follow(Job& job, Response& response) const {
    const Request& request = *job.request;
    const auto location = response.headers.find("Location");
    const auto target = location ? resolved_url(job.url, *location) : std::nullopt;
    const auto target_origin = target ? origin_of(*target) : std::nullopt;
    if (!target_origin)
      return refuse_redirect(response, "redirect without a usable Location"), false;
    const std::string where = shown_url(*target);
    const bool has_body = !std::holds_alternative<std::monostate>(request.body);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool same = *target_origin == *origin_of(request.url);
    if (job.url.starts_with("https:") && !target->starts_with("https:")) {
      refuse_redirect(response, fmt::format("redirect from https to http ('{}') refused", where));
    } else if (!same && (request.redirects != Redirects::anywhere || !reads)) {
      refuse_redirect(response, fmt::format("redirect to another host ('{}') refused", where));
    } else if (has_body && response.status != 307 && response.status != 308) {
      refuse_redirect(response, fmt::format("redirect {} would drop the body of a {}",
                                            response.status, request.method));
    } else if (request.keep_query && query_of(*target) != query_of(job.url)) {
      refuse_redirect(response,
                      fmt::format("redirect to '{}' would change what is asked for", where));
    } else if (++job.redirects > kMostRedirects) {
      refuse_redirect(
          response, fmt::format("more than {} redirects, the last to '{}'", kMostRedirects, where));
    } else {
      job.url = *target;
      // Once gone, a detour does not bring them back
      job.with_credentials = job.with_credentials && same;
      return true;
    }
    return false;
  }

  std::optional<std::chrono::milliseconds> wait_before_retry(const Job& job,
                                                             const Response& response) {
    const bool transient = is_transient(response) ||
                           (job.request->also_transient && job.request->also_transient(response));
    if (!transient || job.attempt >= settings_.retry.attempts) return std::nullopt;
    const auto ours = backoff(settings_.retry, job.attempt, client_.random_);
    const auto asked = asked_wait(response);
    if (asked && *asked > settings_.retry.longest_asked - job.asked) return std::nullopt;
    return asked ? std::max<std::chrono::milliseconds>(*asked, ours) : ours;
  }

  void log(const Job& job, const Response& response) const {
    if (!settings_.log) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - job.started).count();
    const std::string result =
        response.failure == Failure::none ? fmt::format("{}", response.status) : response.reason;
    settings_.log(fmt::format("{} {} -> {} ({})", job.request->method, shown_url(job.url), result,
                              human_time(seconds)));
  }

  HttpClient& client_;
  const HttpSettings& settings_;
  std::size_t parallel_;
  std::deque<Job> waiting_;
  std::deque<Job> active_;
  std::vector<Response> responses_;
};

HttpClient::HttpClient(HttpSettings settings)
    : settings_(std::move(settings)),
      random_(std::random_device{}()),
      multi_(std::make_unique<Multi>()) {}
HttpClient::~HttpClient() = default;

Response HttpClient::send(const Request& request) {
  return std::move(send_all({&request, 1}, 1).front());
}

std::vector<Response> HttpClient::send_all(std::span<const Request> requests, unsigned parallel) {
  return Loop(*this, requests, parallel).run();
}

}  // namespace sagebuild
