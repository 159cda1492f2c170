// The stages of a CUDA source that is taken apart, from top to bottom.

#include "proved.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

Texts add_texts(StepGraph& graph, const JobPtr& job, const CompileMode& mode) {
  const auto add = [&](Step step, const fs::path& text) {
    job->reads->depfiles.push_back({text.string() + ".d", job->source.recorded.cwd});
    return append(graph, std::move(step), {});
  };
  Texts texts;
  texts.host = {add(host_preprocess_step(job, mode), job->host_text())};
  for (const PassLayout& pass : job->layout.passes) {
    const fs::path text = job->device_text(pass);
    texts.device.push_back({add(device_preprocess_step(job, pass, mode.device, text), text)});
  }
  return texts;
}

std::vector<StepId> all_of(const Texts& texts) {
  std::vector<StepId> all = texts.host;
  for (const auto& text : texts.device) all.insert(all.end(), text.begin(), text.end());
  return all;
}

// Nobody waits for them but the source as a whole.
void add_text_checks(StepGraph& graph, const JobPtr& job, const CompileMode& mode,
                     const Texts& texts) {
  if (mode.device != HeaderMode::full) {
    add_source_check(graph, job, all_of(texts), job->reads->depfiles);
    for (std::size_t i = 0; i < job->layout.passes.size(); ++i) {
      const PassLayout& pass = job->layout.passes[i];
      add_macro_check(graph, job, Stage::header_check, pass.arch, mode.device, pass.preprocess,
                      job->device_text(pass), texts.device[i].front());
    }
  }
  if (mode.host != HeaderMode::full) add_host_macro_check(graph, job, mode, texts.host.front());
}

void add_all_proofs(StepGraph& graph, const JobPtr& job, const CompileMode& mode,
                    const Unit& unit) {
  for (std::size_t i = 0; i < unit.cicc.size(); ++i)
    add_proofs(graph, job, job->layout.passes[i], mode, unit.cicc[i], unit.ptxas[i]);
  if (mode.host != HeaderMode::full) add_host_proof(graph, job, mode, unit.compile);
}

}  // namespace

StepGraph decomposed_steps(const JobPtr& job, const CompileMode& mode,
                           const std::shared_ptr<Parts>& parts) {
  StepGraph graph;
  const Texts texts = add_texts(graph, job, mode);
  add_text_checks(graph, job, mode, texts);
  if (parts->wanted) {
    append(graph, parts_step(job, mode, parts), all_of(texts));
    return graph;
  }
  const Unit unit = add_unit(graph, job, mode, texts);
  if (job->settings->choice == HeaderChoice::check) add_all_proofs(graph, job, mode, unit);
  append(graph, join_step(job, {job}), unit.last);
  return graph;
}

Unit add_unit(StepGraph& graph, const JobPtr& job, const CompileMode& mode, const Texts& texts) {
  Unit unit;
  // The device side: an image of PTX and machine code for every architecture.
  std::vector<StepId> images;
  for (std::size_t i = 0; i < job->layout.passes.size(); ++i) {
    const PassLayout& pass = job->layout.passes[i];
    const StepId cicc = append(graph, cicc_step(job, pass, mode), texts.device[i]);
    unit.cicc.push_back(cicc);
    images.push_back(cicc);
    std::vector<StepId>& ptxas = unit.ptxas.emplace_back();
    for (const RealLayout& real : pass.real)
      ptxas.push_back(append(graph, ptxas_step(job, pass, real), {cicc}));
    images.insert(images.end(), ptxas.begin(), ptxas.end());
  }
  const StepId fatbinary = append(graph, fatbinary_step(job), std::move(images));

  // The host side: it needs the stubs that cicc wrote, and the image only where that cannot lie in
  // an object of its own.
  const StepId cudafe = append(graph, cudafe_step(job, mode.host), texts.host);
  const StepId stub = append(graph, stub_step(job), unit.cicc);
  std::vector<StepId> before_compile = {cudafe, stub};
  if (!is_detached(*job)) before_compile.push_back(fatbinary);
  unit.compile = append(graph, host_compile_step(job, mode.host), std::move(before_compile));
  const StepId check = append(graph, kernel_check_step(job), {unit.compile, cudafe});
  unit.last = {unit.compile, check, fatbinary};
  if (is_detached(*job)) unit.last.push_back(append(graph, image_step(job), {fatbinary}));
  return unit;
}

}  // namespace sagebuild::nvcc
