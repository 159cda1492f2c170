#pragma once
// The declarations at namespace scope of a preprocessed text, one after the other, as far as it
// takes to tell what each one is: what that means is launchers.cpp's to say. Private to this
// folder.

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lexer.hpp"

namespace sagebuild::nvcc {

// A function's body, and what is in it.
struct Body {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t launches = 0;
  std::string marker;        // the line marker for what follows
  bool has_statics = false;  // variables that outlive it
  bool has_lasting_pragma = false;
};

// What the text of a declaration says, up to its body or its end.
struct Declaration {
  std::set<std::string_view> words;       // outside of all brackets: "static", "inline" ...
  std::set<std::string_view> attributes;  // "global", "device", "constructor" ...
  std::string head;
  std::string_view name;     // before the parameters, else the last word
  std::optional<Body> body;  // of a function
  bool is_own = false;       // the project's
  bool is_template = false;
  bool is_specialised = false;        // template<>
  bool is_instantiation = false;      // template without <
  bool is_unnamed_namespace = false;  // the beginning of one
  bool has_parameters = false;
  bool has_value = false;      // "= ..."
  bool has_members = false;    // in braces: a class, or a variable's value
  bool ends_in_brace = false;  // nothing stands between the members and the semicolon
  bool is_odd = false;         // a member, an operator, a constructor, a pointer to a function
  bool is_computed = false;    // its value, by a call or an increment
  bool is_constant = false;    // what is named, if it is a variable

  bool has(std::string_view word) const { return words.contains(word); }
  bool is_type() const {
    return has("struct") || has("class") || has("union") || has("enum") || has("concept");
  }
  // struct, but no function that gives or takes one.
  bool is_class() const { return is_type() && !has_parameters; }
  // What each unit may have for itself.
  bool is_inline() const {
    return has("inline") || has("constexpr") || has("consteval") || has("__inline__") ||
           has("__inline") || has("__forceinline__");
  }
};

// Thrown where the text is not understood, or has state that no declaration at namespace scope
// shows.
struct NotUnderstood {
  std::string why;
};

class DeclarationReader {
 public:
  // As for Lexer.
  DeclarationReader(std::string_view text, const std::function<bool(std::string_view)>& is_own)
      : text_(text), lexer_(text, is_own) {}

  // Nothing behind the last one. Namespaces and linkages are entered; of them only the beginning of
  // an unnamed namespace is given. Throws NotUnderstood; then there is no next one.
  std::optional<Declaration> next();

  // How often a word stood in files of the project's, so far.
  std::size_t uses(std::string_view word) const { return lexer_.uses(word); }

 private:
  void advance() { token_ = lexer_.next(); }
  template <class Inside>
  void skip_group(std::string_view open, std::string_view close, Inside inside);
  void skip_group(std::string_view open, std::string_view close);
  void skip_angles();
  std::optional<Declaration> read_declaration();
  bool opens_scope(Declaration& now);
  void read_token(Declaration& now);
  void read_parentheses(Declaration& now);
  void read_value(Declaration& now);
  void read_operator(Declaration& now);
  void read_template(Declaration& now);
  bool read_body(Declaration& now);
  void skip_members(const Declaration& now);
  void forget();

  std::string_view text_;
  Lexer lexer_;
  Token token_ = {Token::Kind::punctuation, ";", 0, 0};  // so that reading begins
  Token last_, before_last_;
  Lexer::Place last_place_;      // of a closing bracket
  std::size_t open_scopes_ = 0;  // namespaces and linkages
  bool has_members_ = false;     // of this declaration
  bool is_linkage_ = false;      // extern "C"
  std::string_view is_member_;
};

}  // namespace sagebuild::nvcc
