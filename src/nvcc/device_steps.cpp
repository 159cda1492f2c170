// The device half of a compile taken apart: per virtual architecture preprocess and cicc, per real one ptxas, then
// fatbinary.

#include <elf.h>

#include <cstring>

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

// A cubin's architecture stands in e_flags: bits 0-7 up to CUDA 12, bits 8-15 in the ELF ABI of CUDA 13.
void require_cubin(const fs::path& file, std::string_view arch) {
  const std::string bytes = read_file(file);
  Elf64_Ehdr header{};
  if (bytes.size() < sizeof header) refuse(fmt::format("ptxas wrote an empty image for {}", arch));
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != 190)
    refuse(fmt::format("ptxas wrote no GPU image for {}", arch));
  const auto digits = to_integer(arch.substr(3, arch.find_first_not_of("0123456789", 3) - 3)).value_or(-1);
  const auto low = static_cast<long long>(header.e_flags & 0xffU);
  const auto high = static_cast<long long>((header.e_flags >> 8U) & 0xffU);
  if (low != digits && high != digits) refuse(fmt::format("ptxas wrote an image for another GPU than {}", arch));
}

// PTX and stub come from one run, so their names must agree; and what a kernel takes must not be torch's.
void check_cicc(const Job& job, const PassLayout& pass, const CompileMode& mode) {
  const std::string ptx = read_file(job.pass_folder(pass) / pass.ptx);
  const std::string wanted = "sm_" + pass.arch.substr(pass.arch.find('_') + 1);
  if (ptx_target(ptx) != wanted) refuse(fmt::format("cicc wrote PTX for '{}', not {}", ptx_target(ptx), wanted));
  const auto entries = ptx_entries(ptx);
  const auto registered = registered_kernels(read_file(job.pass_folder(pass) / pass.stub));
  for (const auto& kernel : registered)
    if (std::ranges::count(entries, kernel) == 0) refuse(fmt::format("kernel '{}' is not in the PTX", kernel));
  if (mode.device != HeaderMode::full) refuse_if(torch_types(registered));
}

// Always in one piece: -split-compile changes what cicc writes (SageAttention's sm80 source for compute_120: 3685
// registers instead of 3676 in the first kernel), although a small kernel and compute_80 come out the same.
Step cicc_step(const JobPtr& job, const PassLayout& pass, const CompileMode& mode) {
  Step step = job->step("cicc", pass.arch);
  const fs::path folder = job->pass_folder(pass);
  const Words argv = mapped_source_options(pass.cicc, *job);
  step.key = [job, pass, argv, folder] {
    return cicc_key(job->subject + " " + pass.arch, job->settings->toolkit->tools.at("cicc"), argv, job->id,
                    read_file(folder / pass.text));
  };
  step.outputs = {{"ptx", folder / pass.ptx}, {"stub", folder / pass.stub}};
  step.command = [job, argv, folder] { return job->command(argv, folder); };
  step.check = [job, pass, mode] { check_cicc(*job, pass, mode); };
  expect_cicc(step, *job, mode.device);
  return step;
}

Step ptxas_step(const JobPtr& job, const PassLayout& pass, const RealLayout& real) {
  Step step = job->step(real.cubin.empty() ? "ptxas check" : "ptxas", real.arch);
  const fs::path folder = job->pass_folder(pass);
  step.key = [job, pass, real, folder] {
    return ptxas_key(job->subject + " " + real.arch, job->settings->toolkit->tools.at("ptxas"), real, pass.ptx,
                     sha256_file(folder / pass.ptx));
  };
  step.command = [job, real, folder] { return job->command(real.argv, folder); };
  if (!real.cubin.empty()) {
    step.outputs = {{"cubin", folder / real.cubin}};
    step.check = [real, folder] { require_cubin(folder / real.cubin, real.arch); };
  }
  step.expected_seconds = job->source.costs.ptxas_seconds;
  step.threads = job->source.costs.ptxas_threads;
  return step;
}

Step fatbinary_step(const JobPtr& job) {
  Step step = job->step("fatbinary");
  const Words argv = mapped_source_options(job->layout.fatbinary, *job);
  step.key = [job, argv] {
    std::vector<Image> images;
    for (const auto& image : job->layout.images)
      images.push_back({image.kind, image.sm, sha256_file(job->folder / image.file)});
    return fatbinary_key(job->subject, job->settings->toolkit->tools.at("fatbinary"), argv, images);
  };
  step.outputs = {{"fatbin", job->folder / job->layout.fatbin}, {"fatbin.c", job->folder / job->layout.fatbin_c}};
  step.command = [job, argv] { return job->command(argv, job->folder); };
  // Its text is 3 times the image; detached, nobody reads it.
  if (job->settings->toolkit->detach_off.empty()) step.outputs.erase("fatbin.c");
  step.expected_seconds = 0.1;
  return step;
}

}  // namespace

Words mapped_source_options(Words argv, const Job& job) {
  for (std::size_t i = 0; i + 1 < argv.size(); ++i) {
    if (argv[i] == "--orig_src_path_name") argv[i + 1] = job.mapped(job.source.recorded.source);
    if (argv[i] == "--orig_src_file_name") argv[i + 1] = job.source.recorded.source.filename();
  }
  for (auto& word : argv)
    if (word.starts_with("--ident=")) word = "--ident=" + job.mapped(job.source.recorded.source);
  return argv;
}

Step preprocess_step(const JobPtr& job, const PassLayout& pass, HeaderMode headers, const fs::path& text) {
  Step step = job->step("device preprocess", pass.arch);
  step.command = [job, pass, headers, text] {
    make_folders(text.parent_path());
    write_file(text.parent_path() / job->layout.module_id_file, job->id);
    return job->command(preprocess_command(pass.preprocess, *job, headers, text), job->source.recorded.cwd);
  };
  step.finish = [job, text] { map_text(*job, text); };
  step.expected_seconds = 0.5;
  return step;
}

void expect_cicc(Step& step, const Job& job, HeaderMode headers) {
  const bool full = headers == HeaderMode::full;
  step.expected_seconds = job.source.costs.cicc_seconds + (full ? 23 : 0);
  step.expected_memory = full ? 3200ULL << 20U : 500ULL << 20U;
}

DeviceSteps add_device_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode) {
  DeviceSteps ids;
  Step images = fatbinary_step(job);
  for (const auto& pass : job->layout.passes) {
    const fs::path folder = job->pass_folder(pass);
    graph.push_back(preprocess_step(job, pass, mode.device, folder / pass.text));
    job->depfiles.push_back((folder / pass.text).string() + ".d");
    const StepId preprocess = graph.size() - 1;
    Step cicc = cicc_step(job, pass, mode);
    cicc.after = {preprocess};
    graph.push_back(std::move(cicc));
    const StepId cicc_id = graph.size() - 1;
    ids.cicc.push_back(cicc_id);
    images.after.push_back(cicc_id);
    for (const auto& real : pass.real) {
      Step ptxas = ptxas_step(job, pass, real);
      ptxas.after = {cicc_id};
      images.after.push_back(graph.size());
      graph.push_back(std::move(ptxas));
    }
    if (job->settings->choice == HeaderChoice::check)
      std::ranges::move(add_proofs(graph, job, pass, mode, {preprocess, cicc_id}), std::back_inserter(ids.checks));
  }
  if (mode.device != HeaderMode::full)
    ids.checks.push_back(add_macro_check(graph, job, mode.device, [job](HeaderMode headers, const fs::path& text) {
      Words argv = preprocess_command(job->layout.passes.front().preprocess, *job, headers, text);
      argv.push_back("-dU");
      return argv;
    }));
  graph.push_back(std::move(images));
  ids.fatbinary = graph.size() - 1;
  return ids;
}

}  // namespace sagebuild::nvcc
