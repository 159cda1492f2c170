// Where a source may be cut: a reader of the declarations at namespace scope.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "lexer.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/parts.hpp"

namespace sagebuild {
namespace {

using nvcc::Lexer;
using nvcc::Token;

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

// What the text of a declaration says, up to its body or its end.
struct Declaration {
  std::set<std::string_view> words;       // outside of all brackets: "static", "inline" ...
  std::set<std::string_view> attributes;  // "global", "device", "constructor" ...
  std::string head;
  std::string_view name;  // before the parameters, else the last word
  bool is_own = false;
  bool is_template = false;
  bool is_specialised = false;    // template<>
  bool is_instantiation = false;  // template without <
  bool has_parameters = false;
  bool has_value = false;    // "= ..."
  bool is_odd = false;       // a member, an operator, a constructor, a pointer to a function
  bool is_computed = false;  // its value, by a call or an increment
  bool is_constant = false;  // what is named, if it is a variable

  bool has(std::string_view word) const { return words.contains(word); }
  bool is_type() const {
    return has("struct") || has("class") || has("union") || has("enum") || has("concept");
  }
  // What each unit may have for itself.
  bool is_inline() const {
    return has("inline") || has("constexpr") || has("consteval") || has("__inline__") ||
           has("__inline") || has("__forceinline__");
  }
};

// A function's body, and what is in it.
struct Body {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t launches = 0;
  std::string marker;        // the line marker for what follows
  bool has_statics = false;  // variables that outlive it
  bool has_lasting_pragma = false;
};

// Thrown where the text is not understood.
struct NotUnderstood {
  std::string why;
};

// Variables that outlive their function: `static` in a body, where it is not constexpr.
struct Statics {
  std::size_t count = 0;
  bool is_behind = false;

  void see(const Token& token) {
    if (is_behind && !token.is("constexpr")) ++count;
    is_behind = token.is("static");
  }
};

class Reader {
 public:
  Reader(std::string_view text, const std::function<bool(std::string_view)>& is_own)
      : text_(text), lexer_(text, is_own) {}

  LaunchersOutcome read() {
    try {
      while (token_.kind != Token::Kind::end) read_declaration();
      if (open_scopes_ > 0) throw NotUnderstood{"its braces do not match"};
    } catch (const NotUnderstood& error) {
      if (refusal_.empty()) refusal_ = error.why;
    }
    // In any spelling: attributes of this kind do something when the module is loaded, or put
    // something where others count it.
    constexpr std::array<std::string_view, 14> kActing = {
        "constructor", "__constructor__", "destructor",        "__destructor__", "section",
        "__section__", "init_priority",   "__init_priority__", "alias",          "__alias__",
        "ifunc",       "__ifunc__",       "weakref",           "__weakref__"};
    for (const std::string_view word : kActing)
      if (lexer_.uses(word) > 0)
        refuse(fmt::format("it says '{}', which may act once per part", word));
    for (const Launcher& launcher : launchers_) {
      if (lexer_.uses(launcher.name) > declared_[launcher.name])
        refuse(fmt::format("'{}' is used by another function", launcher.name));
    }
    return {std::move(launchers_), std::move(refusal_)};
  }

 private:
  void refuse(std::string why) {
    if (refusal_.empty()) refusal_ = std::move(why);
  }

  void advance() { token_ = lexer_.next(); }

  // From an opening bracket behind its closing one; calls `inside` for each token between them.
  template <class Inside>
  void skip_group(std::string_view open, std::string_view close, Inside inside) {
    std::size_t depth = 0;
    do {
      if (token_.kind == Token::Kind::end) throw NotUnderstood{"its brackets do not match"};
      if (token_.is(open)) ++depth;
      if (token_.is(close)) --depth;
      inside(token_);
      last_ = token_;
      if (depth > 0) advance();
    } while (depth > 0);
    last_place_ = lexer_.place();
    advance();
  }
  void skip_group(std::string_view open, std::string_view close) {
    skip_group(open, close, [](const Token&) {});
  }

  // Template arguments: a `>` in parentheses is a comparison.
  void skip_angles() {
    std::size_t depth = 0;
    bool is_behind_word = true;
    do {
      if (token_.is("(")) {
        skip_group("(", ")");
        is_behind_word = false;
        continue;
      }
      if (token_.is("{")) {
        skip_group("{", "}");
        continue;
      }
      if (token_.kind == Token::Kind::end || token_.is(";") || token_.is("}")) {
        // `X<a < b>`: whether the second is a bracket depends on what `a` is. In a header of
        // others all that matters is where the next declaration begins.
        if (lexer_.in_own()) refuse("its template arguments are not understood");
        return;
      }
      if (token_.is("<") && is_behind_word) ++depth;
      if (token_.is(">")) --depth;
      is_behind_word = token_.kind == Token::Kind::word;
      advance();
    } while (depth > 0);
  }

  void read_declaration() {
    Declaration now;
    now.is_own = lexer_.in_own();
    const std::size_t begin = token_.begin;
    last_ = {};
    while (true) {
      if (token_.kind == Token::Kind::end) {
        if (!now.words.empty()) throw NotUnderstood{"it ends within a declaration"};
        return;
      }
      if (token_.is(";")) {
        advance();
        return ended(now);
      }
      if (token_.is("}")) {
        if (open_scopes_ == 0) throw NotUnderstood{"its braces do not match"};
        --open_scopes_;
        advance();
        return;
      }
      if (token_.is("{")) {
        if (opens_scope(now)) return;
        now.head = text_.substr(begin, token_.begin - begin);
        if (now.has_parameters && !now.has_value && !is_class(now)) {
          if (read_body(now)) return;
        } else {
          skip_members(now);
          has_body_ = true;
        }
        continue;
      }
      read_token(now);
    }
  }

  // The body of a class, or a value in braces. Functions of a class may have state of their own.
  void skip_members(const Declaration& now) {
    std::size_t depth = 0;
    Statics statics;
    skip_group("{", "}", [&](const Token& token) {
      if (token.is("{")) ++depth;
      if (token.is("}")) --depth;
      if (depth > 1) statics.see(token);
    });
    if (now.is_own && statics.count > 0)
      refuse(fmt::format("a function in '{}' has a static variable", now.name));
  }

  // struct, but no function that gives or takes one.
  static bool is_class(const Declaration& now) { return now.is_type() && !now.has_parameters; }

  bool opens_scope(const Declaration& now) {
    const bool is_namespace = now.has("namespace") && !now.has_value && !now.has_parameters;
    const bool is_linkage = now.words.size() == 1 && now.has("extern") && is_linkage_;
    if (!is_namespace && !is_linkage) return false;
    constexpr std::array<std::string_view, 4> kNoNames = {"namespace", "inline", "__attribute__",
                                                          "__attribute"};
    const bool has_name = std::ranges::any_of(
        now.words, [&](std::string_view word) { return !is_one_of(word, kNoNames); });
    if (is_namespace && !has_name && now.is_own) refuse("it has an unnamed namespace");
    ++open_scopes_;
    is_linkage_ = false;
    advance();
    return true;
  }

  void read_token(Declaration& now) {
    if (token_.is("(")) return read_parentheses(now);
    if (token_.is("[")) return skip_group("[", "]");
    if (token_.is("<")) return skip_angles();
    if (token_.is("=")) return read_value(now);
    if (token_.is(":") && now.has_parameters) now.is_odd = true;
    if (token_.is("operator")) return read_operator(now);
    if (token_.is("template")) return read_template(now);
    if (token_.kind == Token::Kind::literal && now.words.size() == 1 && now.has("extern"))
      is_linkage_ = true;
    if (token_.kind == Token::Kind::word) {
      now.words.insert(token_.text);
      if (!now.has_parameters) {
        now.name = token_.text;
        if (last_.is("::") && before_last_.kind == Token::Kind::word) is_member_ = token_.text;
      }
      if (token_.is("auto")) now.is_odd = true;
    }
    before_last_ = last_;
    last_ = token_;
    advance();
  }

  void read_parentheses(Declaration& now) {
    constexpr std::array<std::string_view, 17> kNoParameters = {
        "__attribute__", "__attribute",       "alignas", "_Alignas",  "decltype",     "noexcept",
        "throw",         "__launch_bounds__", "asm",     "__asm__",   "requires",     "__declspec",
        "explicit",      "__typeof__",        "typeof",  "__align__", "static_assert"};
    if (last_.kind == Token::Kind::word && is_one_of(last_.text, kNoParameters)) {
      const bool is_attribute = last_.text.starts_with("__attribute");
      skip_group("(", ")", [&](const Token& token) {
        if (is_attribute && token.kind == Token::Kind::word) now.attributes.insert(token.text);
      });
      return;
    }
    if (now.has_parameters || last_.kind != Token::Kind::word) now.is_odd = true;
    // Behind a star it is what is pointed to.
    if (!now.has_parameters)
      now.is_constant = now.has("const") && before_last_.kind == Token::Kind::word;
    if (last_.kind == Token::Kind::word && is_member_ == last_.text && !is_member_.empty())
      now.is_odd = true;
    now.has_parameters = true;
    skip_group("(", ")");
  }

  void read_value(Declaration& now) {
    now.has_value = true;
    Token before;
    while (!token_.is(";") && !token_.is("}") && token_.kind != Token::Kind::end) {
      const auto look = [&](const Token& token) {
        const bool is_step = (token.is("+") || token.is("-")) && before.is(token.text);
        now.is_computed = now.is_computed || is_step || token.is("(");
        before = token;
      };
      if (token_.is("(")) {
        skip_group("(", ")", look);
      } else if (token_.is("{")) {
        skip_group("{", "}", look);
      } else {
        look(token_);
        advance();
      }
    }
  }

  void read_operator(Declaration& now) {
    now.is_odd = true;
    now.words.insert("operator");
    advance();
    if (token_.is("(")) skip_group("(", ")");
    while (!token_.is("(") && !token_.is(";") && !token_.is("{") && token_.kind != Token::Kind::end)
      advance();
    if (!token_.is("(")) return;
    now.has_parameters = true;
    skip_group("(", ")");
  }

  void read_template(Declaration& now) {
    advance();
    if (!token_.is("<")) {
      now.is_instantiation = true;
      return;
    }
    const std::size_t begin = token_.end;
    now.is_template = true;
    skip_angles();
    const auto behind = text_.substr(begin, token_.begin - begin);
    const auto arguments = behind.substr(0, behind.find('>'));
    now.is_specialised = now.is_specialised || trimmed(arguments).empty();
  }

  // Whether it was the whole declaration: members of a constructor may be set by braces.
  bool read_body(Declaration& now) {
    Body body;
    body.begin = token_.begin;
    Statics statics;
    const bool in_own = lexer_.in_own();
    const std::size_t pragmas = lexer_.lasting_pragmas();
    skip_group("{", "}", [&](const Token& token) {
      if (token.is("<<<")) ++body.launches;
      statics.see(token);
    });
    body.end = last_.end;
    body.marker = fmt::format("# {} {}\n", last_place_.line, last_place_.file);
    body.has_statics = statics.count > 0;
    body.has_lasting_pragma = lexer_.lasting_pragmas() != pragmas;
    if (now.is_odd && (token_.is(",") || token_.is("{"))) return false;
    if (now.is_own || in_own) defined(now, std::move(body));
    forget();
    return true;
  }

  // A function of the project's.
  void defined(const Declaration& now, Body body) {
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
                          body.launches, std::move(body.marker)});
  }

  // It ended at a semicolon.
  void ended(const Declaration& now) {
    const bool has_body = has_body_;
    forget();
    if (!now.is_own || now.words.empty()) return;
    if (now.has("using") || now.has("typedef") || now.has("static_assert") || now.has("friend") ||
        now.has("namespace"))
      return;
    if (now.has("asm") || now.has("__asm__") || now.has("__asm"))
      return refuse("it has assembler text of its own");
    if (now.is_instantiation) {
      if (!now.has("extern")) refuse(fmt::format("'{}' is instantiated by name", now.name));
      return;
    }
    if (now.has_parameters && !now.has_value && !has_body) return declared(now);
    if (is_class(now) && !now.has("static") && !now.has("const")) {
      // A variable may follow the body: its name was the last word.
      if (!has_body || last_.is("}")) return;
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
      return word == now.name || is_one_of(word, kWords);
    });
  }

  void forget() {
    has_body_ = false;
    is_linkage_ = false;
    is_member_ = {};
  }

  // Each run of blanks and markers as one blank.
  static std::string squeezed(std::string_view head) {
    std::string result;
    for (const std::string_view line : lines_of(head)) {
      if (line.starts_with('#')) continue;
      for (const std::string_view word : split(line, " \t"))
        result.append(result.empty() ? "" : " ").append(word);
    }
    return result;
  }

  std::string_view text_;
  Lexer lexer_;
  Token token_ = {Token::Kind::punctuation, ";", 0, 0};  // so that reading begins
  Token last_, before_last_;
  Lexer::Place last_place_;      // of a closing bracket
  std::size_t open_scopes_ = 0;  // namespaces and linkages
  bool has_body_ = false;        // of this declaration, no function's
  bool is_linkage_ = false;      // extern "C"
  std::string_view is_member_;
  std::map<std::string_view, std::size_t> declared_;  // as a name, at the top
  std::vector<Launcher> launchers_;
  std::string refusal_;
};

}  // namespace

LaunchersOutcome find_launchers(std::string_view text,
                                const std::function<bool(std::string_view)>& is_own) {
  return Reader(text, is_own).read();
}

}  // namespace sagebuild
