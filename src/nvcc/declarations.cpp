#include "declarations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sagebuild/base/strings.hpp"

namespace sagebuild::nvcc {
namespace {

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

// Variables that outlive their function: `static` in a body, where it is not constexpr.
struct Statics {
  std::size_t count = 0;
  bool is_behind = false;

  void see(const Token& token) {
    if (is_behind && !token.is("constexpr")) ++count;
    is_behind = token.is("static");
  }
};

}  // namespace

std::optional<Declaration> DeclarationReader::next() {
  while (token_.kind != Token::Kind::end) {
    if (auto declaration = read_declaration()) return declaration;
  }
  if (open_scopes_ > 0) throw NotUnderstood{"its braces do not match"};
  return std::nullopt;
}

// Nothing: a namespace or a linkage begins or ends, or the text does.
std::optional<Declaration> DeclarationReader::read_declaration() {
  Declaration now;
  now.is_own = lexer_.in_own();
  const std::size_t begin = token_.begin;
  last_ = {};
  while (true) {
    if (token_.kind == Token::Kind::end) {
      if (!now.words.empty()) throw NotUnderstood{"it ends within a declaration"};
      return std::nullopt;
    }
    if (token_.is(";")) {
      now.has_members = has_members_;
      now.ends_in_brace = last_.is("}");
      advance();
      forget();
      return now;
    }
    if (token_.is("}")) {
      if (open_scopes_ == 0) throw NotUnderstood{"its braces do not match"};
      --open_scopes_;
      advance();
      return std::nullopt;
    }
    if (token_.is("{")) {
      if (opens_scope(now))
        return now.is_unnamed_namespace ? std::optional(std::move(now)) : std::nullopt;
      now.head = text_.substr(begin, token_.begin - begin);
      if (now.has_parameters && !now.has_value && !now.is_class()) {
        if (read_body(now)) return now;
      } else {
        skip_members(now);
      }
      continue;
    }
    read_token(now);
  }
}

// Whether a namespace or a linkage begins here; then its brace is passed.
bool DeclarationReader::opens_scope(Declaration& now) {
  const bool is_namespace = now.has("namespace") && !now.has_value && !now.has_parameters;
  const bool is_linkage = now.words.size() == 1 && now.has("extern") && is_linkage_;
  if (!is_namespace && !is_linkage) return false;
  constexpr std::array<std::string_view, 4> kNoNames = {"namespace", "inline", "__attribute__",
                                                        "__attribute"};
  const bool has_name = std::ranges::any_of(
      now.words, [&](std::string_view word) { return !is_one_of(word, kNoNames); });
  now.is_unnamed_namespace = is_namespace && !has_name;
  ++open_scopes_;
  is_linkage_ = false;
  advance();
  return true;
}

void DeclarationReader::read_token(Declaration& now) {
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

void DeclarationReader::read_parentheses(Declaration& now) {
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

void DeclarationReader::read_value(Declaration& now) {
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

void DeclarationReader::read_operator(Declaration& now) {
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

void DeclarationReader::read_template(Declaration& now) {
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
bool DeclarationReader::read_body(Declaration& now) {
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
  now.is_own = now.is_own || in_own;
  now.body = std::move(body);
  forget();
  return true;
}

// The body of a class, or a value in braces. Functions of a class may have state of their own.
void DeclarationReader::skip_members(const Declaration& now) {
  std::size_t depth = 0;
  Statics statics;
  skip_group("{", "}", [&](const Token& token) {
    if (token.is("{")) ++depth;
    if (token.is("}")) --depth;
    if (depth > 1) statics.see(token);
  });
  has_members_ = true;
  if (now.is_own && statics.count > 0)
    throw NotUnderstood{fmt::format("a function in '{}' has a static variable", now.name)};
}

// From an opening bracket behind its closing one; calls `inside` for each token between them.
template <class Inside>
void DeclarationReader::skip_group(std::string_view open, std::string_view close, Inside inside) {
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

void DeclarationReader::skip_group(std::string_view open, std::string_view close) {
  skip_group(open, close, [](const Token&) {});
}

// Template arguments: a `>` in parentheses is a comparison.
void DeclarationReader::skip_angles() {
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
      if (lexer_.in_own()) throw NotUnderstood{"its template arguments are not understood"};
      return;
    }
    if (token_.is("<") && is_behind_word) ++depth;
    if (token_.is(">")) --depth;
    is_behind_word = token_.kind == Token::Kind::word;
    advance();
  } while (depth > 0);
}

void DeclarationReader::forget() {
  has_members_ = false;
  is_linkage_ = false;
  is_member_ = {};
}

}  // namespace sagebuild::nvcc
