// A source in parts: its texts are cut between its launchers, each part is compiled like a source,
// and all objects and images become one object.

#include <span>

#include "sagebuild/nvcc/parts.hpp"
#include "sagebuild/sys/elf.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

// Where each text is cut, and what each part keeps.
struct Cuts {
  std::vector<Launcher> host;
  std::vector<std::vector<Launcher>> device;    // by pass
  std::vector<std::vector<std::size_t>> parts;  // launchers by index
  std::string refusal;
};

std::vector<Launcher> launchers_in(const Job& job, const fs::path& text, std::string& refusal) {
  const auto is_own = [&](std::string_view file) {
    if (file == "<built-in>" || file == "<command-line>") return false;
    const fs::path here = unmapped_path(file, job.settings->roots).value_or(file);
    return job.is_own(job.source.recorded.cwd / here);
  };
  LaunchersOutcome found = find_launchers(read_file(text), is_own);
  if (refusal.empty()) refusal = std::move(found.refusal);
  return std::move(found.launchers);
}

Cuts cuts_of(const Job& job) {
  Cuts cuts;
  cuts.host = launchers_in(job, job.host_text(), cuts.refusal);
  for (const PassLayout& pass : job.layout.passes) {
    if (!cuts.refusal.empty()) return cuts;
    cuts.device.push_back(launchers_in(job, job.device_text(pass), cuts.refusal));
    // Places may differ from text to text, the functions must not.
    if (!std::ranges::equal(cuts.host, cuts.device.back(), {}, &Launcher::head, &Launcher::head))
      cuts.refusal = fmt::format("{} has other functions than the host", pass.arch);
  }
  if (!cuts.refusal.empty()) return cuts;
  // What a macro expands to may depend on the architecture, what counts must not.
  cuts.parts = parts_of(cuts.host, job.source.parts);
  if (cuts.parts.size() < 2) cuts.refusal = "it has fewer than two functions that start kernels";
  return cuts;
}

// What a part is called in keys: by what it keeps, so that a launcher that is added elsewhere
// changes nothing here.
std::string name_of_part(const std::vector<Launcher>& launchers,
                         const std::vector<std::size_t>& kept) {
  std::string name;
  for (const std::size_t index : kept) {
    const std::string& head = launchers.at(index).head;
    // Namespaces may have the same function each.
    const auto earlier = std::span(launchers).first(index);
    const auto before = std::ranges::count(earlier, head, &Launcher::head);
    name += fmt::format("{} {}\n", before, head);
  }
  return name;
}

StepId add_cut(StepGraph& graph, const JobPtr& part, const std::string& pass, const fs::path& from,
               const fs::path& to, std::vector<Launcher> launchers, std::vector<std::size_t> kept) {
  Step step = part->step(Stage::cut, pass);
  step.folder = to.parent_path();
  step.reads = {from};
  step.writes = {to};
  step.finish = [from, to, launchers = std::move(launchers), kept = std::move(kept)] {
    write_file(to, with_bodies_of(read_file(from), launchers, kept));
  };
  return append(graph, std::move(step), {});
}

// nvcc's own, and what libstdc++ has for each unit that includes <iostream>.
bool is_of_every_unit(std::string_view variable) {
  return variable == "_ZL20__cudaFatCubinHandle" || variable == "_ZL15__fatDeviceText" ||
         variable == "_ZStL8__ioinit";
}

PartContent content_of(const Job& part) {
  PartContent content;
  content.kernels = registered_kernels(read_file(part.stub()));
  // In one piece two launchers would start the same kernel, here each would have its own.
  for (const std::string& kernel : content.kernels)
    if (kernel.find(part.id) != std::string::npos)
      refuse(fmt::format("kernel '{}' is named after something private to the source", kernel));
  for (const PassLayout& pass : part.layout.passes) {
    const std::string ptx = read_file(part.ptx(pass));
    std::ranges::move(module_functions(ptx, part.id), std::back_inserter(content.functions));
    std::ranges::move(module_variables(ptx, part.id), std::back_inserter(content.variables));
  }
  for (const std::string& name : local_variables(part.object()))
    if (!is_of_every_unit(name)) content.local_data.push_back(replaced(name, part.id, ""));
  return content;
}

StepId add_parts_check(StepGraph& graph, const JobPtr& job, const std::vector<JobPtr>& parts,
                       std::vector<StepId> after) {
  Step step = job->step(Stage::parts_check);
  for (const JobPtr& part : parts) {
    step.reads.insert(step.reads.end(), {part->stub(), part->object()});
    for (const PassLayout& pass : part->layout.passes) step.reads.push_back(part->ptx(pass));
  }
  step.finish = [parts] {
    std::vector<PartContent> contents;
    for (const JobPtr& part : parts) contents.push_back(content_of(*part));
    if (std::string twice = what_is_twice(contents); !twice.empty()) refuse(twice);
  };
  return append(graph, std::move(step), std::move(after));
}

StepGraph steps_of(const JobPtr& job, const CompileMode& mode, const Cuts& cuts) {
  StepGraph graph;
  std::vector<JobPtr> parts;
  std::vector<StepId> all;
  for (const auto& kept : cuts.parts) {
    const JobPtr part =
        job->part(parts.size() + 1, cuts.parts.size(), name_of_part(cuts.host, kept));
    parts.push_back(part);
    Texts texts;
    texts.host = {
        add_cut(graph, part, "host", job->host_text(), part->host_text(), cuts.host, kept)};
    for (std::size_t i = 0; i < job->layout.passes.size(); ++i) {
      const PassLayout& pass = job->layout.passes[i];
      texts.device.push_back({add_cut(graph, part, pass.arch, job->device_text(pass),
                                      part->device_text(pass), cuts.device.at(i), kept)});
    }
    std::ranges::move(add_unit(graph, part, mode, texts).last, std::back_inserter(all));
  }
  // Also sees what is defined twice: the linker refuses to join it.
  all.push_back(add_parts_check(graph, job, parts, all));
  append(graph, join_step(job, parts), std::move(all));
  return graph;
}

StepGraph whole_steps(const JobPtr& job, const CompileMode& mode) {
  StepGraph graph;
  Texts texts;
  texts.device.resize(job->layout.passes.size());
  std::vector<StepId> last = add_unit(graph, job, mode, texts).last;
  append(graph, join_step(job, {job}), std::move(last));
  return graph;
}

}  // namespace

Step parts_step(const JobPtr& job, const CompileMode& mode, const std::shared_ptr<Parts>& parts) {
  Step step = job->step(Stage::parts);
  const StageCosts& costs = job->source.costs;
  step.expected_seconds = costs.cicc_seconds + costs.ptxas_seconds;
  const auto ways = [job, mode, parts](const StepFailure* failure) -> std::optional<StepGraph> {
    const auto in_one_piece = [&](const std::string& reason) {
      parts->count = 1;
      parts->refusal = reason;
      job->settings->reporter->note(
          fmt::format("{} is compiled in one piece: {}", job->subject, reason));
      return whole_steps(job, mode);
    };
    if (failure == nullptr) {
      const Cuts cuts = cuts_of(*job);
      if (!cuts.refusal.empty()) return in_one_piece(cuts.refusal);
      parts->count = cuts.parts.size();
      return steps_of(job, mode, cuts);
    }
    if (parts->count < 2) return std::nullopt;
    return in_one_piece(first_complaint(*failure));
  };
  step.expand = [ways, settings = job->settings](const StepFailure* failure) {
    auto graph = ways(failure);
    if (graph) require_same_tools(*graph, settings);
    return graph;
  };
  return step;
}

StepGraph part_steps(const JobPtr& job, const CompileMode& mode, std::size_t count) {
  Cuts cuts;
  cuts.host.resize(count);
  cuts.device.resize(job->layout.passes.size());
  for (std::size_t i = 0; i < count; ++i) cuts.parts.push_back({i});
  return steps_of(job, mode, cuts);
}

}  // namespace sagebuild::nvcc
