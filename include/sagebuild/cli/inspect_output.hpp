#pragma once
// What `inspect` and `verify` print.

#include <nlohmann/json.hpp>
#include <string>

#include "sagebuild/app/gpu_report.hpp"
#include "sagebuild/app/inspect.hpp"

namespace sagebuild {

struct TextStyle {
  bool color = false;
  std::size_t width = 0;  // columns; 0: lines are not broken
  bool kernels = false;   // every kernel's name
};

std::string inspect_text(const WheelFacts& facts, const Promise& promise, const TextStyle& style);
// The same as one page that asks nothing of a network: a heat map of modules and GPUs, what is in
// each module. Every text of the file is escaped.
std::string inspect_html(const WheelFacts& facts, const Promise& promise);
// Schema "sagebuild.inspect/1", docs/inspect.md, "The JSON document".
nlohmann::ordered_json inspect_document(const WheelFacts& facts, const Promise& promise);
// A line for each image of GPU code, by what its header says, and the same as the schema
// "sagebuild.images/1".
std::string images_text(const WheelFacts& facts, const TextStyle& style);
nlohmann::ordered_json images_document(const WheelFacts& facts);
// What is in `other` and not in `facts`, and the other way round. Empty: nothing differs.
std::string difference_text(const WheelFacts& facts, const WheelFacts& other);

std::string findings_text(const Verification& verification, const TextStyle& style);
// Schema "sagebuild.verify/1".
nlohmann::ordered_json findings_document(const Verification& verification);
// SARIF 2.1.0, as code scanning takes it.
nlohmann::ordered_json sarif_document(const Verification& verification);
// What --gpu found: the GPU, and a table of the functions. Empty lines and findings apart.
std::string gpu_text(const GpuReport& report, const TextStyle& style);
// The object `gpu` of "sagebuild.verify/1".
nlohmann::ordered_json gpu_document(const GpuReport& report);
std::string explained(const FindingKind& kind);

}  // namespace sagebuild
