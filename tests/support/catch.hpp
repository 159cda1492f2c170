#pragma once
// Catch2 version 2 (Debian 12, Ubuntu 22.04) and version 3 (Debian 13, Ubuntu 24.04) under one
// name, and a matcher for our errors.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstdlib>
#include <fstream>
#include <string>

#include "sagebuild/base/error.hpp"

#if __has_include(<catch2/catch_all.hpp>)
// Version 2's name for it.
namespace Catch {
inline auto Contains(const std::string& part) { return Matchers::ContainsSubstring(part); }
}  // namespace Catch
#endif

// Ends a test case that cannot run here. `make test` counts what is written to the file that
// SAGEBUILD_TEST_SKIPS names.
#define SKIP_HERE(reason)         \
  do {                            \
    sagebuild::note_skip(reason); \
    return;                       \
  } while (false)

namespace sagebuild {

inline void note_skip(const std::string& reason) {
  WARN("SKIPPED: " << reason);
  if (const char* file = std::getenv("SAGEBUILD_TEST_SKIPS"))
    std::ofstream(file, std::ios::app)
        << Catch::getResultCapture().getCurrentTestName() << ": " << reason << "\n";
}

// CHECK_THROWS_MATCHES(f(), Error, says("unknown architecture '12.2'").hints("12.1"));
// Both texts are looked for anywhere in the rendered message and in the hint.
class says : public Catch::Matchers::
#if __has_include(<catch2/catch_all.hpp>)
                 MatcherBase<Error>
#else
                 Impl::MatcherBase<Error>
#endif
{
 public:
  explicit says(std::string text) : text_(std::move(text)) {}
  says& hints(std::string hint) {
    hint_ = std::move(hint);
    return *this;
  }
  bool match(const Error& error) const override {
    return error.rendered().find(text_) != std::string::npos &&
           error.hint.find(hint_) != std::string::npos;
  }
  std::string describe() const override {
    return "says \"" + text_ + "\" and hints \"" + hint_ + "\"";
  }

 private:
  std::string text_;
  std::string hint_;
};

}  // namespace sagebuild
