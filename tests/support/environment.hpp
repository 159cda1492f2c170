#pragma once
// Variables of the environment that a test plants.

#include <cstdlib>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>

namespace sagebuild {

struct Variable {
  std::string name;
  std::optional<std::string> value;  // nothing: unset
};

// Sets variables until the end of the scope.
class WithEnvironment {
 public:
  explicit WithEnvironment(std::initializer_list<Variable> wanted) {
    for (const auto& [name, value] : wanted) {
      const char* old = std::getenv(name.c_str());
      old_[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
      set(name, value);
    }
  }
  ~WithEnvironment() {
    for (const auto& [name, value] : old_) set(name, value);
  }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;

 private:
  static void set(const std::string& name, const std::optional<std::string>& value) {
    if (value) {
      ::setenv(name.c_str(), value->c_str(), 1);
    } else {
      ::unsetenv(name.c_str());
    }
  }
  std::map<std::string, std::optional<std::string>> old_;
};

}  // namespace sagebuild
