#pragma once
// What each stage's result depends on, and nothing else (docs/nvcc.md, "Keys"). Paths, file names
// that the stage does not write into its output, and the order in which things were found never
// enter a key.

#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/nvcc/layout.hpp"
#include "sagebuild/nvcc/text.hpp"

namespace sagebuild {

// Options without the program, without the named options and their values, and without the named
// words.
Words options_of(const Words& argv, const std::vector<std::string>& with_value,
                 const std::vector<std::string>& words = {});

// `text` is the canonical preprocessed text (mapped markers). With line information in the PTX its
// markers count too.
ActionKey cicc_key(const std::string& subject, const Digest& tool, const Words& cicc,
                   std::string_view id, std::string_view text);
ActionKey cudafe_key(const std::string& subject, const Digest& tool, const Words& cudafe,
                     std::string_view id, std::string_view text);
ActionKey ptxas_key(const std::string& subject, const Digest& tool, const RealLayout& real,
                    const std::string& ptx_name, const Digest& ptx);

struct Image {
  std::string kind;  // "elf", "ptx"
  std::string sm;    // "89"
  Digest content;
};
ActionKey fatbinary_key(const std::string& subject, const Digest& tool, const Words& fatbinary,
                        const std::vector<Image>& images);

// `image` is the digest of what stands in the place of .fatbin.c: nvcc's own text, or the detached
// wrapper. The headers that cudafe++ leaves to be included (crt/host_runtime.h) are the cache's to
// compare.
ActionKey host_compile_key(const std::string& subject, const Digest& tool,
                           const Words& host_compile, std::string_view cudafe_text,
                           std::string_view stub, const Digest& image);

// A .cpp of the project, from its preprocessed text.
ActionKey cxx_key(const std::string& subject, const Digest& tool, const Words& compile,
                  std::string_view text);

// A whole compile, by options alone: the files it reads are the cache's to compare (direct mode).
ActionKey direct_key(const std::string& subject, const std::string& kind, const Digest& tools,
                     const Words& argv, std::string_view id, const PathRoots& roots);

}  // namespace sagebuild
