#pragma once
// What is built: where it is asked for, where it lies, and what was done to it.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

struct SourceSpec {
  std::string location;  // URL, folder, local repository, .tar.gz
  // Branch, tag, commit (also abbreviated); empty: the default branch, or the folder as it is
  std::string ref;
  bool offline = false;
  // Of setup.py, relative to the source's top; empty: the top, or what a recipe says
  std::string subfolder{};
};

// A private working tree; nothing in it was run.
struct Checkout {
  std::filesystem::path root{};
  std::string location{};  // as asked for, without credentials
  std::string ref{};
  // 40 hex digits; empty for a folder or archive that says none
  std::string commit{};
  // A plain folder whose files differ from its commit, or that has none
  bool dirty = false;
  // Paths left out because a partial repository lacks them (pictures)
  std::vector<std::string> missing{};
};

struct AppliedRule {
  std::string id;
  std::string file;  // relative to the tree
  std::string why;
  int count = 0;  // replacements made; 0 = already done
  bool already_done = false;
};

struct PatchedTree {
  Checkout checkout;
  std::vector<AppliedRule> rules;
};

}  // namespace sagebuild
