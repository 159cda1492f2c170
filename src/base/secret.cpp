#include "sagebuild/base/secret.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kMask = "***";
// A shorter one is not looked for in running text: it would mark every word that happens to hold
// it, and by that tell what it is. It is masked where it stands by its place: in a URL's user part
// and behind "Authorization:".
constexpr std::size_t kShortestInText = 8;

std::mutex registry_mutex;

std::vector<std::string>& registry() {
  static std::vector<std::string> secrets;
  return secrets;
}

void remember(const std::string& text) {
  if (text.empty()) return;
  const std::lock_guard lock(registry_mutex);
  registry().push_back(text);
}

void wipe(std::string& text) {
  volatile char* bytes = text.data();
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = 0;
  text.clear();
}

void forget(std::string& text) {
  if (text.empty()) return;
  const std::lock_guard lock(registry_mutex);
  const auto found = std::ranges::find(registry(), text);
  if (found != registry().end()) {
    wipe(*found);
    registry().erase(found);
  }
  wipe(text);
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// Tokens of the Hub start with "hf_"; anything that long after it is one, live or not.
void mask_hub_tokens(std::string& text) {
  constexpr std::size_t kShortest = 16;
  for (auto at = text.find("hf_"); at != std::string::npos; at = text.find("hf_", at + 1)) {
    auto end = at + 3;
    while (end < text.size() && is_token_char(text[end])) ++end;
    if (end - at >= kShortest) text.replace(at, end - at, kMask);
  }
}

void mask_url_passwords(std::string& text) {
  for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const auto begin = at + 3;
    const auto word_end = std::min(text.find_first_of(" \t\n'\"", begin), text.size());
    const std::string_view word = std::string_view(text).substr(begin, word_end - begin);
    if (const auto length = user_info_length(word, true); length > 0)
      text.replace(begin, length - 1, kMask);
  }
}

// "https://host/x.git?private_token=...", as forges and signed addresses have it.
void mask_url_queries(std::string& text) {
  constexpr std::array<std::string_view, 6> kParts = {"token",    "key",       "secret",
                                                      "password", "signature", "credential"};
  for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const auto end = std::min(text.find_first_of(" \t\n'\"", at), text.size());
    const auto begin = std::min(text.find('?', at), end);
    const std::string old = text.substr(begin, end - begin);
    std::string query;
    for (const std::string_view field : split(old, "&")) {
      const std::string_view name = field.substr(0, field.find('='));
      const bool is_secret = name.size() < field.size() &&
                             std::ranges::any_of(kParts, [folded = lower(name)](auto part) {
                               return folded.find(part) != std::string::npos;
                             });
      if (!query.empty()) query += '&';
      query += is_secret ? fmt::format("{}={}", name, kMask) : std::string(field);
    }
    text.replace(begin, end - begin, query);
  }
}

// "bob:password@host", which lacks its scheme. Not "std::f@plt" or what a linker says.
void mask_bare_passwords(std::string& text) {
  constexpr std::string_view kEnds = " \t\r\n'\"`()<>=,;";
  for (auto begin = text.find_first_not_of(kEnds); begin != std::string::npos;) {
    const auto end = std::min(text.find_first_of(kEnds, begin), text.size());
    const std::string_view word = std::string_view(text).substr(begin, end - begin);
    const auto length =
        word.find("://") == std::string_view::npos ? user_info_length(word, false) : 0;
    if (length > 0) text.replace(begin, length - 1, kMask);
    begin = text.find_first_not_of(kEnds, length > 0 ? end - (length - 1) + kMask.size() : end);
  }
}

void mask_authorization(std::string& text) {
  constexpr std::string_view kField = "authorization:";
  std::string folded = lower(text);
  for (auto at = folded.find(kField); at != std::string::npos; at = folded.find(kField, at + 1)) {
    const auto begin = std::min(folded.find_first_not_of(' ', at + kField.size()), folded.size());
    const auto scheme_end = std::min(folded.find_first_of(" \r\n", begin), folded.size());
    const auto end = std::min(folded.find_first_of("\r\n'\"", scheme_end), folded.size());
    if (scheme_end + 1 >= end) continue;
    text.replace(scheme_end + 1, end - scheme_end - 1, kMask);
    folded.replace(scheme_end + 1, end - scheme_end - 1, kMask);
  }
}

}  // namespace

Secret::Secret(std::string text) : text_(std::move(text)) { remember(text_); }
Secret::~Secret() { forget(text_); }
Secret::Secret(Secret&& other) noexcept : text_(std::exchange(other.text_, {})) {}
Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    forget(text_);
    text_ = std::exchange(other.text_, {});
  }
  return *this;
}

std::string redacted(std::string_view text) {
  std::string result(text);
  {
    const std::lock_guard lock(registry_mutex);
    for (const std::string& secret : registry()) {
      if (secret.size() >= kShortestInText) result = replaced(std::move(result), secret, kMask);
    }
  }
  mask_hub_tokens(result);
  mask_authorization(result);
  mask_url_passwords(result);
  mask_url_queries(result);
  mask_bare_passwords(result);
  return result;
}

}  // namespace sagebuild
