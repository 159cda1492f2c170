#include "hub/readme.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/markdown.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

std::string link_of(const json& row, const IndexPlace& place) {
  return resolve_url(place.endpoint, place.repo, place.revision, text_of_row(row, "file"));
}

std::string table(const WheelRows& rows, const IndexPlace& place) {
  std::string text =
      "| wheel | torch | CUDA | Python | GPUs | platform | size | sha256 |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const json* row : newest_first(rows)) {
    text += fmt::format("| [{}]({})", markdown_cell(name_of_path(text_of_row(*row, "file"))),
                        link_of(*row, place));
    for (const char* key : {"torch", "cuda", "python", "architectures", "platform"})
      text += fmt::format(" | {}", markdown_cell(text_of_row(*row, key)));
    text += fmt::format(" | {} | {} |\n", human_size(row->at("size").get<std::uint64_t>()),
                        text_of_row(*row, "sha256"));
  }
  return text;
}

std::string section(const WheelRows& rows, const IndexPlace& place) {
  std::string text(kTableBegin);
  text += '\n';
  if (rows.empty()) {
    text += "There is no wheel here.\n";
  } else {
    const json& newest = *newest_first(rows).front();
    text += fmt::format(
        "Give pip the address of the wheel for your torch, CUDA and Python. For the first one:\n\n"
        "```sh\npip install \"{}#sha256={}\"\n```\n\n{}",
        link_of(newest, place), text_of_row(newest, "sha256"), table(rows, place));
  }
  return text + std::string(kTableEnd) + "\n";
}

// What the Hub reads from a card; a Space has to say how it is run.
std::string new_readme(const IndexPlace& place) {
  const std::string& name = place.repo.name;
  const std::string title = name.substr(name.find('/') + 1);
  const std::string kind = place.repo.kind == "space" ? "title: " + title + "\nsdk: static\n" : "";
  return fmt::format("---\n{}tags:\n- cuda\n- python-wheels\n---\n\n# {}\n\n", kind, title);
}

std::size_t count_of(const std::string& text, std::string_view what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++count;
  return count;
}

std::string with_line_end(std::string text) {
  return text.ends_with('\n') ? std::move(text) : std::move(text) + "\n";
}

}  // namespace

std::optional<std::string> readme_with_table(const std::optional<std::string>& present,
                                             const WheelRows& rows, const IndexPlace& place,
                                             bool force, std::vector<std::string>& warnings) {
  const std::string block = section(rows, place);
  if (!present) return new_readme(place) + block;
  if (first_bad_utf8(*present)) {
    warnings.push_back(fmt::format("'{}' is no UTF-8 text and is left alone", kReadme));
    return std::nullopt;
  }
  const std::size_t begins = count_of(*present, kTableBegin);
  const std::size_t ends = count_of(*present, kTableEnd);
  if (begins + ends == 0) return with_line_end(*present) + "\n" + block;
  const auto begin = present->find(kTableBegin);
  const auto end = present->find(kTableEnd);
  if (begins == 1 && ends == 1 && begin < end) {
    auto after = end + kTableEnd.size();
    if (after < present->size() && (*present)[after] == '\r') ++after;
    if (after < present->size() && (*present)[after] == '\n') ++after;
    return present->substr(0, begin) + block + present->substr(after);
  }
  // Guessing where the section ends could delete the user's own words.
  if (!force) {
    warnings.push_back(
        fmt::format("the markers of the wheel table in '{}' are damaged; the file is left alone: "
                    "mend it, or let --force-index drop the markers and add a new table",
                    kReadme));
    return std::nullopt;
  }
  const std::string rest = replaced(replaced(*present, kTableBegin, ""), kTableEnd, "");
  return with_line_end(rest) + "\n" + block;
}

}  // namespace sagebuild
