#pragma once
// The page for a text that people search for: docs/troubleshooting.md.

#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct TroubleText {
  std::string_view text;    // as compilers, loaders and we print it
  std::string_view anchor;  // of docs/troubleshooting.md
};

const std::vector<TroubleText>& trouble_texts();

// "docs/troubleshooting.md#killed-for-memory" for the first text of the table that is in `output`;
// empty: there is none.
std::string trouble_page(std::string_view output);

}  // namespace sagebuild
