#include "net/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

// Twice libcurl's own: as fast as `curl -T` on loopback (tests/hub/throughput.py), and larger ones
// gained nothing.
constexpr long kUploadBuffer = 128 * 1024;

[[noreturn]] void throw_file_error(const char* what, const std::filesystem::path& path) {
  throw Error(ErrorKind::failed, fmt::format("cannot {} '{}'", what, path.string()),
              {errno_text(errno)});
}

Failure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Failure::none;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_OPERATION_TIMEDOUT:  // only the connect timeout is set
      return Failure::connect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Failure::tls;
    default:
      return Failure::broken;
  }
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (curl_easy_setopt(easy, option, value) != CURLE_OK) {
    throw Error(ErrorKind::bug, fmt::format("libcurl refuses option {}", static_cast<int>(option)));
  }
}

std::string credentials_field(const Credentials& credentials) {
  if (credentials.scheme == Credentials::Scheme::bearer) {
    return "Authorization: Bearer " + credentials.secret->reveal();
  }
  return "Authorization: Basic " + base64(credentials.user + ":" + credentials.secret->reveal());
}

}  // namespace

Transfer::Transfer(CURLM* multi, const HttpSettings& settings, const Request& request,
                   const std::string& url, bool with_credentials)
    : multi_(multi),
      request_(request),
      body_limit_(settings.body_limit),
      easy_(curl_easy_init()),
      slowest_(settings.slowest) {
  if (!easy_) throw std::bad_alloc();
  response_.url = url;
  set_basics(settings, url);
  set_method_and_body();
  set_headers(with_credentials);
  if (curl_multi_add_handle(multi_, easy_.get()) != CURLM_OK) {
    curl_slist_free_all(headers_);
    throw Error(ErrorKind::bug, "libcurl refuses a transfer");
  }
}

Transfer::~Transfer() {
  curl_multi_remove_handle(multi_, easy_.get());
  curl_slist_free_all(headers_);
}

void Transfer::set_basics(const HttpSettings& settings, const std::string& url) {
  CURL* easy = easy_.get();
  set(easy, CURLOPT_URL, url.c_str());
  set(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
  set(easy, CURLOPT_ERRORBUFFER, static_cast<char*>(error_));
  set(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(easy, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  // Plain HTTP/1.1: storage speaks nothing else, and one slow HTTP/2 stream would hold up the
  // others on its connection.
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBuffer);
  if (!settings.ca_file.empty()) set(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.ca_folder.empty()) set(easy, CURLOPT_CAPATH, settings.ca_folder.c_str());
  if (request_.once) set(easy, CURLOPT_FRESH_CONNECT, 1L);
  set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(easy, CURLOPT_NOPROGRESS, 0L);
  set(easy, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  set(easy, CURLOPT_XFERINFODATA, static_cast<void*>(this));
}

void Transfer::set_method_and_body() {
  CURL* easy = easy_.get();
  if (std::holds_alternative<std::monostate>(request_.body)) {
    if (request_.method == "HEAD")
      set(easy, CURLOPT_NOBODY, 1L);
    else if (request_.method != "GET")
      set(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    return;
  }
  if (const auto* range = std::get_if<FileRange>(&request_.body)) {
    source_.reset(std::fopen(range->path.c_str(), "rbe"));
    if (!source_) throw_file_error("read", range->path);
    std::setvbuf(source_.get(), nullptr, _IONBF, 0);  // libcurl asks for large pieces
    seek(0);
  }
  // Upload mode serves every method with a body: it streams, and adds no Content-Type of its own.
  set(easy, CURLOPT_UPLOAD, 1L);
  set(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  // Also for an empty body: without a length libcurl sends chunks, which S3 refuses.
  set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body_size()));
  set(easy, CURLOPT_READFUNCTION, &Transfer::on_read);
  set(easy, CURLOPT_READDATA, static_cast<void*>(this));
  set(easy, CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
  set(easy, CURLOPT_SEEKDATA, static_cast<void*>(this));
}

void Transfer::set_headers(bool with_credentials) {
  const auto append = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    headers_ = longer;
  };
  append("Expect:");  // else a server that never answers 100-continue costs a second per request
  for (const auto& [name, value] : request_.headers.fields()) {
    append(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  }
  if (with_credentials && request_.credentials.scheme != Credentials::Scheme::none) {
    append(credentials_field(request_.credentials));
  }
  set(easy_.get(), CURLOPT_HTTPHEADER, headers_);
}

std::uint64_t Transfer::body_size() const {
  if (const auto* text = std::get_if<std::string>(&request_.body)) return text->size();
  if (const auto* range = std::get_if<FileRange>(&request_.body)) return range->length;
  return 0;
}

std::chrono::milliseconds Transfer::idle() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               paid_until_);
}

void Transfer::note_moved(std::uint64_t bytes) {
  using Clock = std::chrono::steady_clock;
  last_byte_ = Clock::now();
  const std::chrono::duration<double> paid(
      static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(slowest_, 1)));
  paid_until_ = std::min<Clock::time_point>(
      last_byte_, paid_until_ + std::chrono::duration_cast<Clock::duration>(paid));
}

Response Transfer::finish(CURLcode code) {
  if (thrown_) std::rethrow_exception(thrown_);
  const bool fetched = code == CURLE_OK && response_.status >= 200 && response_.status < 300;
  if (fetched && !request_.to_file.empty()) keep_in_file("");  // an empty answer is a file too
  if (target_ && std::fclose(target_.release()) != 0) throw_file_error("write", request_.to_file);
  response_.failure = exceeded_ ? Failure::oversized : failure_of(code);
  if (exceeded_)
    response_.reason = fmt::format("the answer is larger than {}", human_size(*exceeded_));
  else if (code != CURLE_OK)
    response_.reason = error_[0] != '\0' ? std::string(error_) : curl_easy_strerror(code);
  return std::move(response_);
}

Response Transfer::stalled() {
  response_.failure = Failure::stalled;
  const std::string time = human_time(static_cast<double>(idle().count()) / 1000);
  const bool is_silent = std::chrono::steady_clock::now() - last_byte_ > idle() / 2;
  response_.reason = is_silent ? fmt::format("no data for {}", time)
                               : fmt::format("fewer than {}/s for {}", human_size(slowest_), time);
  return std::move(response_);
}

std::size_t Transfer::read(char* buffer, std::size_t room) {
  const std::uint64_t left = body_size() - position_;
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(room, left));
  if (wanted == 0) return 0;
  std::size_t got = wanted;
  if (const auto* text = std::get_if<std::string>(&request_.body)) {
    std::memcpy(buffer, text->data() + position_, wanted);
  } else {
    const auto& range = std::get<FileRange>(request_.body);
    got = std::fread(buffer, 1, wanted, source_.get());
    if (got == 0 && std::ferror(source_.get()) != 0) throw_file_error("read", range.path);
    if (got == 0) {
      throw Error(ErrorKind::failed, fmt::format("cannot send '{}'", range.path.string()),
                  {"the file became shorter while it was sent"});
    }
  }
  position_ += got;
  return got;
}

bool Transfer::seek(std::uint64_t position) {
  position_ = position;
  const auto* range = std::get_if<FileRange>(&request_.body);
  return range == nullptr ||
         fseeko(source_.get(), static_cast<off_t>(range->offset + position), SEEK_SET) == 0;
}

bool Transfer::take_body(std::string_view bytes) {
  const bool success = response_.status >= 200 && response_.status < 300;
  const std::uint64_t limit = success ? request_.body_limit.value_or(body_limit_) : body_limit_;
  body_bytes_ += bytes.size();
  if (body_bytes_ > limit) {
    exceeded_ = limit;
    return false;
  }
  if (success && !request_.to_file.empty()) {
    keep_in_file(bytes);
  } else if (success && request_.sink) {
    gave_to_sink_ = true;
    request_.sink(bytes);
  } else {
    response_.body += bytes;
  }
  return true;
}

void Transfer::keep_in_file(std::string_view bytes) {
  if (!target_) target_.reset(std::fopen(request_.to_file.c_str(), "wbe"));
  if (!target_ || std::fwrite(bytes.data(), 1, bytes.size(), target_.get()) != bytes.size()) {
    throw_file_error("write", request_.to_file);
  }
}

void Transfer::take_header(std::string_view line) {
  note_moved(line.size());
  line = trimmed(line);
  // Also after a 100 or a proxy's answer: only the last block counts
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();
    const auto words = split(line, " ");
    response_.status = words.size() > 1 ? static_cast<int>(to_integer(words[1]).value_or(0)) : 0;
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.add(std::string(trimmed(line.substr(0, colon))),
                        std::string(trimmed(line.substr(colon + 1))));
}

void Transfer::take_progress(std::uint64_t received, std::uint64_t expected, std::uint64_t sent) {
  if (received + sent == bytes_seen_) return;
  note_moved(received + sent - std::min(bytes_seen_, received + sent));
  bytes_seen_ = received + sent;
  if (!request_.progress) return;
  if (std::holds_alternative<std::monostate>(request_.body))
    request_.progress(received, expected);
  else
    request_.progress(sent, body_size());
}

template <class Function>
bool Transfer::guarded(Function function) {
  try {
    return function();
  } catch (...) {
    thrown_ = std::current_exception();
    return false;
  }
}

std::size_t Transfer::on_read(char* buffer, std::size_t size, std::size_t count, void* self) {
  auto* transfer = static_cast<Transfer*>(self);
  std::size_t got = 0;
  const bool ok = transfer->guarded([&] {
    got = transfer->read(buffer, size * count);
    return true;
  });
  return ok ? got : CURL_READFUNC_ABORT;
}

int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
  return static_cast<Transfer*>(self)->seek(static_cast<std::uint64_t>(offset))
             ? CURL_SEEKFUNC_OK
             : CURL_SEEKFUNC_FAIL;
}

std::size_t Transfer::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto* transfer = static_cast<Transfer*>(self);
  const bool ok = transfer->guarded([&] { return transfer->take_body({bytes, size * count}); });
  return ok ? size * count : 0;
}

std::size_t Transfer::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto* transfer = static_cast<Transfer*>(self);
  const bool ok = transfer->guarded([&] {
    transfer->take_header({bytes, size * count});
    return true;
  });
  return ok ? size * count : 0;
}

int Transfer::on_progress(void* self, curl_off_t total_down, curl_off_t down,
                          curl_off_t /*total_up*/, curl_off_t up) {
  auto* transfer = static_cast<Transfer*>(self);
  const bool ok = transfer->guarded([&] {
    transfer->take_progress(static_cast<std::uint64_t>(down),
                            static_cast<std::uint64_t>(total_down), static_cast<std::uint64_t>(up));
    return true;
  });
  return ok ? 0 : 1;
}

}  // namespace sagebuild
