#pragma once
// A token or password. It cannot be printed, formatted, compared or copied by accident; the log
// sink knows every one alive.

#include <string>
#include <string_view>

namespace sagebuild {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text);  // from now on redacted() removes the text
  ~Secret();                          // overwrites it
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  bool empty() const { return text_.empty(); }
  // For the one place that must send it.
  const std::string& reveal() const { return text_; }

 private:
  std::string text_;
};

// `text` with every live secret of 8 or more characters, every "hf_..." token, user:password@ in
// URLs and what stands behind "Authorization: SCHEME" replaced by "***".
std::string redacted(std::string_view text);

}  // namespace sagebuild
