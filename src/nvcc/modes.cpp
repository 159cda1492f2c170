#include "modes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sagebuild {
namespace nvcc {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"facade", "binding", "full"};

using enum HeaderMode;

// Any stage, or those of the host half: torch's own headers on the host fit beside a facade in the
// device pass. The other way round would only be slow.
enum class Failed { anywhere, on_host };

struct Row {
  Language language;
  CompileMode mode;
  Failed failed;
  std::optional<CompileMode> next;
};

// The first row that fits counts.
constexpr std::array<Row, 7> kWays = {{
    {Language::cuda, {facade, facade, false}, Failed::on_host, CompileMode{facade, full, false}},
    {Language::cuda, {facade, facade, false}, Failed::anywhere, kTorchsOwn},
    {Language::cuda, {facade, full, false}, Failed::anywhere, kTorchsOwn},
    {Language::cuda, kTorchsOwn, Failed::anywhere, kPlain},
    {Language::cuda, kPlain, Failed::anywhere, std::nullopt},
    {Language::cxx, {binding, binding, false}, Failed::anywhere, kTorchsOwn},
    {Language::c, {binding, binding, false}, Failed::anywhere, kTorchsOwn},
}};

bool is_of_host(Stage stage) {
  using enum Stage;
  constexpr std::array kHost = {host_preprocess, cudafe, host_compile, host_header_check,
                                host_header_proof};
  return std::ranges::find(kHost, stage) != kHost.end();
}

}  // namespace

HeaderMode header_mode_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  return found == kNames.end() ? full : static_cast<HeaderMode>(found - kNames.begin());
}

std::optional<CompileMode> next_mode(Language language, const CompileMode& mode, Stage stage) {
  // No other headers mend a plan that makes code for one architecture from another's PTX.
  if (stage == Stage::pair_proof) return std::nullopt;
  const auto row = std::ranges::find_if(kWays, [&](const Row& one) {
    return one.language == language && one.mode == mode &&
           (one.failed == Failed::anywhere || is_of_host(stage));
  });
  return row == kWays.end() ? std::nullopt : row->next;
}

}  // namespace nvcc

std::string_view name_of(HeaderMode mode) { return nvcc::kNames[static_cast<std::size_t>(mode)]; }

namespace {

constexpr std::array<std::string_view, 4> kChoices = {"auto", "facade", "full", "check"};

}  // namespace

std::string_view name_of(HeaderChoice choice) { return kChoices[static_cast<std::size_t>(choice)]; }

std::optional<HeaderChoice> header_choice_named(std::string_view name) {
  const auto found = std::ranges::find(kChoices, name);
  if (found == kChoices.end()) return std::nullopt;
  return static_cast<HeaderChoice>(found - kChoices.begin());
}

std::string describe(const CompileMode& mode) {
  if (mode.plain) return "plain nvcc";
  if (mode.device == mode.host) return fmt::format("{} headers", name_of(mode.host));
  return fmt::format("{} device, {} host headers", name_of(mode.device), name_of(mode.host));
}

}  // namespace sagebuild
