#include "sagebuild/probe/setup_environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using Name = std::string_view;

constexpr std::array<Name, 17> kOwn = {"PATH",
                                       "CUDA_HOME",
                                       "CUDA_PATH",
                                       "CC",
                                       "CXX",
                                       "LDSHARED",
                                       "TMPDIR",
                                       "TORCH_CUDA_ARCH_LIST",
                                       "TORCH_EXTENSION_SKIP_NVCC_GEN_DEPENDENCIES",
                                       "MAX_JOBS",
                                       "PYTORCH_NVCC",
                                       "LC_ALL",
                                       "NO_COLOR",
                                       "CLICOLOR",
                                       "PYTHONHASHSEED",
                                       "PYTHONPATH",
                                       kGpusVariable};

constexpr std::array<Name, 12> kSecretParts = {
    "TOKEN",      "KEY",    "PASSWORD", "PASSWD",        "PASSPHRASE", "PASSWRD",
    "CREDENTIAL", "SECRET", "COOKIE",   "AUTHORIZATION", "BEARER",     "NETRC"};

// Whole names, which are parts of harmless ones
constexpr std::array<Name, 4> kSecretNames = {"PASS", "PW", "PIN", "PAT"};

// What changes compilers, linkers and Python by itself. pip would let it into the wheel; here it
// must be asked for.
constexpr std::array<Name, 29> kTools = {"CPATH",
                                         "C_INCLUDE_PATH",
                                         "CPLUS_INCLUDE_PATH",
                                         "OBJC_INCLUDE_PATH",
                                         "LIBRARY_PATH",
                                         "COMPILER_PATH",
                                         "GCC_EXEC_PREFIX",
                                         "CFLAGS",
                                         "CXXFLAGS",
                                         "CPPFLAGS",
                                         "LDFLAGS",
                                         "LDCXXSHARED",
                                         "ARFLAGS",
                                         "AR",
                                         "AS",
                                         "LD",
                                         "NM",
                                         "CPP",
                                         "RANLIB",
                                         "STRIP",
                                         "CUDAFLAGS",
                                         "CUDAARCHS",
                                         "CUDAHOSTCXX",
                                         "NVCC_CCBIN",
                                         "NVCC_APPEND_FLAGS",
                                         "NVCC_PREPEND_FLAGS",
                                         "BASH_ENV",
                                         "ENV",
                                         "DEPENDENCIES_OUTPUT"};
constexpr std::array<Name, 8> kToolPrefixes = {"LD_",        "PYTHON",  "_PYTHON",  "_CONDA_PYTHON",
                                               "BASH_FUNC_", "CCACHE_", "SCCACHE_", "SAGEBUILD_"};

// Other at each login or shell, so that with them no recording would be found again.
constexpr std::array<Name, 26> kSession = {
    "_",           "SHLVL",    "PWD",      "OLDPWD",        "TERM",
    "COLORTERM",   "COLUMNS",  "LINES",    "DISPLAY",       "PS1",
    "PS2",         "LANG",     "LANGUAGE", "LS_COLORS",     "LESSOPEN",
    "LESSCLOSE",   "PAGER",    "EDITOR",   "VISUAL",        "MAIL",
    "SHELL",       "HOSTNAME", "WINDOWID", "INVOCATION_ID", "JOURNAL_STREAM",
    "SUDO_COMMAND"};
// Of GITHUB_* these are files of the running job, which later steps read.
constexpr std::array<Name, 18> kSessionPrefixes = {"LC_",
                                                   "XDG_",
                                                   "SSH_",
                                                   "DBUS_",
                                                   "TMUX",
                                                   "STY",
                                                   "GPG_",
                                                   "HIST",
                                                   "WAYLAND_",
                                                   "TERM_",
                                                   "VSCODE_",
                                                   "KITTY_",
                                                   "GITHUB_ENV",
                                                   "GITHUB_OUTPUT",
                                                   "GITHUB_PATH",
                                                   "GITHUB_STATE",
                                                   "GITHUB_STEP_SUMMARY",
                                                   "SYSTEMD_"};

bool is_one_of(std::string_view name, const auto& names) {
  return std::ranges::find(names, name) != names.end();
}

bool starts_with_one_of(std::string_view name, const auto& prefixes) {
  return std::ranges::any_of(prefixes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_held_back(std::string_view name, const std::string& value) {
  return is_secret_variable(name) || redacted(value) != value || is_one_of(name, kTools) ||
         starts_with_one_of(name, kToolPrefixes) || is_one_of(name, kSession) ||
         starts_with_one_of(name, kSessionPrefixes);
}

bool is_name(std::string_view text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::ranges::all_of(text, [](char c) {
           return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
         });
}

void add_asked(Environment& passed, const Environment& outer, std::string_view word) {
  const auto equals = word.find('=');
  const std::string name(word.substr(0, equals));
  const auto fail = [&](const std::string& cause, const std::string& hint) {
    throw Error(ErrorKind::usage, fmt::format("cannot pass the variable '{}' to setup.py", name),
                {cause}, hint);
  };
  if (!is_name(name)) fail("that is no name of a variable", "--env takes NAME or NAME=VALUE");
  if (is_own_variable(name))
    fail("sagebuild sets it itself", "see --arch, --cuda-home, --jobs and --python");
  if (equals != std::string_view::npos) {
    passed.insert_or_assign(name, std::string(word.substr(equals + 1)));
    return;
  }
  const auto found = outer.find(name);
  if (found == outer.end())
    fail("it is not set", fmt::format("give its value: --env {}=VALUE", name));
  passed.insert_or_assign(name, found->second);
}

}  // namespace

bool is_own_variable(std::string_view name) {
  return is_one_of(name, kOwn) || name.starts_with("SAGEBUILD_");
}

bool is_secret_variable(std::string_view name) {
  std::string upper;
  for (const char c : name) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper.ends_with("_AUTH") || upper.ends_with("_PAT") || is_one_of(upper, kSecretNames) ||
         std::ranges::any_of(kSecretParts, [&](std::string_view part) {
           return upper.find(part) != std::string::npos;
         });
}

Environment setup_variables(const Environment& outer, const std::vector<std::string>& asked) {
  const Environment base = clean_environment();
  Environment passed;
  for (const auto& [name, value] : outer) {
    // "BASH_FUNC_x%%" and other names that are none.
    if (is_name(name) && !base.contains(name) && !is_own_variable(name) &&
        !is_held_back(name, value))
      passed.emplace(name, value);
  }
  for (const std::string& word : asked) add_asked(passed, outer, word);
  return passed;
}

}  // namespace sagebuild
