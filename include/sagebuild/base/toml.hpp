#pragma once
// TOML files (recipes, sagebuild.toml) as plain values, with the line that each one stands on.
// toml++ stays behind this door.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sagebuild {

using TomlScalar = std::variant<bool, long long, double, std::string>;

// One table. Every getter that finds a value of another type throws Error{usage} naming file, line,
// key and both types. Getters mark their key as read, so that `finish` can refuse a key that nobody
// knows (a typing error in a recipe).
class TomlTable {
 public:
  struct Node;
  explicit TomlTable(std::shared_ptr<Node> node) : node_(std::move(node)) {}

  bool has(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<long long> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // with a point, or an integer
  TomlScalar required_scalar(std::string_view key) const;    // absent or a list: Error{usage}
  // Absent = empty; one text counts as a list of one
  std::vector<std::string> texts(std::string_view key) const;
  std::optional<TomlTable> table(std::string_view key) const;
  std::vector<TomlTable> tables(std::string_view key) const;  // [[key]]
  std::vector<std::string> keys() const;                      // in the file's order
  std::string required_text(std::string_view key) const;      // absent: Error{usage}

  std::string place(std::string_view key) const;  // of a key's value, which must be there
  std::string place() const;                      // "patches/x.toml:12"
  // Error{usage} at this table, with a reason.
  [[noreturn]] void fail(std::string_view reason) const;
  // Throws Error{usage} for the first key that no getter asked for, with the nearest known key as
  // the hint.
  void finish() const;

 private:
  std::shared_ptr<Node> node_;
};

// Throws Error{usage} with file, line and column for bad syntax; Error{failed} if unreadable.
TomlTable load_toml(const std::filesystem::path& path);
TomlTable parse_toml(std::string_view text, std::string_view name);

}  // namespace sagebuild
