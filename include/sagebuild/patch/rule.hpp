#pragma once
// Patch rules as data: the [[shape]], [[rule]] and [insert] parts of patches/NAME.toml. Patterns
// are RE2; a rule also has a scope, because RE2 has neither lookahead nor backreferences.
// For whoever writes rules: docs/recipes.md, "Rules".

#include <cstddef>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sagebuild/model/recipe.hpp"

namespace re2 {
class RE2;
}

namespace sagebuild {

// A compiled pattern that can be copied. Empty: none was given.
using Pattern = std::shared_ptr<const re2::RE2>;

// Where a pattern is tried.
enum class Scope {
  file,   // the whole text
  line,   // each line, with its newline
  block,  // from each line that matches `start` to the end of its indented block
  call,   // from each match of `start` to the bracket that closes its first one
};

struct MatchCount {
  std::size_t least = 1;
  std::size_t most = 1;
  bool fits(std::size_t count) const { return count >= least && count <= most; }
  std::string text() const;  // "1 match", "at least 2 matches"
};

struct Rule {
  std::string id;
  std::string file;  // relative to the folder of setup.py
  std::string why;
  std::string place;                // "patches/x.toml:12"
  std::vector<std::string> shapes;  // empty: every shape
  std::vector<Pattern> when;        // all must be in the file, else the rule is not for it
  std::vector<Pattern> unless;      // none may be
  Scope scope = Scope::line;
  Pattern start;  // block and call only
  Pattern pattern;
  std::string replacement;  // \0..\9 are captures, {{name}} an insert or a value
  MatchCount count;
  bool prose = false;          // a match may begin inside a comment or string
  bool every = false;          // every scope found must match
  bool optional_file = false;  // no such file: the rule is not for this tree
  // `build` does the same by itself, so nothing is lost where the rule does not fit
  bool planned = false;
  // Is in the file once the rule was applied, or where upstream fixed it
  Pattern done;
  std::vector<Pattern> gone;  // must not be in the result's code
};

// One way in which upstream wrote setup.py.
struct Shape {
  std::string name;
  std::vector<Pattern> when;
  std::vector<Pattern> unless;
  std::string refuse;  // not empty: why this shape cannot be patched
  bool as_is = false;  // right by itself: the rules for setup.py are not for it
  std::string note;    // what the user must know of it even so
};

struct RuleSet {
  std::string recipe;
  std::vector<Shape> shapes;  // the first that fits is taken; none: refused
  std::vector<Rule> rules;
  std::map<std::string, std::string> values;  // inserts
  // {{module_table}} is made of those that the file names
  std::vector<RecipeModule> modules;
};

// Reads the rules of a recipe's file. Throws Error{usage} with file and line for a pattern that
// does not compile, a capture or a {{name}} that does not exist, an unknown scope, a second rule of
// the same id, a rule without a reason.
RuleSet load_rules(const Recipe& recipe);

// The value `module_table`: lines of a Python dictionary, `"_fused": {"8.0": ("80", "80", False),
// ...},`, so that the plan and a patched setup.py have one truth.
std::string module_table(const std::vector<RecipeModule>& modules);

}  // namespace sagebuild
