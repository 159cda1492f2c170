// The host half of a compile taken apart: preprocess, cudafe++, host compile, and the one object
// out of code and image.

#include "proved.hpp"
#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/elf.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

// The facade's host text needs no list of architectures, so it gets one list for all and is the
// same for each. (torch's own headers read Thrust's, which name a namespace after the list.) A file
// that asks for the list is found by the check of macros, and a kernel that is named after it (CUB)
// has a stub that does not compile.
Words host_preprocess(const Job& job, const CompileMode& mode) {
  Words argv = job.layout.host_preprocess;
  for (auto& word : argv)
    if (mode.host == HeaderMode::facade && word.starts_with("-D__CUDA_ARCH_LIST__="))
      word = "-D__CUDA_ARCH_LIST__=0";
  return argv;
}

// It runs in a folder of its own, and nvcc's relative include folders stand below the recorded one.
Words with_absolute_folders(Words argv, const fs::path& cwd) {
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if ((argv[i] == "-isystem" || argv[i] == "-I") && i + 1 < argv.size()) {
      argv[i + 1] = (cwd / argv[i + 1]).string();
      ++i;
    } else if (argv[i].starts_with("-I")) {
      argv[i] = "-I" + (cwd / argv[i].substr(2)).string();
    }
  }
  return argv;
}

// What the host text embeds: the image, or a name for one that is joined later.
fs::path embedded_image(const Job& job) {
  return is_detached(job) ? job.wrapper() : job.place("fatbinary") / job.layout.fatbin_c;
}

}  // namespace

bool is_detached(const Job& job) { return job.settings->toolkit->detach_off.empty(); }

Step host_preprocess_step(const JobPtr& job, const CompileMode& mode) {
  return preprocess_step(Stage::host_preprocess, job, {}, host_preprocess(*job, mode), mode.host,
                         job->host_text());
}

Step cudafe_step(const JobPtr& job, HeaderMode headers) {
  Step step = job->step(Stage::cudafe, {}, headers);
  step.folder = job->place("cudafe");
  step.inputs = {{job->host_text(), job->layout.host_text}};
  step.outputs = {{"host text", job->cudafe_text()}};
  const Words argv = mapped_source_options(job->layout.cudafe, *job);
  step.key = [job, argv, folder = step.folder] {
    return kept_by_key(*job,
                       cudafe_key(job->subject, job->settings->toolkit->tools.at("cudafe++"), argv,
                                  job->id, read_file(folder / job->layout.host_text)),
                       argv);
  };
  step.command = [job, argv, folder = step.folder] {
    write_file(folder / job->layout.module_id_file, job->id);
    return job->command(argv, folder);
  };
  step.finish = [job] {
    const fs::path file = job->cudafe_text();
    std::string text = read_file(file);
    const auto kernels = template_kernels(text);
    if (mark_missing_kernels(text) != kernels && job->settings->toolkit->kernel_check_off.empty())
      refuse("a template kernel has another body than the one that is known here");
    write_file(file, text);
  };
  return step;
}

// One stub serves the host side; nvcc takes that of its last architecture. A difference means
// kernels that exist for some architectures only, and then plain nvcc shall decide.
Step stub_step(const JobPtr& job) {
  Step step = job->step(Stage::stub);
  step.folder = job->place("stub");
  step.writes = {job->stub()};
  for (const auto& pass : job->layout.passes) step.reads.push_back(job->stub_of(pass));
  if (is_detached(*job)) step.writes.push_back(job->wrapper());
  step.finish = [job] {
    const auto& passes = job->layout.passes;
    const std::string stub = read_file(job->stub_of(passes.front()));
    for (const auto& pass : passes)
      if (token_digest(read_file(job->stub_of(pass))) != token_digest(stub))
        refuse(fmt::format("{} has other kernels than {}", pass.arch, passes.front().arch));
    write_file(job->stub(), stub);
    if (is_detached(*job)) write_file(job->wrapper(), detached_wrapper(job->id));
  };
  return step;
}

Step host_compile_step(const JobPtr& job, HeaderMode headers) {
  Step step = job->step(Stage::host_compile, {}, headers);
  const Layout& layout = job->layout;
  const std::string stub = layout.passes.front().stub;
  step.folder = job->place("host-compile");
  step.inputs = {{job->cudafe_text(), layout.cudafe_text},
                 {job->stub(), stub},
                 {embedded_image(*job), layout.fatbin_c}};
  step.outputs = {{"object", job->object()}};
  step.key = [job, &layout, stub, folder = step.folder] {
    return kept_by_key(
        *job,
        host_compile_key(job->subject, job->settings->toolkit->tools.at("host"),
                         layout.host_compile, read_file(folder / layout.cudafe_text),
                         read_file(folder / stub), sha256_file(folder / layout.fatbin_c)),
        layout.host_compile);
  };
  Words argv = with_absolute_folders(layout.host_compile, job->source.recorded.cwd);
  argv.insert(argv.end(), {std::string(kHeadersAsFound), "-MD", "-MF", "host.d", "-MT", "object"});
  found_by_files(step, job, argv, {"host.d"});
  step.command = [job, argv, folder = step.folder] { return job->command(argv, folder); };
  return step;
}

// A kernel that the device pass does not have would be launched as a null function
// (docs/headers.md).
Step kernel_check_step(const JobPtr& job) {
  Step step = job->step(Stage::header_check, "kernels");
  step.reads = {job->object(), job->cudafe_text()};
  step.finish = [job] {
    refuse_if(missing_kernels(undefined_symbols(job->object()),
                              plain_kernels(read_file(job->cudafe_text()))));
  };
  return step;
}

Step image_step(const JobPtr& job) {
  Step step = job->step(Stage::image);
  step.folder = job->place("image");
  step.inputs = {{job->fatbin(), job->layout.fatbin}};
  step.writes = {step.folder / "image.o"};
  step.command = [job, folder = step.folder] {
    write_file(folder / "image.s", detached_image(job->id, job->layout.fatbin));
    return job->command({job->layout.host_compile.front(), "-c", "image.s", "-o", "image.o"},
                        folder);
  };
  return step;
}

// What is linked into the source's object: of each unit its object and, detached, its image.
Step join_step(const JobPtr& job, const std::vector<JobPtr>& units) {
  Step step = job->step(Stage::join);
  step.folder = job->place("join");
  Words argv = {"ld", "-r"};
  for (std::size_t i = 0; i < units.size(); ++i) {
    step.inputs.push_back({units[i]->object(), fmt::format("{}.o", i + 1)});
    if (is_detached(*job))
      step.inputs.push_back(
          {units[i]->place("image") / "image.o", fmt::format("{}.image.o", i + 1)});
  }
  if (step.inputs.size() == 1) {
    publish(step, job, step.folder / step.inputs.front().name);
    return step;
  }
  for (const StepInput& input : step.inputs) argv.push_back(input.name);
  argv.insert(argv.end(), {"-o", "whole.o"});
  step.command = [job, argv, folder = step.folder] { return job->command(argv, folder); };
  publish(step, job, step.folder / "whole.o");
  return step;
}

void add_host_macro_check(StepGraph& graph, const JobPtr& job, const CompileMode& mode,
                          StepId preprocessed) {
  add_macro_check(graph, job, Stage::host_header_check, "host", mode.host,
                  host_preprocess(*job, mode), job->host_text(), preprocessed);
}

void add_host_proof(StepGraph& graph, const JobPtr& job, const CompileMode& mode, StepId compiled) {
  // The stub and the image are the same for both.
  const auto add_compile = [&](const JobPtr& from, HeaderMode headers, StepId after) {
    Step compile = host_compile_step(from, headers);
    compile.inputs[1].from = job->stub();
    compile.inputs[2].from = embedded_image(*job);
    return append(graph, std::move(compile), {after, compiled});
  };
  const auto ours = job->in(job->place("host-proof.ours"));
  const auto torchs = job->in(job->place("host-proof.torch"));
  for (const auto& one : {ours, torchs})
    one->layout.host_compile.insert(one->layout.host_compile.end(), kComparableObject.begin(),
                                    kComparableObject.end());
  const CompileMode full{HeaderMode::full, HeaderMode::full, false};
  const StepId text = append(graph, host_preprocess_step(torchs, full), {});
  const StepId cudafe = append(graph, cudafe_step(torchs, HeaderMode::full), {text});
  const StepId with_torch = add_compile(torchs, HeaderMode::full, cudafe);
  const StepId with_facade = add_compile(ours, mode.host, compiled);
  graph[with_facade].inputs[0].from = job->cudafe_text();
  append(graph, host_proof_step(job, ours->object(), torchs->object()), {with_facade, with_torch});
}

}  // namespace sagebuild::nvcc
