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

}  // namespace sagebuild
