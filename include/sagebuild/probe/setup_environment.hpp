#pragma once
// Which of the user's environment variables a setup.py gets. Switches such as FORCE_CUDA decide
// what is built, and nobody knows their names beforehand: so all are passed, but for those of a
// list. Compilers get none of them.

#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// What is passed of `outer`, and what `asked` for (--env), each "NAME" (its value in `outer`) or
// "NAME=VALUE". Held back unless asked for: secrets by their names and URLs with a password, what
// changes Python itself, what compilers read (their part is the plan's), and what tells of the
// session alone (SHLVL, PWD, SSH_*), which no build depends on. Throws Error{usage} for a name that
// is none, is not set, or is sagebuild's own.
Environment setup_variables(const Environment& outer, const std::vector<std::string>& asked);

// Compute capabilities of GPUs that torch.cuda tells setup.py of, "8.9;12.0": one of the variables
// that it gets where --assume-gpus was given (patches/probe/sitecustomize.py).
inline constexpr const char* kGpusVariable = "SAGEBUILD_GPUS";

// Set by sagebuild for each recording, whatever the user has: CUDA_HOME, TORCH_CUDA_ARCH_LIST, CC
// ...
bool is_own_variable(std::string_view name);

// By its name: a token, key, password and their kin. Its value is not for logs.
bool is_secret_variable(std::string_view name);

}  // namespace sagebuild
