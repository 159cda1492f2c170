#include "sagebuild/model/gpu_coverage.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sagebuild {
namespace {

// Families by their first member: sm_100f serves 10.0 and 10.3, sm_120f 12.0 and 12.1.
bool same_family(Arch arch, Arch capability) {
  return arch.major == capability.major && arch.minor <= capability.minor;
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

// Specific code first, then the family's, then plain; of each the latest.
auto rank(const GpuImage& image) {
  const int kind = image.kind == ImageKind::sass ? 1 : 0;
  const int feature = image.arch.feature == ArchFeature::plain    ? 0
                      : image.arch.feature == ArchFeature::family ? 1
                                                                  : 2;
  return std::tuple(kind, image.arch.major, image.arch.minor, feature);
}

}  // namespace

const std::vector<GpuGeneration>& gpu_generations() {
  static const std::vector<GpuGeneration> all = {
      {{7, 5}, "RTX 20, GTX 16, T4"}, {{8, 0}, "A100, A30"},
      {{8, 6}, "RTX 30, A10, A40"},   {{8, 7}, "Jetson Orin"},
      {{8, 9}, "RTX 40, L4, L40S"},   {{9, 0}, "H100, H200, GH200"},
      {{10, 0}, "B200, GB200"},       {{10, 3}, "B300, GB300"},
      {{11, 0}, "Jetson Thor"},       {{12, 0}, "RTX 50, RTX PRO Blackwell"},
      {{12, 1}, "GB10, DGX Spark"},
  };
  return all;
}

std::string described_gpu(Arch capability) {
  const Arch plain{capability.major, capability.minor};
  const auto found = std::ranges::find(gpu_generations(), plain, &GpuGeneration::capability);
  if (found == gpu_generations().end()) return dotted(plain);
  return fmt::format("{} ({})", dotted(plain), found->name);
}

bool runs_on(const GpuImage& image, Arch capability) {
  const Arch arch = image.arch;
  if (image.kind != ImageKind::sass && image.kind != ImageKind::ptx) return false;
  if (arch.feature == ArchFeature::specific) return same_capability(arch, capability);
  if (arch.feature == ArchFeature::family || image.kind == ImageKind::sass)
    return same_family(arch, capability);
  return Arch{arch.major, arch.minor} <= Arch{capability.major, capability.minor};
}

const GpuImage* image_for(const GpuContainer& container, Arch capability) {
  const GpuImage* best = nullptr;
  for (const GpuImage& image : container.images) {
    if (!runs_on(image, capability)) continue;
    if (best == nullptr || rank(*best) < rank(image)) best = &image;
  }
  return best;
}

GpuService service_of(const GpuCode& code, Arch capability) {
  GpuService service;
  bool compiles = false;
  for (const GpuContainer& container : code.containers) {
    if (container.relocatable || !container.has_kernels()) continue;
    ++service.containers;
    const GpuImage* image = image_for(container, capability);
    if (image == nullptr) {
      for (const GpuImage& other : container.images) add_once(service.present, name_of(other));
      continue;
    }
    ++service.served;
    add_once(service.images, name_of(*image));
    service.trapping.insert(service.trapping.end(), image->trapping.begin(), image->trapping.end());
    if (image->kind != ImageKind::ptx) continue;
    compiles = true;
    if (service.ptx_isa < image->ptx_isa) service.ptx_isa = image->ptx_isa;
    service.ptx = std::max(service.ptx, image->arch);
  }
  using enum GpuService::How;
  if (service.containers == 0)
    service.how = no_code;
  else if (service.served == 0)
    service.how = none;
  else if (service.served < service.containers)
    service.how = partly;
  else if (!service.trapping.empty())
    service.how = traps;
  else
    service.how = compiles ? jit : native;
  return service;
}

std::string cuda_of_isa(const Version& isa) {
  // PTX ISA 8.0 came with CUDA 12.0, 9.0 with 13.0, and minors with minors since.
  constexpr int kBetween = 4;
  return fmt::format("{}.{}", isa.major() + kBetween, isa.minor());
}

}  // namespace sagebuild
