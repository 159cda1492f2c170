// --headers check: cicc once more with torch's own headers, whose PTX must be the same; and machine
// code that is made from another architecture's PTX beside what its own gives, which must be the
// same instructions.

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/elf.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

std::string suffix(std::string_view arch) { return std::string(arch.substr(arch.find('_') + 1)); }

// The commands for compute_89 become those for compute_90.
Words retargeted(const Words& argv, const std::string& from, const std::string& to) {
  Words result = argv;
  for (auto& word : result) {
    if (word == "compute_" + from) word = "compute_" + to;
    if (word == fmt::format("-D__CUDA_ARCH__={}0", from))
      word = fmt::format("-D__CUDA_ARCH__={}0", to);
  }
  return result;
}

// The verdict hangs on both texts and the compiler.
ActionKey proof_key(const Job& job, const PassLayout& pass, const fs::path& folder) {
  const Words names = {"--orig_src_file_name", "--orig_src_path_name", "-o"};
  ActionKey key(std::string(name_of(Stage::header_proof)), job.subject + " " + pass.arch);
  key.add("cicc", job.settings->toolkit->tools.at("cicc"));
  key.add("options", options_of(pass.cicc, names));
  key.add("text", token_digest(read_file(job.device_text(pass))));
  key.add("other text", token_digest(read_file(folder / pass.text)));
  return key;
}

void add_header_proof(StepGraph& graph, const JobPtr& job, const PassLayout& pass,
                      std::vector<StepId> after) {
  const std::string place = "proof." + pass.arch;
  const fs::path text = job->place("preprocess." + place) / pass.text;
  after.push_back(append(graph, device_preprocess_step(job, pass, HeaderMode::full, text), {}));
  Step step = job->step(Stage::header_proof, pass.arch);
  step.folder = job->place(place);
  step.inputs = {{text, pass.text}};
  step.reads = {job->device_text(pass), job->ptx(pass)};
  step.key = [job, pass, folder = step.folder] { return proof_key(*job, pass, folder); };
  step.command = [job, pass, folder = step.folder] {
    write_file(folder / job->layout.module_id_file, job->id);
    return job->command(mapped_source_options(pass.cicc, *job), folder);
  };
  step.check = [job, pass, folder = step.folder] {
    const auto difference = ptx_difference(read_file(folder / pass.ptx), read_file(job->ptx(pass)));
    if (difference)
      refuse(fmt::format("PTX for {} with torch's own headers is not what stands in for it: {}",
                         pass.arch, *difference));
  };
  expect_cicc(step, *job, HeaderMode::full);
  append(graph, std::move(step), std::move(after));
}

// As if sm_90 were made from compute_90. Its PTX may be another and come to the same instructions:
// what CUDA's headers write as an addition for one architecture is a multiplication by one and an
// addition for an older.
void add_pair_proof(StepGraph& graph, const JobPtr& job, const PassLayout& pass,
                    const RealLayout& real, const CompileMode& mode, std::vector<StepId> after) {
  PassLayout own = pass;
  own.arch = "compute_" + suffix(real.arch);
  own.preprocess = retargeted(pass.preprocess, suffix(pass.arch), suffix(real.arch));
  own.cicc = retargeted(pass.cicc, suffix(pass.arch), suffix(real.arch));
  const JobPtr other = job->in(job->place("pair." + real.arch));
  const auto add = [&](Step step, std::vector<StepId> before) {
    step.stage = Stage::pair_proof;  // where one fails, the plan is wrong
    return append(graph, std::move(step), std::move(before));
  };
  const StepId text =
      add(device_preprocess_step(other, own, mode.device, other->device_text(own)), {});
  const StepId cicc = add(cicc_step(other, own, mode), {text});
  after.push_back(add(ptxas_step(other, own, real), {cicc}));
  Step step = job->step(Stage::pair_proof, real.arch);
  step.reads = {job->cubin(pass, real), other->cubin(own, real)};
  step.finish = [job, other, pass, own, real] {
    const auto section = differing_section(job->cubin(pass, real), other->cubin(own, real));
    if (section)
      refuse(
          fmt::format("machine code for {} made from PTX for {} is not what that for {} gives: "
                      "section '{}' differs",
                      real.arch, pass.arch, own.arch, *section));
  };
  add(std::move(step), std::move(after));
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts, [&](auto start) { return text.starts_with(start); });
}

// Whether a mangled name is one of torch's or the bridge's, or of a library's template for one of
// theirs (https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling). A template of the project's
// own that takes a type of torch's is not: which of its overloads was taken is what could differ.
bool is_torchs(std::string_view name) {
  const auto start = name.find("_Z");
  if (start == std::string_view::npos) return false;
  name.remove_prefix(start + 2);
  const std::string_view whole = name;
  // What stands in front of the outermost scope: local entity, table, guard, nested, const.
  while (!name.empty() && std::string_view("ZTVISGLNKRO").find(name.front()) != name.npos &&
         !starts_with_any(name, {"St", "Sa", "Ss"}))
    name.remove_prefix(1);
  const auto torchs = {"2at", "3c10", "5torch", "6caffe2", "16sagebuild_bridge"};
  if (std::ranges::any_of(torchs, [&](auto scope) { return name.starts_with(scope); })) return true;
  return starts_with_any(name, {"St", "Sa", "Ss", "9__gnu_cxx", "8pybind11"}) &&
         std::ranges::any_of(torchs, [&](auto scope) { return whole.find(scope) != whole.npos; });
}

void compare_hosts(const Job& job, const fs::path& with_ours, const fs::path& with_torchs) {
  const ObjectContent ours = object_content(with_ours);
  const ObjectContent full = object_content(with_torchs);
  std::vector<std::string> differ;
  std::ranges::set_symmetric_difference(ours.exports, full.exports, std::back_inserter(differ));
  if (!differ.empty())
    refuse(fmt::format("'{}' is exported with one kind of headers alone", differ.front()));
  const auto uses_torch = [](const ObjectContent::Function& function) {
    return std::ranges::any_of(function.uses, is_torchs);
  };
  std::size_t equal = 0, by_numbers = 0;
  for (const auto& [name, function] : full.functions) {
    const auto place = ours.functions.find(name);
    if (place == ours.functions.end()) continue;  // an inline one of torch's
    const auto& other = place->second;
    if (uses_torch(function) || uses_torch(other)) {
      ++by_numbers;
      continue;
    }
    if (function.code != other.code)
      refuse(fmt::format("function '{}' has other instructions", name));
    ++equal;
  }
  job.settings->reporter->detail(
      fmt::format("host proof of {}: the same exports; {} functions are the same instructions, {} "
                  "use torch and are not compared",
                  job.subject, equal, by_numbers));
}

}  // namespace

Step host_proof_step(const JobPtr& job, const fs::path& with_ours, const fs::path& with_torchs) {
  Step step = job->step(Stage::host_header_proof);
  step.reads = {with_ours, with_torchs};
  step.finish = [job, with_ours, with_torchs] { compare_hosts(*job, with_ours, with_torchs); };
  return step;
}

void add_proofs(StepGraph& graph, const JobPtr& job, const PassLayout& pass,
                const CompileMode& mode, StepId cicc, const std::vector<StepId>& ptxas) {
  if (mode.device != HeaderMode::full) add_header_proof(graph, job, pass, {cicc});
  for (std::size_t i = 0; i < pass.real.size(); ++i)
    if (suffix(pass.real[i].arch) != suffix(pass.arch))
      add_pair_proof(graph, job, pass, pass.real[i], mode, {ptxas.at(i)});
}

}  // namespace sagebuild::nvcc
