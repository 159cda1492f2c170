#pragma once
// An answer of the Hub, read field by field before any of it is believed.

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {

// "the answer has a number (12) at 'siblings[3].rfilename', where text is expected".
struct BadShape : std::exception {
  std::string text;
  explicit BadShape(std::string what) : text(std::move(what)) {}
  const char* what() const noexcept override { return text.c_str(); }
};

// A value and its place in the answer. Whatever is not of the type that is asked for throws
// BadShape.
class Field {
 public:
  // `value` outlives the field.
  explicit Field(const nlohmann::json& value, std::string place = {})
      : value_(&value), place_(std::move(place)) {}

  Field at(const std::string& key) const;
  // Nothing if the key is missing or null.
  std::optional<Field> find(const std::string& key) const;
  std::vector<Field> list() const;
  std::vector<std::pair<std::string, Field>> members() const;

  std::string text() const;
  std::string name() const;  // text that is not empty
  std::uint64_t count() const;
  bool flag() const;
  Digest sha256() const;
  std::string git_id() const;
  std::string address() const;  // an http or https URL
  std::string word() const;     // text without control characters, as a header's value

  [[noreturn]] void refuse(std::string_view expected) const;

 private:
  const nlohmann::json* value_;
  std::string place_;
};

using ReadAnswer = std::function<void(const Field&)>;

// What is wrong with a successful answer: a web page, no JSON, or what `read` refuses. Empty if it
// was read whole.
std::string answer_fault(const Response& response, const ReadAnswer& read);

// A page for people where a program expects data: a captive portal or a proxy has answered.
bool is_web_page(const Response& response);

}  // namespace sagebuild
