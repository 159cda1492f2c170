// The device half of a compile taken apart: per virtual architecture preprocess and cicc, per real
// one ptxas, then fatbinary.

#include <elf.h>

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/elf.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

// A cubin's architecture stands in e_flags: bits 0-7 up to CUDA 12, bits 8-15 in the ELF ABI of
// CUDA 13.
void require_cubin(const fs::path& file, std::string_view arch) {
  const ElfHeader header = elf_header(file);
  if (header.machine != EM_CUDA) refuse(fmt::format("ptxas wrote no GPU image for {}", arch));
  const auto digits =
      to_integer(arch.substr(3, arch.find_first_not_of("0123456789", 3) - 3)).value_or(-1);
  const auto low = static_cast<long long>(header.flags & 0xffU);
  const auto high = static_cast<long long>((header.flags >> 8U) & 0xffU);
  if (low != digits && high != digits)
    refuse(fmt::format("ptxas wrote an image for another GPU than {}", arch));
}

// PTX and stub come from one run, so their names must agree; and what a kernel takes must not be
// torch's.
void check_cicc(const Job& job, const PassLayout& pass, const CompileMode& mode) {
  const std::string ptx = read_file(job.ptx(pass));
  const std::string wanted = "sm_" + pass.arch.substr(pass.arch.find('_') + 1);
  if (ptx_target(ptx) != wanted)
    refuse(fmt::format("cicc wrote PTX for '{}', not {}", ptx_target(ptx), wanted));
  const auto entries = ptx_entries(ptx);
  const auto registered = registered_kernels(read_file(job.stub_of(pass)));
  for (const auto& kernel : registered)
    if (std::ranges::count(entries, kernel) == 0)
      refuse(fmt::format("kernel '{}' is not in the PTX", kernel));
  if (mode.device != HeaderMode::full) refuse_if(torch_types(registered));
}

// The cubins and the PTX that the container holds, under the names that fatbinary is told.
std::vector<StepInput> images(const Job& job) {
  std::vector<StepInput> inputs;
  for (const auto& pass : job.layout.passes) {
    const auto add = [&](const fs::path& file) {
      const fs::path name = fs::path(pass.arch) / file.filename();
      if (std::ranges::find(job.layout.images, name.native(), &ImageLayout::file) !=
          job.layout.images.end())
        inputs.push_back({file, name});
    };
    add(job.ptx(pass));
    for (const auto& real : pass.real) add(job.cubin(pass, real));
  }
  return inputs;
}

}  // namespace

// Always in one piece: -split-compile changes what cicc writes (SageAttention's sm80 source for
// compute_120: 3685 registers instead of 3676 in the first kernel), although a small kernel and
// compute_80 come out the same.
Step cicc_step(const JobPtr& job, const PassLayout& pass, const CompileMode& mode) {
  Step step = job->step(Stage::cicc, pass.arch);
  step.folder = job->place("cicc." + pass.arch);
  step.inputs = {{job->device_text(pass), pass.text}};
  step.outputs = {{"ptx", job->ptx(pass)}, {"stub", job->stub_of(pass)}};
  const Words argv = mapped_source_options(pass.cicc, *job);
  step.key = [job, pass, argv, folder = step.folder] {
    return kept_by_key(
        *job,
        cicc_key(job->subject + " " + pass.arch, job->settings->toolkit->tools.at("cicc"), argv,
                 job->id, read_file(folder / pass.text)),
        argv);
  };
  step.command = [job, argv, folder = step.folder] {
    write_file(folder / job->layout.module_id_file, job->id);
    return job->command(argv, folder);
  };
  step.check = [job, pass, mode] { check_cicc(*job, pass, mode); };
  expect_cicc(step, *job, mode.device);
  return step;
}

Step ptxas_step(const JobPtr& job, const PassLayout& pass, const RealLayout& real) {
  Step step = job->step(real.cubin.empty() ? Stage::ptxas_check : Stage::ptxas, real.arch);
  step.folder = job->place(fmt::format("ptxas.{}.{}", pass.arch, real.arch));
  step.inputs = {{job->ptx(pass), pass.ptx}};
  step.key = [job, pass, real, folder = step.folder] {
    return kept_by_key(
        *job,
        ptxas_key(job->subject + " " + real.arch, job->settings->toolkit->tools.at("ptxas"), real,
                  pass.ptx, sha256_file(folder / pass.ptx)),
        real.argv);
  };
  step.command = [job, real, folder = step.folder] { return job->command(real.argv, folder); };
  if (!real.cubin.empty()) {
    step.outputs = {{"cubin", job->cubin(pass, real)}};
    step.check = [real, cubin = job->cubin(pass, real)] { require_cubin(cubin, real.arch); };
  }
  step.expected_seconds = job->source.costs.ptxas_seconds;
  return step;
}

Step fatbinary_step(const JobPtr& job) {
  Step step = job->step(Stage::fatbinary);
  step.folder = job->place("fatbinary");
  step.inputs = images(*job);
  step.outputs = {{"fatbin", job->fatbin()}};
  // Its text is 3 times the image; detached, nobody reads it.
  if (!job->settings->toolkit->detach_off.empty())
    step.outputs["fatbin.c"] = step.folder / job->layout.fatbin_c;
  const Words argv = mapped_source_options(job->layout.fatbinary, *job);
  step.key = [job, argv, folder = step.folder] {
    std::vector<Image> images;
    for (const auto& image : job->layout.images)
      images.push_back({image.kind, image.sm, sha256_file(folder / image.file)});
    return kept_by_key(
        *job,
        fatbinary_key(job->subject, job->settings->toolkit->tools.at("fatbinary"), argv, images),
        argv);
  };
  step.command = [job, argv, folder = step.folder] { return job->command(argv, folder); };
  return step;
}

Words mapped_source_options(Words argv, const Job& job) {
  for (std::size_t i = 0; i + 1 < argv.size(); ++i) {
    if (argv[i] == "--orig_src_path_name") argv[i + 1] = job.mapped(job.source.recorded.source);
    if (argv[i] == "--orig_src_file_name") argv[i + 1] = job.source.recorded.source.filename();
  }
  for (auto& word : argv)
    if (word.starts_with("--ident=")) word = "--ident=" + job.mapped(job.source.recorded.source);
  return argv;
}

Step device_preprocess_step(const JobPtr& job, const PassLayout& pass, HeaderMode headers,
                            const fs::path& text) {
  return preprocess_step(Stage::device_preprocess, job, pass.arch, pass.preprocess, headers, text);
}

void expect_cicc(Step& step, const Job& job, HeaderMode headers) {
  const StageFacts& facts = facts_of(Stage::cicc);
  const bool full = headers == HeaderMode::full;
  step.expected_seconds = job.source.costs.cicc_seconds +
                          (full ? facts.with_torchs.seconds - facts.with_stand_ins.seconds : 0);
  step.expected_memory = (full ? facts.with_torchs : facts.with_stand_ins).mebibytes << 20U;
}

}  // namespace sagebuild::nvcc
