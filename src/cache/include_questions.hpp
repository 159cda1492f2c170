#pragma once
// What a file asks of its search path beside its includes: __has_include, __has_include_next,
// __has_embed. A header that appears where one of them looked changes the text, and no file that
// was read.
//
// Seldom does an #if ask by itself. Most headers have a macro that hands its one argument on
// (FMT_HAS_INCLUDE(x), _CCCL_HAS_INCLUDE(x)), and use it in other files. So the questions are those
// of all files of a run together. What cannot be read off with certainty counts as computed, and
// then the files say nothing about the result.

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file_digests.hpp"

namespace sagebuild {

// The directives of a text that may ask (#define, #if, #elif ...), each as one line that begins
// behind its '#'. Those in a comment may be among them.
std::vector<std::string> asking_directives(std::string_view text);

struct IncludeQuestions {
  // What was asked for, sorted, behind the mark that opened it: "<x/y.h" or "\"y.h".
  std::vector<std::string> names;
  // Index of a file that asks for something that is computed.
  std::optional<std::size_t> computed_in;
};

// Of the files of one run; the directives of file number I at I.
IncludeQuestions questions_in(const std::vector<const std::vector<std::string>*>& directives);

// The directives of files by their content, each read once in a run of sagebuild: 1,800 headers
// take 40 ms. Thread-safe.
class DirectiveReader {
 public:
  // Nothing if the file does not have that content any more. What is given lives as long as the
  // reader.
  const std::vector<std::string>* of(const std::filesystem::path& path, const FileContent& content);

 private:
  std::mutex mutex_;
  std::map<Digest, std::vector<std::string>> known_;  // grows only
};

}  // namespace sagebuild
