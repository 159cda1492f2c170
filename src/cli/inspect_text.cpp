#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/inspect_rows.hpp"
#include "cli/text_lines.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/inspect_output.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/verify/verdict.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kIndent = 15;

std::string title_line(std::string_view text, std::uint64_t size, const TextStyle& style) {
  return fmt::format("{}  {}\n", toned(printable_line(text), Tone::strong, style.color),
                     human_size(size));
}

class Report {
 public:
  Report(const WheelFacts& facts, const Promise& promise, const TextStyle& style)
      : facts_(facts), promise_(promise), style_(style) {}

  std::string run() {
    text_ += title_line(facts_.file, facts_.size, style_);
    for (const FactRow& fact : wheel_rows(facts_, promise_)) row(fact);
    gpus();
    for (const ModuleFacts& module : facts_.modules) {
      text_ += '\n';
      text_ += title_line(module.path, module.size, style_);
      for (const FactRow& fact : module_rows(module, style_.kernels)) row(fact);
    }
    for (const std::string& lost : facts_.unreadable) row({"unreadable", lost, Tone::bad});
    if (facts_.modules.empty() && facts_.unreadable.empty())
      text_ += "\nthere is no library in it\n";
    return std::move(text_);
  }

 private:
  void row(const FactRow& fact) {
    const bool goes_on = fact.label.empty();
    const std::string text = printable_line(fact.text);
    text_ += filled(fmt::format("  {}", goes_on ? "" : toned(fact.label, fact.tone, style_.color)),
                    fact.label.size() + 2, goes_on ? toned(text, fact.tone, style_.color) : text,
                    kIndent, style_.width);
    for (const std::string& line : fact.lines)
      text_ += fmt::format("    {}\n", printable_line(line));
  }

  void gpus() {
    const std::vector<GpuVerdict> all = verdicts(facts_, promise_);
    if (all.empty()) return;
    text_ += fmt::format("\n{}\n", toned("runs on", Tone::strong, style_.color));
    for (const GpuVerdict& verdict : all) {
      const Tone tone = tone_of_verdict(verdict.word);
      std::string gpu = described_gpu(verdict.gpu);
      constexpr std::size_t kGpu = 33, kWord = 8;
      // On a narrow terminal the reason stands below.
      const bool narrow = style_.width != 0 && style_.width < 80;
      const std::string head =
          fmt::format("  {:<{}} {}", gpu, kGpu, toned(verdict.word, tone, style_.color));
      const std::size_t width = 3 + kGpu + verdict.word.size();
      if (narrow) {
        text_ += head + "\n" + filled("", 0, printable_line(verdict.reason), 6, style_.width);
      } else {
        text_ +=
            filled(head, width, printable_line(verdict.reason), 3 + kGpu + kWord, style_.width);
      }
    }
  }

  const WheelFacts& facts_;
  const Promise& promise_;
  const TextStyle& style_;
  std::string text_;
};

}  // namespace

std::string inspect_text(const WheelFacts& facts, const Promise& promise, const TextStyle& style) {
  return Report(facts, promise, style).run();
}

std::string images_text(const WheelFacts& facts, const TextStyle& style) {
  std::string text;
  for (const ModuleFacts& module : facts.modules) {
    text += title_line(module.path, module.size, style);
    for (const GpuContainer& container : module.gpu.containers) {
      const std::string place = fmt::format("{} {:#x}", container.section, container.offset);
      for (const GpuImage& image : container.images)
        text += printable_line(fmt::format("  {:<26} {:<12} {:>9}  {:<9} {:>9} unpacked", place,
                                           name_of(image), human_size(image.stored),
                                           name_of(image.codec), human_size(image.unpacked))) +
                "\n";
    }
    if (module.gpu.containers.empty() && module.gpu.faults.empty()) text += "  no GPU code\n";
    for (const std::string& fault : module.gpu.faults)
      text += fmt::format("  damaged: {}\n", printable_line(fault));
  }
  for (const std::string& lost : facts.unreadable)
    text += fmt::format("unreadable: {}\n", printable_line(lost));
  return text.empty() ? "there is no library in it\n" : text;
}

namespace {

using Lines = std::map<std::string, std::string>;

// What is compared: a line for each thing, by its name.
Lines compared(const WheelFacts& facts) {
  Lines lines;
  if (facts.is_wheel) {
    for (const char* field : {"Requires-Python", "Requires-Dist"})
      lines[field] = join(metadata_fields(facts.metadata, field), "; ");
    if (facts.name)
      lines["tags"] =
          fmt::format("{}-{}-{}", facts.name->python, facts.name->abi, facts.name->platform);
  }
  for (const ModuleFacts& module : facts.modules) {
    const std::string stem = stem_of(module);
    lines[stem + " size"] = human_size(module.size);
    lines[stem + " needs"] = join(module.needed, " ");
    lines[stem + " RPATH"] = join(module.run_paths, ":");
    lines[stem + " system"] = distributions_for(module.floors);
    for (const CodeSum& sum : code_sums(module.gpu))
      lines[fmt::format("{} {}{}", stem, sum.name, sum.relocatable ? " relocatable" : "")] =
          sum.text + (sum.trapping == 0 ? "" : fmt::format(", {} trap", sum.trapping));
  }
  return lines;
}

}  // namespace

std::string difference_text(const WheelFacts& facts, const WheelFacts& other) {
  const Lines mine = compared(facts), theirs = compared(other);
  std::string text;
  for (const auto& [name, line] : mine) {
    const auto found = theirs.find(name);
    if (found == theirs.end())
      text += fmt::format("- {}: {}\n", printable_line(name), printable_line(line));
    else if (found->second != line)
      text += fmt::format("- {}: {}\n+ {}: {}\n", printable_line(name), printable_line(line),
                          printable_line(name), printable_line(found->second));
  }
  for (const auto& [name, line] : theirs)
    if (!mine.contains(name))
      text += fmt::format("+ {}: {}\n", printable_line(name), printable_line(line));
  return text;
}

}  // namespace sagebuild
