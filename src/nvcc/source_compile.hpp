#pragma once
// The state that the steps of one source share, while it goes from mode to mode. Private to the
// folder.

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

// What the steps of one source read, filled while its graph is made: dependency files that will be
// there, and lists of files by their fixed names.
struct FilesRead {
  std::vector<Depfile> depfiles;
  std::vector<fs::path> lists;
};

struct Job;
using JobPtr = std::shared_ptr<const Job>;

// One source in one build, and where one attempt to compile it, or one part of it, has its files.
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
  std::string mode_name;  // of the attempt
  // Compiler and its normalised options, our architectures and -std among them
  Words argv;
  std::string path;                // PATH of the dry run; empty: ours
  Layout layout;                   // if the dry run was understood
  std::string opaque;              // why plain nvcc has to do it
  std::vector<fs::path> programs;  // what plain nvcc starts, where the dry run was not understood
  // Why results that depend on files must not be found by them; empty: they may.
  std::string unnamed_files;
  SearchScope scope;                 // where its preprocessor looks
  std::shared_ptr<FilesRead> reads;  // of this attempt

  bool is_cuda() const { return source.recorded.language == Language::cuda; }
  Command command(Words words, const fs::path& cwd) const;
  // With what the stage takes by the table, with the headers that it reads.
  Step step(Stage stage, const std::string& detail = {},
            HeaderMode headers = HeaderMode::facade) const;
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
  std::shared_ptr<Job> in(const fs::path& new_attempt) const;
  // A part of it with places below this one's: `name` is the same in every build and for no other
  // part.
  JobPtr part(std::size_t number, std::size_t of, std::string_view name) const;
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
// The same line with output, dependency file and prefix maps.
Words preprocess_command(const Words& argv, const Job& job, HeaderMode mode, const fs::path& text);
// Runs the preprocess line `argv`, which is without headers in front and without outputs, into
// `text`, which lies in the folder of the step. With headers of ours, the same run tells what the
// source asks of the preprocessor: `asked_in` has the text with the answers, `warned_in` what the
// preprocessor warned of.
Step preprocess_step(Stage stage, const JobPtr& job, const std::string& detail, const Words& argv,
                     HeaderMode headers, const fs::path& text);
inline fs::path asked_in(const fs::path& text) { return text.string() + ".asked"; }
inline fs::path warned_in(const fs::path& text) { return text.string() + ".log"; }

// The key with the content of every file that the options name by a full path; nothing if the
// options make the tool read files that cannot be told.
std::optional<ActionKey> kept_by_key(const Job& job, ActionKey key, const Words& argv);
// The step reads the text and the assembler's files (.incbin): makes it an action that is found by
// the text and by those files, and has `argv` ask for them. `deps` are further dependency files
// that it writes, relative to its folder.
void found_by_files(Step& step, const JobPtr& job, Words& argv, std::vector<fs::path> deps);
// Leaves `object` where ninja would have put it. The outer step has it among its outputs.
void publish(Step& step, const JobPtr& job, const fs::path& object);

// Nothing is kept under the digest of tools that were replaced while they ran: every step with a
// key looks before it is stored.
void require_same_tools(StepGraph& graph, const std::shared_ptr<const CompileSettings>& settings);

// Throws Error{failed} with the reason: how a check in `check` or `finish` makes its step fail.
[[noreturn]] void refuse(const std::string& reason);
inline void refuse_if(const std::optional<std::string>& reason) {
  if (reason) refuse(*reason);
}

// What became of the wish to compile a source in parts.
struct Parts {
  bool wanted = false;
  std::size_t count = 1;  // that it was compiled in
  std::string refusal;    // why it is in one piece although it was wanted
};

// The steps of one mode. The last one leaves the object in its place.
StepGraph decomposed_steps(const JobPtr& job, const CompileMode& mode,
                           const std::shared_ptr<Parts>& parts);
StepGraph plain_steps(const JobPtr& job);
StepGraph cxx_steps(const JobPtr& job, HeaderMode mode);

// Nothing that the source's own files, or others that are not torch's, Python's, CUDA's or the
// system's, ask of the preprocessor may come out differently with our headers in one pass.
// `preprocess` is the pass's own command without headers in front and without outputs, `text` what
// it wrote in the step `preprocessed`; `pass` names it ("host", "compute_89"). Refused by the stage
// `check`.
void add_macro_check(StepGraph& graph, const JobPtr& job, Stage check, const std::string& pass,
                     HeaderMode headers, const Words& preprocess, const fs::path& text,
                     StepId preprocessed);

// The source by its fixed name, in what cicc and fatbinary write down.
Words mapped_source_options(Words argv, const Job& job);
// What a cicc run of this source takes, until it was measured.
void expect_cicc(Step& step, const Job& job, HeaderMode headers);
// --headers check: what the PTX of a pass and its machine code are held against, which the steps
// `cicc` and `ptxas` (one per real architecture) make. A proof that fails is a header_proof (other
// headers may fit) or a pair_proof (the plan is wrong).
void add_proofs(StepGraph& graph, const JobPtr& job, const PassLayout& pass,
                const CompileMode& mode, StepId cicc, const std::vector<StepId>& ptxas);

// --headers check: for objects whose functions can be compared. Optimised, a function depends on
// what else its unit holds (unit growth limits inlining); and where functions share a section, the
// distance between two of them stands in the code.
inline constexpr std::array kComparableObject = {"-O0", "-ffunction-sections", "-fdata-sections"};
// Both objects must have the same for others, and the functions that use nothing of torch's must be
// the same instructions. Those that do call the bridge in one and torch in the other, and are
// counted instead.
Step host_proof_step(const JobPtr& job, const fs::path& with_ours, const fs::path& with_torchs);

// The texts that a source, or a part of it, is compiled from: the steps that write them, none where
// a text is there already.
struct Texts {
  std::vector<StepId> host;
  std::vector<std::vector<StepId>> device;  // by pass
};
// The steps that turn texts into an object and an image.
struct Unit {
  std::vector<StepId> cicc;                // one per pass
  std::vector<std::vector<StepId>> ptxas;  // by pass, one per real architecture
  StepId compile = 0;                      // of the host side
  std::vector<StepId> last;                // after these, object and image are there, and checked
};

// The steps of a source that is taken apart, each without what it waits for: that stands in
// stages.cpp, as does the order.
Step host_preprocess_step(const JobPtr& job, const CompileMode& mode);
// Into `text`, which lies in the step's folder.
Step device_preprocess_step(const JobPtr& job, const PassLayout& pass, HeaderMode headers,
                            const fs::path& text);
Step cicc_step(const JobPtr& job, const PassLayout& pass, const CompileMode& mode);
Step ptxas_step(const JobPtr& job, const PassLayout& pass, const RealLayout& real);
Step fatbinary_step(const JobPtr& job);
Step cudafe_step(const JobPtr& job, HeaderMode headers);
Step stub_step(const JobPtr& job);
Step host_compile_step(const JobPtr& job, HeaderMode headers);
// A kernel that the device pass does not have would be launched as a null function.
Step kernel_check_step(const JobPtr& job);
Step image_step(const JobPtr& job);
// One object out of those of all units and their images: the last step of a source.
Step join_step(const JobPtr& job, const std::vector<JobPtr>& units);
void add_host_macro_check(StepGraph& graph, const JobPtr& job, const CompileMode& mode,
                          StepId preprocessed);
// --headers check: the host half once more, with torch's own headers, and the same stub. `compiled`
// is the host compile of the mode itself.
void add_host_proof(StepGraph& graph, const JobPtr& job, const CompileMode& mode, StepId compiled);
// Whether an image lies in an object of its own, so that the host compile needs none.
bool is_detached(const Job& job);

// From texts to an object and an image.
Unit add_unit(StepGraph& graph, const JobPtr& job, const CompileMode& mode, const Texts& texts);

// The source in parts, if its texts can be cut; else, and where a part comes to no good, in one
// piece. `parts` is told what became of it.
Step parts_step(const JobPtr& job, const CompileMode& mode, const std::shared_ptr<Parts>& parts);
// For `plan`: the steps of `count` parts.
StepGraph part_steps(const JobPtr& job, const CompileMode& mode, std::size_t count);

}  // namespace sagebuild::nvcc
