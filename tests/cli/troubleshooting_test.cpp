#include "cli/troubleshooting.hpp"

#include <set>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/finding.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

// As forges make them of headings.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char c : lower(heading)) {
    if (c == ' ') anchor += '-';
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') anchor += c;
  }
  return anchor;
}

}  // namespace

TEST_CASE("each text of the table leads to a heading of the page, and each code is a finding's") {
  const std::string page = read_file(data_folder() / "docs/troubleshooting.md");
  std::set<std::string> anchors;
  for (std::string_view line : lines_of(page))
    if (take_prefix(line, "## ")) anchors.insert(anchor_of(line));
  for (const TroubleText& trouble : trouble_texts()) {
    INFO(trouble.text);
    CHECK(anchors.contains(std::string(trouble.anchor)));
    if (trouble.text.starts_with("SB")) CHECK(finding_kind(trouble.text) != nullptr);
  }
}

TEST_CASE("what compilers and loaders print leads to its place") {
  CHECK(trouble_page("nvcc fatal   : Unsupported gpu architecture 'compute_120'") ==
        "docs/troubleshooting.md#unsupported-gpu-architecture");
  CHECK(trouble_page("ImportError: x.so: undefined symbol: _ZN3c105ErrorC1") ==
        "docs/troubleshooting.md#undefined-symbol-_zn3c10");
  CHECK(trouble_page("killed by signal 9 (out of memory)") ==
        "docs/troubleshooting.md#killed-for-memory");
  CHECK(trouble_page("kernel.cu(3): error: identifier \"nope\" is undefined").empty());
}

}  // namespace sagebuild
