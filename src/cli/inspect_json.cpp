#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/inspect_output.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verdict.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

const char* word_of(ElfStack stack) {
  return stack == ElfStack::plain        ? "plain"
         : stack == ElfStack::executable ? "executable"
                                         : "unsaid";
}

const char* word_of(CxxAbi abi) {
  return abi == CxxAbi::cxx11 ? "cxx11" : abi == CxxAbi::old ? "old" : "unsaid";
}

const char* word_of(CudaRuntime runtime) {
  return runtime == CudaRuntime::shared      ? "shared"
         : runtime == CudaRuntime::linked_in ? "linked_in"
                                             : "none";
}

const char* word_of(ImageKind kind) {
  switch (kind) {
    case ImageKind::sass:
      return "sass";
    case ImageKind::ptx:
      return "ptx";
    case ImageKind::lto:
      return "lto";
    case ImageKind::unknown:
      break;
  }
  return "unknown";
}

Json kernels_json(const std::vector<GpuKernel>& kernels) {
  Json rows = Json::array();
  for (const GpuKernel& kernel : kernels)
    rows.push_back({{"name", kernel.name}, {"traps", kernel.traps}});
  return rows;
}

Json header_json(const GpuImage& image) {
  return {{"name", name_of(image)},       {"kind", word_of(image.kind)},
          {"arch", dotted(image.arch)},   {"codec", name_of(image.codec)},
          {"stored_bytes", image.stored}, {"unpacked_bytes", image.unpacked}};
}

Json image_json(const GpuImage& image) {
  Json row = header_json(image);
  row["kernels"] = image.kernels;
  row["traps"] = image.traps_known ? Json(image.traps) : Json();
  if (!image.ptx_isa.empty()) row["ptx_isa"] = image.ptx_isa.text();
  if (!image.toolkit.empty()) row["toolkit"] = image.toolkit.text();
  if (image.virtual_arch != 0) row["made_from"] = fmt::format("compute_{}", image.virtual_arch);
  if (image.is_debug()) row["debug"] = true;
  if (!image.identifier.empty()) row["source"] = image.identifier;
  if (!image.trapping.empty()) row["trapping"] = kernels_json(image.trapping);
  if (!image.all_kernels.empty()) row["kernel_names"] = kernels_json(image.all_kernels);
  return row;
}

// `row`: what is told of each image.
Json containers_json(const GpuCode& gpu, Json (*row)(const GpuImage&)) {
  Json containers = Json::array();
  for (const GpuContainer& container : gpu.containers) {
    Json images = Json::array();
    for (const GpuImage& image : container.images) images.push_back(row(image));
    containers.push_back({{"section", container.section},
                          {"offset", container.offset},
                          {"relocatable", container.relocatable},
                          {"images", images}});
  }
  return containers;
}

Json module_json(const ModuleFacts& module) {
  return {{"path", module.path},
          {"bytes", module.size},
          {"needed", module.needed},
          {"run_paths", module.run_paths},
          {"stack", word_of(module.stack)},
          {"glibc", module.floors.glibc.text()},
          {"glibcxx", module.floors.glibcxx.text()},
          {"cxxabi", module.floors.cxxabi.text()},
          {"gcc", module.floors.gcc.text()},
          {"distributions", distributions_for(module.floors)},
          {"init_functions", module.init_functions},
          {"torch_symbols", module.torch_symbols.size()},
          {"stable_torch_symbols", module.shim_symbols.size()},
          {"driver_symbols", module.driver_symbols},
          {"cxx_abi", word_of(module.cxx_abi)},
          {"cuda_runtime", word_of(module.cuda_runtime)},
          {"debug_bytes", module.debug_bytes},
          {"compiler", module.compiler},
          {"containers", containers_json(module.gpu, image_json)},
          {"gpu_faults", module.gpu.faults}};
}

Json findings_json(const Verification& verification) {
  Json rows = Json::array();
  for (const Finding& finding : verification.findings) {
    const FindingKind& kind = *finding_kind(finding.code);
    rows.push_back({{"code", finding.code},
                    {"severity", name_of(finding.severity)},
                    {"title", kind.title},
                    {"subject", finding.subject},
                    {"message", finding.message},
                    {"sees", kind.sees},
                    {"fix", kind.fix}});
  }
  return rows;
}

// The releases of torch that its symbols fit; null: it wants nothing of torch, or it is not known.
Json fitting_json(const WheelFacts& facts, const Promise& promise) {
  if (!promise.known_torch) return nullptr;
  const auto fitting = fitting_releases(facts, *promise.known_torch);
  if (!fitting) return nullptr;
  Json rows = Json::array();
  const std::vector<Version>& all = promise.known_torch->releases();
  for (std::size_t i = 0; i < all.size(); ++i)
    if ((*fitting >> i & 1U) != 0) rows.push_back(all[i].text());
  return rows;
}

}  // namespace

Json inspect_document(const WheelFacts& facts, const Promise& promise) {
  Json modules = Json::array();
  for (const ModuleFacts& module : facts.modules) modules.push_back(module_json(module));
  Json gpus = Json::array();
  for (const GpuVerdict& verdict : verdicts(facts, promise)) {
    gpus.push_back({{"capability", dotted(verdict.gpu)},
                    {"name", described_gpu(verdict.gpu)},
                    {"runs", verdict.word},
                    {"reason", verdict.reason}});
  }
  Json document = {{"schema", "sagebuild.inspect/1"},
                   {"file", facts.file},
                   {"bytes", facts.size},
                   {"wheel", facts.is_wheel}};
  if (facts.name) {
    document["distribution"] = facts.name->distribution;
    document["version"] = facts.name->version;
    document["tags"] = expanded_tags(*facts.name);
  }
  document["requires_python"] = metadata_field(facts.metadata, "Requires-Python").value_or("");
  document["requires_dist"] = metadata_fields(facts.metadata, "Requires-Dist");
  document["cuda"] = promise.cuda ? promise.cuda->text() : "";
  document["torch"] = promise.torch ? promise.torch->text() : "";
  document["torch_fits"] = fitting_json(facts, promise);
  document["commit"] = promise.commit;
  document["promised"] = promise.archs.empty() ? "" : print(promise.archs);
  document["promised_by"] = promise.origin;
  document["faults"] = facts.faults.all();
  document["unreadable"] = facts.unreadable;
  document["runs_on"] = gpus;
  document["modules"] = modules;
  return document;
}

Json images_document(const WheelFacts& facts) {
  Json modules = Json::array();
  for (const ModuleFacts& module : facts.modules)
    modules.push_back({{"path", module.path},
                       {"containers", containers_json(module.gpu, header_json)},
                       {"gpu_faults", module.gpu.faults}});
  return {{"schema", "sagebuild.images/1"},
          {"file", facts.file},
          {"unreadable", facts.unreadable},
          {"modules", modules}};
}

Json findings_document(const Verification& verification) {
  const Promise& promise = verification.promise;
  return {{"schema", "sagebuild.verify/1"},
          {"file", verification.facts.file},
          {"promised", promise.archs.empty() ? "" : print(promise.archs)},
          {"promised_by", promise.origin},
          {"passed", !verification.has_errors()},
          {"findings", findings_json(verification)}};
}

Json sarif_document(const Verification& verification) {
  Json rules = Json::array();
  for (const FindingKind& kind : finding_kinds()) {
    rules.push_back({{"id", kind.code},
                     {"shortDescription", {{"text", kind.title}}},
                     {"fullDescription", {{"text", kind.sees}}},
                     {"help", {{"text", kind.fix}}},
                     {"defaultConfiguration", {{"level", name_of(kind.severity)}}}});
  }
  Json results = Json::array();
  for (const Finding& finding : verification.findings) {
    results.push_back(
        {{"ruleId", finding.code},
         {"level", name_of(finding.severity)},
         {"message", {{"text", fmt::format("{}: {}", finding.subject, finding.message)}}},
         {"locations",
          {{{"physicalLocation", {{"artifactLocation", {{"uri", verification.facts.file}}}}},
            {"logicalLocations", {{{"fullyQualifiedName", finding.subject}}}}}}}});
  }
  return {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
          {"version", "2.1.0"},
          {"runs",
           {{{"tool",
              {{"driver",
                {{"name", "sagebuild verify"}, {"version", program_version()}, {"rules", rules}}}}},
             {"results", results}}}}};
}

}  // namespace sagebuild
