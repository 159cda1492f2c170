#pragma once
// A text with its own line ends and byte-order mark, edited as if it had neither.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct Edit {
  std::size_t begin = 0;  // offsets into plain()
  std::size_t end = 0;
  std::string text;
};

class TextFile {
 public:
  explicit TextFile(std::string_view bytes);

  // Without byte-order mark, every line end "\n".
  const std::string& plain() const { return plain_; }
  bool uses_tabs() const { return tabs_; }

  // The bytes after sorted edits that do not overlap. What no edit touches stays as it is; new
  // lines end as most lines do.
  std::string edited(const std::vector<Edit>& edits) const;

 private:
  std::size_t original_offset(std::size_t plain_offset) const;

  std::string bytes_;
  std::string plain_;
  std::size_t skipped_ = 0;           // length of the byte-order mark
  std::vector<std::size_t> removed_;  // offsets into plain_ of the "\n" that had a "\r" before them
  bool crlf_ = false;
  bool tabs_ = false;
};

}  // namespace sagebuild
