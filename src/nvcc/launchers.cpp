// Which functions a source may be cut at, and what keeps it whole.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "declarations.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/parts.hpp"

namespace sagebuild {
namespace {

using nvcc::Body;
using nvcc::Declaration;
using nvcc::DeclarationReader;

// A head with each run of blanks and markers as one blank.
std::string squeezed(std::string_view head) {
  std::string result;
  for (const std::string_view line : lines_of(head)) {
    if (line.starts_with('#')) continue;
    for (const std::string_view word : split(line, " \t"))
      result.append(result.empty() ? "" : " ").append(word);
  }
  return result;
}

// Takes a source's declarations in order. What counts is the first reason to keep it whole.
class Judge {
 public:
  void refuse(std::string why) {
    if (refusal_.empty()) refusal_ = std::move(why);
  }

  void look_at(const Declaration& now) {
    if (!now.is_own) return;
    if (now.is_unnamed_namespace) return refuse("it has an unnamed namespace");
    if (now.body)
      defined(now, *now.body);
    else if (!now.words.empty())
      ended(now);
  }

  // When the whole text was read.
  void look_at_uses(const DeclarationReader& reader) {
    // In any spelling: attributes of this kind do something when the module is loaded, or put
    // something where others count it.
    constexpr std::array<std::string_view, 14> kActing = {
        "constructor", "__constructor__", "destructor",        "__destructor__", "section",
        "__section__", "init_priority",   "__init_priority__", "alias",          "__alias__",
        "ifunc",       "__ifunc__",       "weakref",           "__weakref__"};
    for (const std::string_view word : kActing)
      if (reader.uses(word) > 0)
        refuse(fmt::format("it says '{}', which may act once per part", word));
    for (const Launcher& launcher : launchers_) {
      if (reader.uses(launcher.name) > declared_[launcher.name])
        refuse(fmt::format("'{}' is used by another function", launcher.name));
    }
  }

  LaunchersOutcome outcome() && { return {std::move(launchers_), std::move(refusal_)}; }

 private:
  // A function of the project's.
  void defined(const Declaration& now, const Body& body) {
    ++declared_[now.name];
    const bool is_kernel = now.attributes.contains("global");
    const bool is_device = is_kernel || now.attributes.contains("device");
    const bool is_generic = now.is_template && !now.is_specialised;
    if (is_kernel && (!is_generic || now.has("static")))
      return refuse(
          fmt::format("kernel '{}' is {}", now.name, is_generic ? "static" : "no template"));
    // The host compiler knows all callers of a static function, and makes of it what they need: a
    // variable that nobody reads is gone, a constant argument is multiplied before it is added.
    if (now.has("static") && (!is_device || now.attributes.contains("host")))
      return refuse(fmt::format("'{}' is static: each part would make its own of it", now.name));
    if (is_device && body.has_statics)
      return refuse(fmt::format("'{}' has a static variable on the device", now.name));
    if (is_generic) return;
    if (now.has("static") || now.is_inline()) {
      if (body.launches > 0) refuse(fmt::format("'{}' starts kernels and is inline", now.name));
      return;
    }
    if (now.is_odd || now.is_specialised || is_device)
      return refuse(fmt::format("'{}' cannot be declared without its body", now.name));
    if (body.has_lasting_pragma)
      return refuse(
          fmt::format("'{}' has a pragma in it that may hold for what follows", now.name));
    launchers_.push_back({std::string(now.name), squeezed(now.head), body.begin, body.end,
                          body.launches, body.marker});
  }

  // It ended at a semicolon.
  void ended(const Declaration& now) {
    if (now.has("using") || now.has("typedef") || now.has("static_assert") || now.has("friend") ||
        now.has("namespace"))
      return;
    if (now.has("asm") || now.has("__asm__") || now.has("__asm"))
      return refuse("it has assembler text of its own");
    if (now.is_instantiation) {
      if (!now.has("extern")) refuse(fmt::format("'{}' is instantiated by name", now.name));
      return;
    }
    if (now.has_parameters && !now.has_value && !now.has_members) return declared(now);
    if (now.is_class() && !now.has("static") && !now.has("const")) {
      // A variable may follow the body: its name was the last word.
      if (!now.has_members || now.ends_in_brace) return;
    }
    if (now.has("extern") && !now.has_value) return;
    variable(now);
  }

  void declared(const Declaration& now) {
    ++declared_[now.name];
    // `static Counter c(1);` and `const Counter c(1);` look like one.
    if ((now.has("static") || now.is_constant) && !now.is_template)
      refuse(fmt::format("'{}' may be a variable", now.name));
  }

  void variable(const Declaration& now) {
    constexpr std::array<std::string_view, 4> kMemories = {"device", "constant", "managed",
                                                           "shared"};
    const bool on_device = std::ranges::any_of(
        kMemories, [&](auto memory) { return now.attributes.contains(memory); });
    if (on_device) return refuse(fmt::format("variable '{}' lives on the device", now.name));
    if (now.has("constexpr") || (now.has("inline") && !now.has("static"))) return;
    if (now.is_template && !now.is_specialised && !now.has("static")) return;
    if (now.has("const") && now.has_value && !now.is_computed && is_arithmetic(now)) return;
    refuse(fmt::format("variable '{}' would be there once per part", now.name));
  }

  // By the words of its type: no class, whose constructor could do something.
  static bool is_arithmetic(const Declaration& now) {
    constexpr std::array<std::string_view, 24> kWords = {
        "static",   "const",    "unsigned", "signed",   "int",     "long",
        "short",    "char",     "bool",     "float",    "double",  "std",
        "size_t",   "int8_t",   "int16_t",  "int32_t",  "int64_t", "uint8_t",
        "uint16_t", "uint32_t", "uint64_t", "__int128", "wchar_t", "ptrdiff_t"};
    return std::ranges::all_of(now.words, [&](std::string_view word) {
      return word == now.name || std::ranges::find(kWords, word) != kWords.end();
    });
  }

  std::map<std::string_view, std::size_t> declared_;  // as a name, at the top
  std::vector<Launcher> launchers_;
  std::string refusal_;
};

}  // namespace

LaunchersOutcome find_launchers(std::string_view text,
                                const std::function<bool(std::string_view)>& is_own) {
  DeclarationReader reader(text, is_own);
  Judge judge;
  try {
    while (const auto declaration = reader.next()) judge.look_at(*declaration);
  } catch (const nvcc::NotUnderstood& error) {
    judge.refuse(error.why);
  }
  judge.look_at_uses(reader);
  return std::move(judge).outcome();
}

}  // namespace sagebuild
