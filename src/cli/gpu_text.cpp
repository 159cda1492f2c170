#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/text_lines.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/inspect_output.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::array<std::string, 7>;

// The worst of all cases; a dash where one gave no number, or none was finished.
std::string worst(const CheckedFunction& function, std::optional<double> GpuCase::*measure,
                  bool is_least) {
  std::optional<double> found;
  for (const GpuCase& one : function.cases) {
    if (!(one.*measure)) return "-";
    if (!found || (is_least ? *(one.*measure) < *found : *(one.*measure) > *found))
      found = one.*measure;
  }
  return found ? fmt::format("{:.5f}", *found) : "-";
}

std::string time_text(const std::optional<double>& milliseconds) {
  return milliseconds ? fmt::format("{:.3g}", *milliseconds) : "-";
}

Row row_of(const CheckedFunction& function) {
  return {named(function.check),
          function.outcome(),
          std::to_string(function.cases.size()),
          worst(function, &GpuCase::similarity, true),
          worst(function, &GpuCase::relative_l1, false),
          time_text(function.milliseconds),
          time_text(function.sdpa_milliseconds)};
}

Tone tone_of(const std::string& outcome) {
  return outcome == "right" ? Tone::good : outcome == "left out" ? Tone::plain : Tone::bad;
}

std::string table_text(const std::vector<Row>& rows, bool color) {
  std::array<std::size_t, 7> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    const bool is_head = &row == &rows.front();
    const std::string outcome = fmt::format("{:<{}}", row[1], widths[1]);
    text += fmt::format("  {:<{}}  {}", printable_line(row[0]), widths[0],
                        is_head ? outcome : toned(outcome, tone_of(row[1]), color));
    for (std::size_t i = 2; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
    text += '\n';
  }
  return text;
}

// Then a finding says it once.
bool is_left_out_whole(const GpuReport& report) {
  return std::ranges::all_of(report.functions, [&](const CheckedFunction& one) {
    return !one.left_out.empty() && one.left_out == report.functions.front().left_out;
  });
}

Json case_json(const GpuCase& one) {
  return {{"dtype", one.dtype},    {"layout", one.layout}, {"head_dim", one.head_dim},
          {"causal", one.causal},  {"heads", one.heads},   {"key_heads", one.key_heads},
          {"lengths", one.lengths}};
}

Json number_json(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json function_json(const CheckedFunction& function) {
  Json cases = Json::array();
  for (const GpuCase& one : function.cases) {
    Json row = case_json(one);
    row["similarity"] = number_json(one.similarity);
    row["relative_l1"] = number_json(one.relative_l1);
    cases.push_back(std::move(row));
  }
  Json arguments = Json::object();
  for (const auto& [name, value] : function.check.arguments)
    std::visit([&](const auto& plain) { arguments[name] = plain; }, value);
  Json document = {{"function", function.check.function},
                   {"arguments", arguments},
                   {"outcome", function.outcome()},
                   {"reason", function.left_out.empty() ? function.failure : function.left_out},
                   {"similarity_at_least", function.check.similarity},
                   {"relative_l1_at_most", function.check.relative_l1},
                   {"cases", cases},
                   {"milliseconds", number_json(function.milliseconds)},
                   {"sdpa_milliseconds", number_json(function.sdpa_milliseconds)}};
  document["timed"] = function.timed ? case_json(*function.timed) : Json();
  return document;
}

}  // namespace

std::string gpu_text(const GpuReport& report, const TextStyle& style) {
  const GpuDevice& device = report.device;
  std::string text = fmt::format("{}, compute capability {}; torch {} for CUDA {}\n",
                                 printable_line(device.name), dotted(device.capability),
                                 printable_line(device.torch), printable_line(device.cuda));
  std::vector<Row> rows = {{"function", "", "cases", "similarity", "relative L1", "ms", "SDPA ms"}};
  std::string left_out;
  std::optional<GpuCase> timed;
  for (const CheckedFunction& function : report.functions) {
    if (function.left_out.empty())
      rows.push_back(row_of(function));
    else
      left_out += filled(
          "  ", 2,
          printable_line(fmt::format("{} left out: {}", named(function.check), function.left_out)),
          4, style.width);
    if (!timed && function.timed) timed = function.timed;
  }
  if (rows.size() > 1) text += table_text(rows, style.color);
  if (!is_left_out_whole(report)) text += left_out;
  if (timed)
    text += filled("  ", 2,
                   fmt::format("similarity and relative L1 are those of the worst head and run of "
                               "rows, against torch in float32; ms for {}",
                               printable_line(described(*timed))),
                   4, style.width);
  return text;
}

Json gpu_document(const GpuReport& report) {
  Json functions = Json::array();
  for (const CheckedFunction& function : report.functions)
    functions.push_back(function_json(function));
  return {{"name", report.device.name},   {"capability", dotted(report.device.capability)},
          {"torch", report.device.torch}, {"cuda", report.device.cuda},
          {"python", report.python},      {"warnings", report.device.warnings},
          {"functions", functions}};
}

}  // namespace sagebuild
