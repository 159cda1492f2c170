#pragma once
// JSON that others wrote: a server's answer, a file in a repository, a wheel's provenance.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

// What is written, copied or compared level by level would overflow the stack at some depth. No
// format that sagebuild reads has more than ten levels.
inline constexpr int kDeepestJson = 64;

struct ParsedJson {
  std::optional<nlohmann::json> value;
  std::string fault;  // without a value: "it is no JSON", "it is nested deeper than 64 levels"
};

// Never throws for what the text holds; it may be of any size and depth. Strings of a value are
// UTF-8.
ParsedJson parse_json(std::string_view text);

// One line, without spaces. Bytes of a string that are no UTF-8 become U+FFFD instead of throwing.
std::string json_line(const nlohmann::json& value);

// For people too: in lines, indented by two blanks, without a last line end.
template <class Document>
std::string json_lines(const Document& document) {
  return document.dump(2, ' ', /*ensure_ascii=*/false, Document::error_handler_t::replace);
}

}  // namespace sagebuild
