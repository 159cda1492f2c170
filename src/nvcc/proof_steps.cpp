// --headers check: cicc once more, with full headers or for the other architecture of a pair; the
// PTX must be the same.

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/elf.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

struct Proof {
  Stage stage;         // header_proof or pair_proof
  PassLayout pass;     // what is run
  HeaderMode headers;  // with these
  std::string place;   // name of the step's folder
};

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
ActionKey proof_key(const Job& job, const PassLayout& ours, const Proof& proof,
                    const fs::path& folder) {
  const Words names = {"--orig_src_file_name", "--orig_src_path_name", "-o"};
  ActionKey key(std::string(name_of(proof.stage)), job.subject + " " + proof.pass.arch);
  key.add("cicc", job.settings->toolkit->tools.at("cicc"));
  key.add("options", options_of(ours.cicc, names));
  key.add("other options", options_of(proof.pass.cicc, names));
  key.add("text", token_digest(read_file(job.device_text(ours))));
  key.add("other text", token_digest(read_file(folder / proof.pass.text)));
  return key;
}

void add_proof(StepGraph& graph, const JobPtr& job, const PassLayout& ours, const Proof& proof,
               std::vector<StepId> after) {
  const fs::path text = job->place("preprocess." + proof.place) / proof.pass.text;
  after.push_back(append(graph, device_preprocess_step(job, proof.pass, proof.headers, text), {}));
  Step step = job->step(proof.stage, proof.pass.arch);
  step.folder = job->place(proof.place);
  step.inputs = {{text, proof.pass.text}};
  step.reads = {job->device_text(ours), job->ptx(ours)};
  step.key = [job, ours, proof, folder = step.folder] {
    return proof_key(*job, ours, proof, folder);
  };
  step.command = [job, proof, folder = step.folder] {
    write_file(folder / job->layout.module_id_file, job->id);
    return job->command(mapped_source_options(proof.pass.cicc, *job), folder);
  };
  step.check = [job, ours, proof, folder = step.folder] {
    const std::string other =
        replaced(read_file(folder / proof.pass.ptx), ".target sm_" + suffix(proof.pass.arch),
                 ".target sm_" + suffix(ours.arch));
    if (const auto difference = ptx_difference(other, read_file(job->ptx(ours))))
      refuse(fmt::format("PTX for {} with {} headers is not what stands in for it: {}",
                         proof.pass.arch, name_of(proof.headers), *difference));
  };
  expect_cicc(step, *job, proof.headers);
  append(graph, std::move(step), std::move(after));
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
                const CompileMode& mode, std::vector<StepId> after) {
  if (mode.device != HeaderMode::full)
    add_proof(graph, job, pass, {Stage::header_proof, pass, HeaderMode::full, "proof." + pass.arch},
              after);
  for (const auto& real : pass.real) {
    if (suffix(real.arch) == suffix(pass.arch)) continue;
    PassLayout own = pass;  // as if sm_90 were made from compute_90
    own.arch = "compute_" + suffix(real.arch);
    own.preprocess = retargeted(pass.preprocess, suffix(pass.arch), suffix(real.arch));
    own.cicc = retargeted(pass.cicc, suffix(pass.arch), suffix(real.arch));
    const std::string place = fmt::format("proof.{}-for-{}", pass.arch, own.arch);
    add_proof(graph, job, pass, {Stage::pair_proof, std::move(own), mode.device, place}, after);
  }
}

}  // namespace sagebuild::nvcc
