#pragma once
// One request on the wire: an easy handle inside a multi handle, with everything that its callbacks
// write to.

#include <curl/curl.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/net/http.hpp"

namespace sagebuild {

// Joins `multi` when made, leaves it when destroyed. Callbacks hold its address, so it stays where
// it is.
class Transfer {
 public:
  // `url` may differ from the request's after a redirect; credentials are sent only if
  // `with_credentials`.
  Transfer(CURLM* multi, const HttpSettings& settings, const Request& request,
           const std::string& url, bool with_credentials);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* handle() const { return easy_.get(); }
  // For how long too little moved in either direction, see HttpSettings::slowest.
  std::chrono::milliseconds idle() const;
  bool gave_to_sink() const { return gave_to_sink_; }
  // The response once libcurl is done. Throws what a callback threw.
  Response finish(CURLcode code);
  Response stalled();

 private:
  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void set_basics(const HttpSettings& settings, const std::string& url);
  void set_method_and_body();
  void set_headers(bool with_credentials);
  std::uint64_t body_size() const;

  std::size_t read(char* buffer, std::size_t room);
  bool seek(std::uint64_t position);
  // False: the answer is too large.
  bool take_body(std::string_view bytes);
  void take_header(std::string_view line);
  void take_progress(std::uint64_t received, std::uint64_t expected, std::uint64_t sent);
  void note_moved(std::uint64_t bytes);
  void keep_in_file(std::string_view bytes);
  // Runs `function`; what it throws waits in thrown_ until finish, because nothing may be thrown
  // through libcurl.
  template <class Function>
  bool guarded(Function function);

  static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                         curl_off_t up);

  CURLM* multi_;
  const Request& request_;
  std::uint64_t body_limit_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  curl_slist* headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = {};

  std::unique_ptr<std::FILE, FileCloser> source_;  // the file that is sent
  std::unique_ptr<std::FILE, FileCloser> target_;  // the file that is written
  std::uint64_t position_ = 0;                     // in the body that is sent
  Response response_;
  std::uint64_t body_bytes_ = 0;
  std::optional<std::uint64_t> exceeded_;  // the limit that the answer broke
  bool gave_to_sink_ = false;
  std::exception_ptr thrown_;
  std::uint64_t bytes_seen_ = 0;
  std::uint64_t slowest_;
  std::chrono::steady_clock::time_point last_byte_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point paid_until_ = last_byte_;
};

}  // namespace sagebuild
