#pragma once
// Which headers a source is compiled with: what is tried first, and what after a stage failed.
// Private to this folder.

#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/model/stage.hpp"
#include "sagebuild/nvcc/compile.hpp"

namespace sagebuild::nvcc {

inline constexpr CompileMode kTorchsOwn = {HeaderMode::full, HeaderMode::full, false};
inline constexpr CompileMode kPlain = {HeaderMode::full, HeaderMode::full, true};

HeaderMode header_mode_named(std::string_view name);  // full, if there is no such

// What to try after `mode` failed in `stage`; nothing: the failure is the source's.
std::optional<CompileMode> next_mode(Language language, const CompileMode& mode, Stage stage);

}  // namespace sagebuild::nvcc
