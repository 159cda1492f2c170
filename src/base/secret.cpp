#include "sagebuild/base/secret.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kMask = "***";

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
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
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
    const auto end = std::min(text.find_first_of("/ \t\n'\"?#", begin), text.size());
    const auto user_end = text.substr(begin, end - begin).rfind('@');
    if (user_end != std::string::npos) text.replace(begin, user_end, kMask);
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
    for (const std::string& secret : registry()) result = replaced(std::move(result), secret, kMask);
  }
  mask_hub_tokens(result);
  mask_url_passwords(result);
  return result;
}

}  // namespace sagebuild
