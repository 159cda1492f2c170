#pragma once
// Versions that compare by number: CUDA 12.8, torch 2.11.0, Python 3.11, GCC 12.2.

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// The leading numbers of a version; what follows them (".dev3", "rc1", "+cu130") is kept as text
// and does not compare.
class Version {
 public:
  Version() = default;
  Version(std::initializer_list<int> numbers) : numbers_(numbers) {}

  int major() const { return at(0); }
  int minor() const { return at(1); }
  int patch() const { return at(2); }
  bool empty() const { return numbers_.empty(); }

  std::string text() const;         // "2.11.0"
  std::string major_minor() const;  // "2.11"

  // Missing numbers are 0: 13 == 13.0 == 13.0.0.
  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }

  friend std::optional<Version> parse_version(std::string_view text);

 private:
  int at(std::size_t index) const { return index < numbers_.size() ? numbers_[index] : 0; }
  std::vector<int> numbers_;
};

// "2.11.0+cu130" is 2.11.0; nothing if the text does not start with a number.
std::optional<Version> parse_version(std::string_view text);

}  // namespace sagebuild
