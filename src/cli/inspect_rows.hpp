#pragma once
// What there is to tell of a wheel and its modules, as rows: for the terminal and for the page.

#include <string>
#include <vector>

#include "cli/text_lines.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

struct FactRow {
  std::string label;  // "torch"; empty: it goes on with the row before
  std::string text;
  Tone tone = Tone::plain;  // of the label where there is one
  std::vector<std::string> lines = {};
};

// Of the whole wheel: tags, Python, torch, CUDA, system, promise, commit, faults.
std::vector<FactRow> wheel_rows(const WheelFacts& facts, const Promise& promise);
// Of a module: its GPU code by architecture (`kernels`: each kernel's name in `lines`), what it
// needs and wants.
std::vector<FactRow> module_rows(const ModuleFacts& module, bool kernels);

// All images of one kind and architecture.
struct CodeSum {
  std::string name;  // "sm_90a"
  bool relocatable = false;
  std::string text;            // "4 kernels in 2 images, 9.8 kB raw, CUDA 13.0"
  std::uint64_t trapping = 0;  // functions
};
std::vector<CodeSum> code_sums(const GpuCode& code);

Tone tone_of_verdict(std::string_view word);

}  // namespace sagebuild
