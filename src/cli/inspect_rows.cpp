#include "cli/inspect_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

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

// "2.6 to 2.8"; empty: it wants nothing of torch
std::string fitting_torch(const WheelFacts& facts, const Promise& promise) {
  if (!promise.known_torch) return "";
  const TorchSymbols& torch = *promise.known_torch;
  const auto fitting = fitting_releases(facts, torch);
  if (!fitting) return "";
  return *fitting == 0 ? fmt::format("none of {}", torch.text(torch.all())) : torch.text(*fitting);
}

std::string torch_text(const WheelFacts& facts, const Promise& promise) {
  std::vector<std::string> parts;
  if (promise.torch) parts.push_back(promise.torch->text());
  if (promise.torch_asked)
    parts.push_back(fmt::format("METADATA asks for torch{}", *promise.torch_asked));
  if (const std::string fitting = fitting_torch(facts, promise); !fitting.empty())
    parts.push_back("its symbols fit " + fitting);
  return join(parts, "; ");
}

std::string system_of(const SymbolFloors& floors) {
  std::vector<std::string> wants;
  if (!floors.glibc.empty()) wants.push_back("glibc " + floors.glibc.text());
  if (!floors.glibcxx.empty()) wants.push_back("GLIBCXX_" + floors.glibcxx.text());
  return distributions_for(floors) + (wants.empty() ? "" : fmt::format(" ({})", join(wants, ", ")));
}

SymbolFloors floors_of(const std::vector<ModuleFacts>& modules) {
  SymbolFloors floors;
  for (const ModuleFacts& module : modules) {
    floors.glibc = std::max(floors.glibc, module.floors.glibc);
    floors.glibcxx = std::max(floors.glibcxx, module.floors.glibcxx);
    floors.cxxabi = std::max(floors.cxxabi, module.floors.cxxabi);
    floors.gcc = std::max(floors.gcc, module.floors.gcc);
  }
  return floors;
}

std::vector<std::string> kernels_of(const GpuCode& gpu, const CodeSum& sum) {
  std::vector<std::string> names;
  for (const GpuContainer& container : gpu.containers) {
    if (container.relocatable != sum.relocatable) continue;
    for (const GpuImage& image : container.images) {
      if (name_of(image) != sum.name) continue;
      for (const GpuKernel& kernel : image.all_kernels)
        names.push_back(demangled(kernel.name) +
                        (kernel.traps == 0 ? "" : fmt::format("  ({} traps)", kernel.traps)));
    }
  }
  return names;
}

// The container with the fewest kinds of code decides where the module runs.
std::string worst_of(const GpuCode& gpu) {
  const GpuContainer* least = nullptr;
  std::size_t count = 0;
  for (const GpuContainer& container : gpu.containers) {
    if (container.relocatable || !container.has_kernels()) continue;
    ++count;
    if (least == nullptr || container.images.size() < least->images.size()) least = &container;
  }
  if (count < 2) return "";
  auto images = least->images;
  std::ranges::sort(images, {}, [](const GpuImage& one) { return std::pair(one.kind, one.arch); });
  std::vector<std::string> names;
  for (const GpuImage& image : images) names.push_back(name_of(image));
  return fmt::format("{}; the worst has only {}", count, join(names, " "));
}

std::string wants_of(const ModuleFacts& module) {
  std::vector<std::string> notes;
  if (!module.torch_symbols.empty())
    notes.push_back(fmt::format("{} of torch's", counted(module.torch_symbols.size(), "symbol")));
  if (!module.shim_symbols.empty())
    notes.push_back(fmt::format("{} of torch's stable interface",
                                counted(module.shim_symbols.size(), "symbol")));
  if (module.cxx_abi != CxxAbi::unsaid)
    notes.emplace_back(module.cxx_abi == CxxAbi::cxx11 ? "C++11 ABI" : "the old C++ ABI");
  if (module.cuda_runtime == CudaRuntime::linked_in) notes.emplace_back("CUDA runtime linked in");
  if (module.stack == ElfStack::executable) notes.emplace_back("executable stack");
  return join(notes, ", ");
}

}  // namespace

std::vector<CodeSum> code_sums(const GpuCode& code) {
  std::vector<CodeSum> rows;
  for (const auto& [key, sum] : sums_of(code)) {
    const auto& [relocatable, kind, arch, name] = key;
    rows.push_back({name, relocatable, described(sum), sum.trapping});
  }
  return rows;
}

std::vector<FactRow> wheel_rows(const WheelFacts& facts, const Promise& promise) {
  std::vector<FactRow> rows;
  if (!facts.is_wheel) return rows;
  const auto add = [&](std::string label, std::string text, Tone tone = Tone::plain) {
    if (!text.empty()) rows.push_back({std::move(label), std::move(text), tone});
  };
  if (facts.name)
    add("for", fmt::format("{}-{}-{}", facts.name->python, facts.name->abi, facts.name->platform));
  add("Python", metadata_field(facts.metadata, "Requires-Python").value_or(""));
  add("torch", torch_text(facts, promise));
  if (promise.cuda) add("CUDA", promise.cuda->text());
  if (!facts.modules.empty()) add("system", system_of(floors_of(facts.modules)));
  if (!promise.archs.empty())
    add("promises", fmt::format("{} (by {})", print(promise.archs), promise.origin));
  add("commit", promise.commit);
  const std::vector<std::string> faults = facts.faults.all();
  if (faults.size() == 1) add("faults", faults.front(), Tone::bad);
  if (faults.size() > 1)
    add("faults", fmt::format("{} and {} more: see verify", faults.front(), faults.size() - 1),
        Tone::bad);
  return rows;
}

std::vector<FactRow> module_rows(const ModuleFacts& module, bool kernels) {
  std::vector<FactRow> rows;
  const auto add = [&](std::string label, std::string text, Tone tone = Tone::plain) {
    if (!text.empty()) rows.push_back({std::move(label), std::move(text), tone});
  };
  for (const CodeSum& sum : code_sums(module.gpu)) {
    add(sum.name, sum.text + (sum.relocatable ? ", relocatable: no driver loads it" : ""));
    if (sum.trapping != 0)
      add("", fmt::format("traps in {}", counted(sum.trapping, "function")), Tone::bad);
    if (kernels) rows.back().lines = kernels_of(module.gpu, sum);
  }
  add("containers", worst_of(module.gpu));
  for (const std::string& fault : module.gpu.faults) add("damaged", fault, Tone::bad);
  if (!module.is_linked) return rows;
  add("needs", join(module.needed, " "));
  add("RPATH", join(module.run_paths, ":"));
  add("system", system_of(module.floors));
  add("wants", wants_of(module));
  return rows;
}

Tone tone_of_verdict(std::string_view word) {
  if (word == "yes") return Tone::good;
  if (word == "no" || word == "traps") return Tone::bad;
  return word == "-" ? Tone::plain : Tone::doubtful;
}

}  // namespace sagebuild
