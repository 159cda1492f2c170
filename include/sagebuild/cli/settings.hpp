#pragma once
// Every setting of a command, merged once: flag > environment > sagebuild.toml > default.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// One row of the table that flags, SAGEBUILD_* variables, the file's keys and --show-settings are
// made from.
struct SettingSpec {
  // "cuda-home": flag --cuda-home, variable SAGEBUILD_CUDA_HOME, key cuda-home
  std::string_view name;
  std::string_view help;
  std::string_view fallback = "";  // the default; empty: none
  // Variables of other tools that are honoured after ours
  std::vector<std::string_view> foreign = {};
  bool is_switch = false;
  // May stand several times; one value a line in the variable, an array in the file
  bool is_list = false;
  // The variable and the key of this name are another command's
  bool flag_only = false;
};

struct SettingValue {
  std::string text;
  // "--arch", "SAGEBUILD_ARCH", "TORCH_CUDA_ARCH_LIST", "sagebuild.toml:3", "default"
  std::string origin;
  bool is_foreign = false;  // from a variable of another tool, which may be meant for others
};

class Settings {
 public:
  // `flags` holds what was on the command line. The file's other keys are an error with the nearest
  // name (it may hold settings of other commands: `known` are all names there are).
  static Settings merge(const std::vector<SettingSpec>& specs,
                        const std::map<std::string, std::string>& flags, const Environment& env,
                        const std::optional<std::filesystem::path>& file,
                        const std::vector<std::string>& known);

  // Nothing if neither set nor defaulted.
  std::optional<SettingValue> find(std::string_view name) const;
  std::string text(std::string_view name) const;  // empty if there is none
  std::optional<std::string> optional_text(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;  // of a setting with is_list
  // 1, true, yes, on. Anything else but 0, false, no, off: Error{usage}
  bool enabled(std::string_view name) const;
  // Throws Error{usage} naming the origin.
  std::optional<unsigned> number(std::string_view name) const;
  // Bytes of "4G", "1.5G", "512MB" (decimal units), "4GiB" (binary ones). Without a unit only what
  // can be bytes.
  std::optional<std::uint64_t> size(std::string_view name) const;

  // Those whose names begin with `prefix`, without it, and all others: `build --upload-branch` is
  // what `upload` calls --branch.
  Settings without_prefix(std::string_view prefix) const;
  // "--branch", or "--upload-branch" of such settings: for messages.
  std::string flag(std::string_view name) const;

  // Throws Error{usage} if one of `specs` stands on the command line, where it does nothing without
  // `needed` ("--upload"): a misunderstanding. A variable or a file may be meant for other runs.
  void require_unused(const std::vector<SettingSpec>& specs, std::string_view needed,
                      std::string_view hint) const;

  // Of --show-settings: all of them, set or not. Of `env` the values of secrets are hidden.
  std::string table() const;
  std::string json() const;  // the same as one document

 private:
  static std::string shown(const SettingValue& value);

  std::vector<std::string> names_;  // in the command's order
  std::map<std::string, SettingValue, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> flags_;  // of names that lost a prefix
};

// A variable SAGEBUILD_X that no setting has: most likely a typing error that would change nothing.
struct UnknownVariable {
  std::string name;
  std::string near;  // what was meant; may be empty
};
std::vector<UnknownVariable> unknown_variables(const Environment& env,
                                               const std::vector<std::string>& known);

}  // namespace sagebuild
