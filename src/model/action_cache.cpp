#include "sagebuild/model/action_cache.hpp"

#include <fmt/format.h>

#include <utility>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// Long argument lists are worth reading in `explain`; a pasted file is not.
constexpr std::size_t kLongValue = 16 << 10;

}  // namespace

ActionKey::ActionKey(std::string kind, std::string subject)
    : kind_(std::move(kind)), subject_(std::move(subject)) {}

ActionKey& ActionKey::add(std::string name, std::string_view value) {
  std::string text(value);
  if (text.size() > kLongValue)
    text = fmt::format("{}... sha256:{}", value.substr(0, 80), sha256(value).hex());
  inputs_.emplace_back(std::move(name), std::move(text));
  return *this;
}

// Quoted, so that the words "a b" and "a", "b" differ.
ActionKey& ActionKey::add(std::string name, const std::vector<std::string>& words) {
  return add(std::move(name), std::string_view(shell_line(words)));
}

ActionKey& ActionKey::add(std::string name, const Digest& content) {
  return add(std::move(name), std::string_view("sha256:" + content.hex()));
}

Digest ActionKey::digest() const {
  Sha256 hasher;
  hasher.field(fmt::format("sagebuild key {}", kKeySchema)).field(kind_);
  for (const auto& [name, value] : inputs_) hasher.field(name).field(value);
  return hasher.finish();
}

}  // namespace sagebuild
