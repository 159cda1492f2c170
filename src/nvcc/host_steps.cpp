// The host half of a compile taken apart: preprocess, cudafe++, host compile, and the one object out of code and image.

#include <map>

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

bool detached(const Job& job) { return job.settings->toolkit->detach_off.empty(); }

// torch's host headers read Thrust's, which name a namespace after the list of architectures; so each list would have a
// host text of its own. With facade headers no kernel is named so, and one that the project brings (CUB) is found: its
// stub does not compile. So the host text gets one list for all.
bool hides_arch_list(const CompileMode& mode) { return mode.device == HeaderMode::facade; }

Words host_preprocess(const Job& job, const CompileMode& mode) {
  Words argv = job.layout.host_preprocess;
  for (auto& word : argv)
    if (hides_arch_list(mode) && word.starts_with("-D__CUDA_ARCH_LIST__=")) word = "-D__CUDA_ARCH_LIST__=0";
  return argv;
}

Step preprocess_step(const JobPtr& job, const CompileMode& mode) {
  Step step = job->step("host preprocess");
  const fs::path text = job->folder / job->layout.host_text;
  const Words argv = host_preprocess(*job, mode);
  step.command = [job, mode, text, argv] {
    make_folders(job->folder);
    write_file(job->folder / job->layout.module_id_file, job->id);
    return job->command(preprocess_command(argv, *job, mode.host, text), job->source.recorded.cwd);
  };
  step.finish = [job, text] { map_text(*job, text); };
  step.expected_seconds = 1;
  return step;
}

// The project's own files may ask for the list.
Step arch_list_check_step(const JobPtr& job) {
  Step step = job->step("header check", "architecture list");
  step.finish = [job] {
    const std::string depfile = (job->folder / job->layout.host_text).string() + ".d";
    for (const auto& file : job->files_in(depfile)) {
      if (job->mapped(file).starts_with("/sagebuild/tree/") &&
          read_file(file).find("__CUDA_ARCH_LIST__") != std::string::npos)
        refuse("the source reads __CUDA_ARCH_LIST__");
    }
  };
  step.expected_seconds = 0;
  return step;
}

struct Cost {
  double seconds;  // wall, on one core
  std::uint64_t mebibytes;
};

// Until it was measured here.
void expect(Step& step, HeaderMode headers, const std::map<HeaderMode, Cost>& costs) {
  const Cost& cost = costs.at(headers);
  step.expected_seconds = cost.seconds;
  step.expected_memory = cost.mebibytes << 20U;
}

Step cudafe_step(const JobPtr& job, HeaderMode headers) {
  Step step = job->step("cudafe++");
  const Words argv = mapped_source_options(job->layout.cudafe, *job);
  step.key = [job, argv] {
    return cudafe_key(job->subject, job->settings->toolkit->tools.at("cudafe++"), argv, job->id,
                      read_file(job->folder / job->layout.host_text));
  };
  step.outputs = {{"host text", job->folder / job->layout.cudafe_text}};
  step.command = [job, argv] { return job->command(argv, job->folder); };
  step.finish = [job] {
    const fs::path file = job->folder / job->layout.cudafe_text;
    std::string text = read_file(file);
    const auto kernels = template_kernels(text);
    if (mark_missing_kernels(text) != kernels && job->settings->toolkit->kernel_check_off.empty())
      refuse("a template kernel has another body than the one that is known here");
    write_file(file, text);
  };
  expect(step, headers,
         {{HeaderMode::facade, {1, 250}}, {HeaderMode::lean, {6, 1000}}, {HeaderMode::full, {19, 2200}}});
  return step;
}

// One stub serves the host side; nvcc takes that of its last architecture. A difference means kernels that exist for
// some architectures only, and then plain nvcc shall decide.
Step stub_step(const JobPtr& job) {
  Step step = job->step("stub");
  step.finish = [job] {
    const auto& passes = job->layout.passes;
    const std::string stub = read_file(job->pass_folder(passes.front()) / passes.front().stub);
    for (const auto& pass : passes)
      if (token_digest(read_file(job->pass_folder(pass) / pass.stub)) != token_digest(stub))
        refuse(fmt::format("{} has other kernels than {}", pass.arch, passes.front().arch));
    write_file(job->folder / passes.front().stub, stub);
    if (detached(*job)) write_file(job->folder / job->layout.fatbin_c, detached_wrapper(job->id));
  };
  step.expected_seconds = 0;
  return step;
}

Step host_compile_step(const JobPtr& job, HeaderMode headers) {
  Step step = job->step("host compile");
  const Layout& layout = job->layout;
  step.key = [job, &layout] {
    return host_compile_key(
        job->subject, job->settings->toolkit->tools.at("host"), job->settings->toolkit->runtime_headers,
        layout.host_compile, read_file(job->folder / layout.cudafe_text),
        read_file(job->folder / layout.passes.front().stub), sha256_file(job->folder / layout.fatbin_c));
  };
  step.outputs = {{"object", job->folder / layout.object}};
  step.command = [job, &layout] { return job->command(layout.host_compile, job->folder); };
  expect(step, headers, {{HeaderMode::facade, {2, 300}}, {HeaderMode::lean, {8, 700}}, {HeaderMode::full, {19, 1500}}});
  return step;
}

// Checks 1 and 2 of facts section 5.
Step kernel_check_step(const JobPtr& job) {
  Step step = job->step("header check", "kernels");
  step.finish = [job] {
    refuse_if(missing_kernels(undefined_symbols(job->folder / job->layout.object),
                              plain_kernels(read_file(job->folder / job->layout.cudafe_text))));
  };
  step.expected_seconds = 0;
  return step;
}

Step image_step(const JobPtr& job) {
  Step step = job->step("image");
  step.command = [job] {
    write_file(job->folder / "image.s", detached_image(job->id, job->layout.fatbin));
    return job->command({job->layout.host_compile.front(), "-c", "image.s", "-o", "image.o"}, job->folder);
  };
  step.expected_seconds = 0;
  return step;
}

Step join_step(const JobPtr& job) {
  Step step = job->step("join");
  if (detached(*job)) {
    step.command = [job] {
      return job->command({"ld", "-r", job->layout.object, "image.o", "-o", "whole.o"}, job->folder);
    };
  }
  step.finish = [job] {
    const fs::path object = job->folder / (detached(*job) ? "whole.o" : job->layout.object);
    make_folders(job->source.recorded.object.parent_path());
    write_file(job->source.recorded.object, read_file(object));
  };
  step.expected_seconds = 0;
  return step;
}

}  // namespace

void add_host_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode, const DeviceSteps& device) {
  const auto add = [&](Step step, std::vector<StepId> after) {
    step.after = std::move(after);
    graph.push_back(std::move(step));
    return graph.size() - 1;
  };
  const StepId preprocess = add(preprocess_step(job, mode), {});
  job->depfiles.push_back((job->folder / job->layout.host_text).string() + ".d");
  const StepId cudafe = add(cudafe_step(job, mode.host), {preprocess});
  const StepId stub = add(stub_step(job), device.cicc);
  std::vector<StepId> before_compile = {cudafe, stub};
  if (!detached(*job)) before_compile.push_back(device.fatbinary);
  const StepId compile = add(host_compile_step(job, mode.host), before_compile);
  std::vector<StepId> before_join = device.checks;
  before_join.push_back(add(kernel_check_step(job), {compile}));
  if (hides_arch_list(mode)) before_join.push_back(add(arch_list_check_step(job), {preprocess}));
  if (mode.host == HeaderMode::facade)
    before_join.push_back(add_host_macro_check(graph, job, host_preprocess(*job, mode), device.checks));
  before_join.push_back(detached(*job) ? add(image_step(job), {device.fatbinary, stub}) : device.fatbinary);
  add(join_step(job), before_join);
}

}  // namespace sagebuild::nvcc
