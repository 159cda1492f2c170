#include <algorithm>
#include <map>
#include <set>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "verify/checks.hpp"

namespace sagebuild::verifying {
namespace {

// "a(int), b(int) and 30 more"
std::string names_of(const std::vector<GpuKernel>& kernels) {
  constexpr std::size_t kShown = 2;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kShown, kernels.size()); ++i)
    names.push_back(fmt::format("'{}'", demangled(kernels[i].name).substr(0, 120)));
  std::string text = join(names, ", ");
  if (kernels.size() > kShown) text += fmt::format(" and {} more", kernels.size() - kShown);
  return text;
}

// Prose may speak of what its project can do, or of one of several libraries.
bool is_sure(const Promise& promise) { return promise.origin != kDescription; }

std::size_t kernels_for(const ModuleFacts& module, Arch gpu) {
  std::size_t kernels = 0;
  for (const GpuContainer& container : module.gpu.containers) {
    const GpuImage* image = container.relocatable ? nullptr : image_for(container, gpu);
    if (image != nullptr) kernels += image->kernels;
  }
  return kernels;
}

// Many projects compile every kernel for every GPU, and call only those that it has. Which these
// are, a recipe knows; without one a module is broken for sure where all of its kernels trap.
void check_traps(const ModuleFacts& module, const Promise& promise, const GpuService& service,
                 Arch gpu, Findings& found) {
  const std::vector<GpuKernel> wrong = wrong_traps(promise, stem_of(module), service, gpu);
  if (wrong.empty()) return;
  std::uint64_t traps = 0;
  for (const GpuKernel& kernel : wrong) traps += kernel.traps;
  const std::string message =
      fmt::format("on {} it takes {}, with {} in {}", described_gpu(gpu),
                  join(service.images, ", "), counted(traps, "trap"), names_of(wrong));
  const bool is_known =
      is_recipe_proved(promise) && recipe_module(promise, stem_of(module)) != nullptr;
  const bool is_broken = is_known || wrong.size() >= kernels_for(module, gpu);
  found.add_if(is_sure(promise) && is_broken, "SB103", module.path, message);
}

void check_gpu(const ModuleFacts& module, const Promise& promise, const ArchRequest& request,
               Findings& found) {
  using enum GpuService::How;
  const Arch gpu = request.arch;
  const GpuService service = service_of(module.gpu, gpu);
  if (service.how == no_code) return;
  if (!must_serve(promise, stem_of(module), gpu)) {
    // What it has for that GPU is nothing that the module can be called with there.
    const bool own = std::ranges::any_of(service.images, [&](const std::string& name) {
      return name.starts_with("sm_" + digits({gpu.major, gpu.minor}));
    });
    if (own && !service.trapping.empty())
      found.add("SB104", module.path,
                fmt::format("it has code for {}, where {} trap{}", described_gpu(gpu),
                            counted(service.trapping.size(), "kernel"),
                            service.trapping.size() == 1 ? "s" : ""));
    return;
  }
  const std::string promised = fmt::format("{} promises {}", promise.origin, described_gpu(gpu));
  if (service.served < service.containers) {
    found.add_if(is_sure(promise), "SB101", module.path,
                 service.served == 0
                     ? fmt::format("{}; it has only {}", promised, join(service.present, ", "))
                     : fmt::format("{}; {} of {} sources have no code for it, only {}", promised,
                                   service.containers - service.served, service.containers,
                                   join(service.present, ", ")));
  }
  check_traps(module, promise, service, gpu, found);
  if (service.how == jit && request.sass)
    found.add("SB107", module.path,
              fmt::format("{}; {} is compiled by the driver, which must know PTX {} (CUDA {})",
                          promised, compute_name(service.ptx), service.ptx_isa.text(),
                          cuda_of_isa(service.ptx_isa)));
}

// Containers with kernels and without PTX that a newer GPU could take.
void check_ptx(const ModuleFacts& module, const Promise& promise, const ArchRequest& request,
               Findings& found) {
  if (!must_hold_ptx(promise, stem_of(module), request)) return;
  std::size_t all = 0, without = 0;
  std::set<std::string> bound;
  for (const GpuContainer& container : module.gpu.containers) {
    if (container.relocatable || !container.has_kernels()) continue;
    ++all;
    bool has = false;
    for (const GpuImage& image : container.images) {
      if (image.kind != ImageKind::ptx) continue;
      has |= image.arch.feature == ArchFeature::plain && !(request.arch < image.arch);
      if (image.arch.feature == ArchFeature::plain && !image.trapping.empty())
        found.add("SB103", module.path,
                  fmt::format("newer GPUs take {}, where {} trap{}", name_of(image),
                              counted(image.trapping.size(), "kernel"),
                              image.trapping.size() == 1 ? "s" : ""));
      if (image.arch.feature != ArchFeature::plain) bound.insert(name_of(image));
    }
    without += has ? 0U : 1U;
  }
  if (without == 0) return;
  if (!bound.empty())
    found.add("SB109", module.path,
              fmt::format("{} promises {}+PTX, and {} runs on no other GPU", promise.origin,
                          dotted(request.arch), join({bound.begin(), bound.end()}, ", ")));
  else
    found.add("SB108", module.path,
              fmt::format("{} promises {}+PTX, and {} of {} sources have none for it",
                          promise.origin, dotted(request.arch), without, all));
}

void check_missing(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  std::map<std::pair<std::string, bool>, std::vector<std::string>> gpus;
  for (const ArchRequest& request : promise.archs) {
    for (const auto& [name, is_needed] : missing_modules(wheel, promise, request.arch)) {
      // What was built says better which modules this version has.
      const std::string stem = name.substr(name.rfind('.') + 1);
      const bool was_made =
          promise.made.empty() || promise.origin == kAsked ||
          std::ranges::find(promise.made, stem, &MadeModule::stem) != promise.made.end();
      if (was_made) gpus[{name, is_needed}].push_back(dotted(request.arch));
    }
  }
  for (const auto& [module, names] : gpus) {
    const auto& [name, is_needed] = module;
    const std::string message = fmt::format("{} promises {}{}", promise.origin, join(names, " "),
                                            is_needed ? ", which needs it" : "");
    found.add_if(is_sure(promise) && is_recipe_proved(promise), is_needed ? "SB102" : "SB114", name,
                 message);
  }
}

// The same for every image, whatever was promised.
void check_images(const ModuleFacts& module, const Promise& promise, Findings& found) {
  std::size_t debug = 0, zstd = 0;
  std::set<std::string> older;
  Version toolkit;
  for (const GpuContainer& container : module.gpu.containers) {
    for (const GpuImage& image : container.images) {
      debug += image.is_debug() ? 1U : 0U;
      zstd += image.codec == ImageCodec::zstd && !container.relocatable ? 1U : 0U;
      if (toolkit < image.toolkit) toolkit = image.toolkit;
      const int real = image.arch.major * 10 + image.arch.minor;
      if (image.kind == ImageKind::sass && image.virtual_arch != 0 && image.virtual_arch < real &&
          !container.relocatable)
        older.insert(fmt::format("{} of compute_{}", name_of(image), image.virtual_arch));
    }
  }
  if (debug != 0)
    found.add("SB112", module.path, fmt::format("{} built with -G", counted(debug, "image")));
  if (zstd != 0 && toolkit.major() == 12)
    found.add("SB110", module.path,
              fmt::format("{} of CUDA {} compressed with ZSTD", counted(zstd, "image"),
                          toolkit.major_minor()));
  // sagebuild's own pairs are its plan's, with a reason for each.
  if (!older.empty() && promise.made.empty())
    found.add("SB111", module.path, join({older.begin(), older.end()}, ", "));
  if (module.gpu.relocatable_bytes != 0)
    found.add(
        "SB113", module.path,
        fmt::format("{} of {}", human_size(module.gpu.relocatable_bytes), human_size(module.size)));
  for (const std::string& fault : module.gpu.faults) found.add("SB105", module.path, fault);
}

}  // namespace

void check_gpus(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  const bool has_code = std::ranges::any_of(
      wheel.modules, [](const ModuleFacts& module) { return !module.gpu.containers.empty(); });
  if (has_code && promise.archs.empty())
    found.add("SB106", wheel.file, "neither its provenance, its name nor its description");
  for (const ModuleFacts& module : wheel.modules) {
    check_images(module, promise, found);
    for (const ArchRequest& request : promise.archs) {
      if (request.sass) check_gpu(module, promise, request, found);
      check_ptx(module, promise, request, found);
    }
  }
  check_missing(wheel, promise, found);
}

}  // namespace sagebuild::verifying
