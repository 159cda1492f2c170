#include "patch/text_file.hpp"

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Whether the first indented line is indented with a tab.
bool indents_with_tabs(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos && at + 1 < text.size();
       at = text.find('\n', at + 1)) {
    if (text[at + 1] == '\t') return true;
    if (text[at + 1] == ' ') return false;
  }
  return false;
}

// Length of the valid UTF-8 sequence at `at`, or 0 (RFC 3629: no overlong forms, no surrogates,
// nothing above U+10FFFF).
std::size_t sequence_length(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || bytes.size() - at < length) return 0;
  for (std::size_t next = 1; next < length; ++next) {
    if ((byte(at + next) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(at + 1);
  const bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                   (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return bad ? 0 : length;
}

}  // namespace

TextFile::TextFile(std::string_view bytes) : bytes_(bytes) {
  if (bytes.starts_with(kByteOrderMark)) skipped_ = kByteOrderMark.size();
  bytes.remove_prefix(skipped_);
  plain_.reserve(bytes.size());
  std::size_t lines = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] == '\r' && at + 1 < bytes.size() && bytes[at + 1] == '\n') {
      removed_.push_back(plain_.size());
      continue;
    }
    if (bytes[at] == '\n') ++lines;
    plain_ += bytes[at];
  }
  crlf_ = removed_.size() * 2 > lines;
  tabs_ = indents_with_tabs(plain_);
}

std::size_t TextFile::original_offset(std::size_t plain_offset) const {
  const auto before = std::ranges::lower_bound(removed_, plain_offset);
  return skipped_ + plain_offset + static_cast<std::size_t>(before - removed_.begin());
}

std::string TextFile::edited(const std::vector<Edit>& edits) const {
  std::string result;
  std::size_t copied = 0;
  for (const Edit& edit : edits) {
    const std::size_t begin = original_offset(edit.begin);
    result.append(bytes_, copied, begin - copied);
    result += crlf_ ? replaced(edit.text, "\n", "\r\n") : edit.text;
    copied = original_offset(edit.end);
  }
  result.append(bytes_, copied, std::string::npos);
  return result;
}

std::optional<std::size_t> first_bad_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = sequence_length(bytes, at);
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

}  // namespace sagebuild
