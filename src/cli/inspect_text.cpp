#include <fmt/format.h>

#include <algorithm>
#include <map>

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

// Everything of one architecture in a module.
struct ImageSum {
  std::size_t images = 0;
  std::size_t with_kernels = 0;
  std::uint64_t kernels = 0;
  std::uint64_t trapping = 0;
  std::uint64_t stored = 0;
  std::uint64_t unpacked = 0;
  std::map<std::string, std::size_t> codecs;
  Version isa;
  Version toolkit;
};

using Key = std::tuple<bool, ImageKind, Arch, std::string>;

std::map<Key, ImageSum> sums_of(const GpuCode& code) {
  std::map<Key, ImageSum> sums;
  for (const GpuContainer& container : code.containers) {
    for (const GpuImage& image : container.images) {
      ImageSum& sum = sums[{container.relocatable, image.kind, image.arch, name_of(image)}];
      ++sum.images;
      sum.with_kernels += image.kernels != 0 ? 1U : 0U;
      sum.kernels += image.kernels;
      sum.trapping += image.trapping.size();
      sum.stored += image.stored;
      sum.unpacked += image.unpacked;
      ++sum.codecs[name_of(image.codec)];
      sum.isa = std::max(sum.isa, image.ptx_isa);
      sum.toolkit = std::max(sum.toolkit, image.toolkit);
    }
  }
  return sums;
}

std::string codecs_of(const ImageSum& sum) {
  std::vector<std::string> names;
  for (const auto& [name, count] : sum.codecs) names.push_back(name == "none" ? "raw" : name);
  return join(names, " and ");
}

std::string described(const ImageSum& sum) {
  std::string text = counted(sum.kernels, "kernel");
  if (sum.images > 1) text += fmt::format(" in {} images", sum.images);
  text += fmt::format(", {} {}", human_size(sum.stored), codecs_of(sum));
  if (sum.unpacked > sum.stored) text += fmt::format(" ({} unpacked)", human_size(sum.unpacked));
  if (!sum.isa.empty())
    text += fmt::format(", PTX {} (CUDA {})", sum.isa.text(), cuda_of_isa(sum.isa));
  if (!sum.toolkit.empty()) text += fmt::format(", CUDA {}", sum.toolkit.text());
  return text;
}

class Report {
 public:
  Report(const WheelFacts& facts, const Promise& promise, const TextStyle& style)
      : facts_(facts), promise_(promise), style_(style) {}

  std::string run() {
    head();
    gpus();
    for (const ModuleFacts& module : facts_.modules) add(module);
    for (const std::string& lost : facts_.unreadable)
      row(toned("unreadable", Tone::bad, style_.color), 10, lost);
    if (facts_.modules.empty() && facts_.unreadable.empty())
      text_ += "\nthere is no library in it\n";
    return std::move(text_);
  }

 private:
  void row(std::string_view label, std::size_t label_width, std::string_view text,
           Tone tone = Tone::plain) {
    text_ += filled(fmt::format("  {}", label), label_width + 2,
                    toned(printable_line(text), tone, style_.color), kIndent, style_.width);
  }
  void row(std::string_view label, std::string_view text) { row(label, label.size(), text); }
  void title(std::string_view text, std::uint64_t size) {
    text_ += fmt::format("{}  {}\n", toned(printable_line(text), Tone::strong, style_.color),
                         human_size(size));
  }

  void head() {
    title(facts_.file, facts_.size);
    if (!facts_.is_wheel) return;
    if (facts_.name) {
      row("for",
          fmt::format("{}-{}-{}", facts_.name->python, facts_.name->abi, facts_.name->platform));
    }
    if (const auto python = metadata_field(facts_.metadata, "Requires-Python"))
      row("Python", *python);
    std::string torch = promise_.torch ? promise_.torch->text() : "";
    if (promise_.torch_asked)
      torch += fmt::format("{}METADATA asks for torch{}", torch.empty() ? "" : "; ",
                           *promise_.torch_asked);
    if (!torch.empty()) row("torch", torch);
    if (promise_.cuda) row("CUDA", promise_.cuda->text());
    SymbolFloors floors;
    for (const ModuleFacts& module : facts_.modules) {
      floors.glibc = std::max(floors.glibc, module.floors.glibc);
      floors.glibcxx = std::max(floors.glibcxx, module.floors.glibcxx);
      floors.cxxabi = std::max(floors.cxxabi, module.floors.cxxabi);
      floors.gcc = std::max(floors.gcc, module.floors.gcc);
    }
    if (!facts_.modules.empty()) row("system", system_of(floors));
    if (!promise_.archs.empty())
      row("promises", fmt::format("{} (by {})", print(promise_.archs), promise_.origin));
    if (!promise_.commit.empty()) row("commit", promise_.commit);
    const std::vector<std::string> faults = facts_.faults.all();
    if (!faults.empty())
      row(toned("faults", Tone::bad, style_.color), 6,
          fmt::format(
              "{}{}", faults.front(),
              faults.size() > 1 ? fmt::format(" and {} more: see verify", faults.size() - 1) : ""));
  }

  static std::string system_of(const SymbolFloors& floors) {
    std::vector<std::string> wants;
    if (!floors.glibc.empty()) wants.push_back("glibc " + floors.glibc.text());
    if (!floors.glibcxx.empty()) wants.push_back("GLIBCXX_" + floors.glibcxx.text());
    return distributions_for(floors) +
           (wants.empty() ? "" : fmt::format(" ({})", join(wants, ", ")));
  }

  void gpus() {
    const std::vector<GpuVerdict> all = verdicts(facts_, promise_);
    if (all.empty()) return;
    text_ += fmt::format("\n{}\n", toned("runs on", Tone::strong, style_.color));
    for (const GpuVerdict& verdict : all) {
      const Tone tone = verdict.word == "yes"                             ? Tone::good
                        : verdict.word == "no" || verdict.word == "traps" ? Tone::bad
                                                                          : Tone::doubtful;
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

  void add(const ModuleFacts& module) {
    text_ += '\n';
    title(module.path, module.size);
    code(module.gpu);
    if (!module.is_linked) return;
    if (!module.needed.empty()) row("needs", join(module.needed, " "));
    if (!module.run_paths.empty()) row("RPATH", join(module.run_paths, ":"));
    row("system", system_of(module.floors));
    std::vector<std::string> notes;
    if (!module.torch_symbols.empty())
      notes.push_back(fmt::format("{} of torch's", counted(module.torch_symbols.size(), "symbol")));
    if (module.shim_symbols != 0)
      notes.push_back(
          fmt::format("{} of torch's stable interface", counted(module.shim_symbols, "symbol")));
    if (module.cxx_abi != CxxAbi::unsaid)
      notes.emplace_back(module.cxx_abi == CxxAbi::cxx11 ? "C++11 ABI" : "the old C++ ABI");
    if (module.cuda_runtime == CudaRuntime::linked_in) notes.emplace_back("CUDA runtime linked in");
    if (module.stack == ElfStack::executable) notes.emplace_back("executable stack");
    if (!notes.empty()) row("wants", join(notes, ", "));
  }

  void code(const GpuCode& gpu) {
    for (const auto& [key, sum] : sums_of(gpu)) {
      const auto& [relocatable, kind, arch, name] = key;
      std::string text = described(sum);
      if (relocatable) text += ", relocatable: no driver loads it";
      row(name, text);
      if (sum.trapping != 0)
        row("", 0, fmt::format("traps in {}", counted(sum.trapping, "function")), Tone::bad);
      if (style_.kernels) kernels(gpu, relocatable, name);
    }
    worst(gpu);
    for (const std::string& fault : gpu.faults)
      row(toned("damaged", Tone::bad, style_.color), 7, fault);
  }

  void kernels(const GpuCode& gpu, bool relocatable, const std::string& wanted) {
    for (const GpuContainer& container : gpu.containers) {
      if (container.relocatable != relocatable) continue;
      for (const GpuImage& image : container.images) {
        if (name_of(image) != wanted) continue;
        for (const GpuKernel& kernel : image.all_kernels)
          text_ += fmt::format("    {}{}\n", printable_line(demangled(kernel.name)),
                               kernel.traps == 0 ? "" : fmt::format("  ({} traps)", kernel.traps));
      }
    }
  }

  // The container with the fewest kinds of code decides where the module runs.
  void worst(const GpuCode& gpu) {
    const GpuContainer* least = nullptr;
    std::size_t count = 0;
    for (const GpuContainer& container : gpu.containers) {
      if (container.relocatable || !container.has_kernels()) continue;
      ++count;
      if (least == nullptr || container.images.size() < least->images.size()) least = &container;
    }
    if (count < 2) return;
    auto images = least->images;
    std::ranges::sort(images, {},
                      [](const GpuImage& one) { return std::pair(one.kind, one.arch); });
    std::vector<std::string> names;
    for (const GpuImage& image : images) names.push_back(name_of(image));
    row("containers", fmt::format("{}; the worst has only {}", count, join(names, " ")));
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
    for (const auto& [key, sum] : sums_of(module.gpu)) {
      const auto& [relocatable, kind, arch, name] = key;
      lines[fmt::format("{} {}{}", stem, name, relocatable ? " relocatable" : "")] =
          described(sum) + (sum.trapping == 0 ? "" : fmt::format(", {} trap", sum.trapping));
    }
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
