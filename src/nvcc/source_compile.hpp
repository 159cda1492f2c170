#pragma once
// The state that the steps of one source share, while it goes from mode to mode. Private to the
// room.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/arguments.hpp"
#include "sagebuild/nvcc/compile.hpp"
#include "sagebuild/nvcc/layout.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild::nvcc {

namespace fs = std::filesystem;

// What a preprocessor or an assembler said that it read.
struct Depfile {
  fs::path file;
  fs::path cwd;  // of the process: relative names stand below it
};

struct Job;
using JobPtr = std::shared_ptr<Job>;

// One source in one build: what is known before a mode is chosen.
struct Job {
  PlannedSource source;
  std::string module;
  std::shared_ptr<const CompileSettings> settings;
  std::string subject;  // "sageattention._fused fused.cu"
  std::string file;     // "_fused fused.cu": for labels
  std::string id;       // module id
  fs::path folder;      // private
  // Below it, new for every mode: what a killed step may still write meets nobody
  fs::path attempt;
  // Compiler and its normalised options, our architectures and -std among them
  Words argv;
  std::string path;                // PATH of the dry run; empty: ours
  Layout layout;                   // if the dry run was understood
  std::string opaque;              // why plain nvcc has to do it
  std::vector<fs::path> programs;  // what plain nvcc starts, where the dry run was not understood
  // Why results that depend on files must not be found by them; empty: they may.
  std::string unnamed_files;
  SearchScope scope;  // where its preprocessor looks
  // Of the last attempt: dependency files, and lists of files by their fixed names.
  std::vector<Depfile> depfiles;
  std::vector<fs::path> file_lists;

  Command command(Words words, const fs::path& cwd) const;
  Step step(std::string kind, const std::string& detail = {}) const;
  // The folder of one step.
  fs::path place(const std::string& step_name) const { return attempt / step_name; }
  // Absolute; ours alone are left out
  std::vector<fs::path> files_in(const Depfile& depfile) const;
  std::string mapped(const fs::path& path_here) const {
    return mapped_path(path_here.native(), settings->roots);
  }
  // The files of a list of fixed names, a line each, where they lie here.
  std::vector<fs::path> listed(const fs::path& list) const;
  // Neither torch's nor Python's, CUDA's, the system's or ours.
  bool is_own(const fs::path& header) const;

  // Where each file of a compile taken apart lies, which is in the folder of the step that writes
  // it.
  fs::path host_text() const { return place("preprocess.host") / layout.host_text; }
  fs::path cudafe_text() const { return place("cudafe") / layout.cudafe_text; }
  fs::path device_text(const PassLayout& pass) const {
    return place("preprocess." + pass.arch) / pass.text;
  }
  fs::path ptx(const PassLayout& pass) const { return place("cicc." + pass.arch) / pass.ptx; }
  fs::path stub_of(const PassLayout& pass) const { return place("cicc." + pass.arch) / pass.stub; }
  fs::path cubin(const PassLayout& pass, const RealLayout& real) const {
    return place(fmt::format("ptxas.{}.{}", pass.arch, real.arch)) / real.cubin;
  }
  fs::path fatbin() const { return place("fatbinary") / layout.fatbin; }
  fs::path stub() const { return place("stub") / layout.passes.front().stub; }
  fs::path wrapper() const { return place("stub") / layout.fatbin_c; }
  fs::path object() const { return place("host-compile") / layout.object; }

  // The same source with other places for all of these.
  JobPtr in(const fs::path& new_attempt) const;
};

// Gives the number of the step in the graph.
StepId append(StepGraph& graph, Step step, std::vector<StepId> after);

// The settings with a fixed name for the folder of our headers: where we are installed is in no
// key.
std::shared_ptr<const CompileSettings> with_headers_root(const CompileSettings& settings);

// A failed command's reason is its whole output: the first line that says error, else the first
// line at all.
std::string first_complaint(const StepFailure& failure);

// g++ collects garbage from 128 MB on, a tenth of its time where torch's or pybind11's templates
// are read; those take 700 MB at most without. In KiB; the object does not depend on it.
inline constexpr std::string_view kLessGarbageCollection = "--param=ggc-min-heapsize=1048576";

// Headers are named as they were looked for. A system header behind a link would else stand in a
// dependency file by its real path, and nobody would see when the link leads elsewhere.
inline constexpr std::string_view kHeadersAsFound = "-fno-canonical-system-headers";

// A header in front of a preprocess line: "-I" before the first "-I" (docs/headers.md).
Words with_headers(const Words& argv, const Job& job, HeaderMode mode);
// The same line with output, dependency file and prefix maps. Its line markers still name this
// machine's folders: mapped_text reads it without, map_text replaces the file.
Words preprocess_command(const Words& argv, const Job& job, HeaderMode mode, const fs::path& text);
std::string mapped_text(const Job& job, const fs::path& text);
void map_text(const Job& job, const fs::path& text);

// The key with the content of every file that the options name by a full path; nothing if the
// options make the tool read files that cannot be told.
std::optional<ActionKey> kept_by_key(const Job& job, ActionKey key, const Words& argv);
// The step reads the text and the assembler's files (.incbin): makes it an action that is found by
// the text and by those files, and has `argv` ask for them. `deps` are further dependency files
// that it writes, relative to its folder.
void found_by_files(Step& step, const JobPtr& job, Words& argv, std::vector<fs::path> deps);
// Leaves `object` where ninja would have put it. The outer step has it among its outputs.
void publish(Step& step, const JobPtr& job, const fs::path& object);

// A step that throws Error{failed} with `reason` in its finish if the check refuses.
[[noreturn]] void refuse(const std::string& reason);
inline void refuse_if(const std::optional<std::string>& reason) {
  if (reason) refuse(*reason);
}

// The steps of one mode. The last one leaves the object in its place.
StepGraph decomposed_steps(const JobPtr& job, const CompileMode& mode);
StepGraph plain_steps(const JobPtr& job);
StepGraph cxx_steps(const JobPtr& job, HeaderMode mode);

// Nothing that the source's own files, or others that are not torch's, Python's, CUDA's or the
// system's, ask of the preprocessor may come out differently with our headers in one pass.
// `preprocess` is the pass's own command without headers in front and without outputs; `pass` names
// it ("host", "compute_89"). Refused as kind `kind`. Gives the step to wait for.
StepId add_macro_check(StepGraph& graph, const JobPtr& job, const std::string& kind,
                       const std::string& pass, HeaderMode headers, const Words& preprocess);

// The source by its fixed name, in what cicc and fatbinary write down.
Words mapped_source_options(Words argv, const Job& job);
// Preprocesses one device pass into `text`, which lies in the step's folder.
Step preprocess_step(const JobPtr& job, const PassLayout& pass, HeaderMode headers,
                     const fs::path& text);
// What a cicc run takes with these headers, until it was measured.
void expect_cicc(Step& step, const Job& job, HeaderMode headers);
// --headers check: what the PTX of a pass is held against. `cicc` makes that PTX. A proof that
// fails is of kind "header proof" (other headers may fit) or "pair proof" (the plan is wrong).
std::vector<StepId> add_proofs(StepGraph& graph, const JobPtr& job, const PassLayout& pass,
                               const CompileMode& mode, StepId preprocess, StepId cicc);

// --headers check: for objects whose functions can be compared. Optimised, a function depends on
// what else its unit holds (unit growth limits inlining); and where functions share a section, the
// distance between two of them stands in the code.
inline constexpr std::array kComparableObject = {"-O0", "-ffunction-sections", "-fdata-sections"};
// Both objects must have the same for others, and the functions that use nothing of torch's must be
// the same instructions. Those that do call the bridge in one and torch in the other, and are
// counted instead.
Step host_proof_step(const JobPtr& job, const fs::path& with_ours, const fs::path& with_torchs);

// Parts of decomposed_steps. Each appends to `graph` and says what later steps wait for.
struct DeviceSteps {
  std::vector<StepId> preprocess, cicc;  // one per pass
  StepId fatbinary = 0;
  std::vector<StepId> checks;  // macro checks, proofs
};
DeviceSteps add_device_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode);
void add_host_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode,
                    const DeviceSteps& device);

}  // namespace sagebuild::nvcc
