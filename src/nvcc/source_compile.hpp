#pragma once
// The state that the steps of one source share, while it goes from mode to mode. Private to the room.

#include <fmt/format.h>

#include <algorithm>
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

// One source in one build: what is known before a mode is chosen.
struct Job {
  PlannedSource source;
  std::string module;
  std::shared_ptr<const CompileSettings> settings;
  std::string subject;             // "sageattention._fused fused.cu"
  std::string file;                // "_fused fused.cu": for labels
  std::string id;                  // module id
  fs::path folder;                 // private
  Words argv;                      // compiler and its normalised options, our architectures and -std among them
  std::string path;                // PATH of the dry run; empty: ours
  Layout layout;                   // if the dry run was understood
  std::string opaque;              // why plain nvcc has to do it
  SearchScope scope;               // where its preprocessor looks
  std::vector<fs::path> depfiles;  // written by the steps of the last attempt

  Command command(Words words, const fs::path& cwd) const;
  Step step(std::string kind, const std::string& detail = {}) const;
  fs::path pass_folder(const PassLayout& pass) const { return folder / pass.arch; }
  std::vector<fs::path> files_in(const fs::path& depfile) const;  // absolute
  std::string mapped(const fs::path& path_here) const { return mapped_path(path_here.native(), settings->roots); }
  fs::path unmapped(std::string_view name) const;  // the other way
};
using JobPtr = std::shared_ptr<Job>;

// The settings with a fixed name for the folder of our headers: where we are installed is in no key.
std::shared_ptr<const CompileSettings> with_headers_root(const CompileSettings& settings);

// A failed command's reason is its whole output: the first line that says error, else the first line at all.
std::string first_complaint(const StepFailure& failure);

// g++ collects garbage from 128 MB on, a tenth of its time where torch's or pybind11's templates are read; those take
// 700 MB at most without. In KiB; the object does not depend on it.
inline constexpr std::string_view kLessGarbageCollection = "--param=ggc-min-heapsize=1048576";

// A header in front of a preprocess line: "-I" before the first "-I" (facts section 4).
Words with_headers(const Words& argv, const Job& job, HeaderMode mode);
// The same line with output, dependency file and prefix maps. Its line markers still name this machine's folders:
// mapped_text reads it without, map_text replaces the file.
Words preprocess_command(const Words& argv, const Job& job, HeaderMode mode, const fs::path& text);
std::string mapped_text(const Job& job, const fs::path& text);
void map_text(const Job& job, const fs::path& text);

// A step that throws Error{failed} with `reason` in its finish if the check refuses.
[[noreturn]] void refuse(const std::string& reason);
inline void refuse_if(const std::optional<std::string>& reason) {
  if (reason) refuse(*reason);
}

// The steps of one mode. The last one leaves the object in its place.
StepGraph decomposed_steps(const JobPtr& job, const CompileMode& mode);
StepGraph plain_steps(const JobPtr& job, const CompileMode& mode);
StepGraph cxx_steps(const JobPtr& job, HeaderMode mode);

// Which macros the project's own files ask for, with full headers and with ours (facts section 5, check 4): the
// preprocess gives the command that writes `text` and a dependency file `text`.d, -dU among its options. Refused as
// kind "header check".
using MacroPreprocess = std::function<Words(HeaderMode, const fs::path& text)>;
StepId add_macro_check(StepGraph& graph, const JobPtr& job, HeaderMode headers, const MacroPreprocess& preprocess);

// The files outside of the project that its last verdict rests on.
std::vector<fs::path> files_of_full_headers(const Job& job);
// With facade headers in both passes the verdict on the device pass serves the host pass, too, if that asks for no
// other macros. `preprocess`: of the host pass; `after` has the macro check. Refused as kind "host header check".
StepId add_host_macro_check(StepGraph& graph, const JobPtr& job, const Words& preprocess,
                            const std::vector<StepId>& after);

// The source by its fixed name, in what cicc and fatbinary write down.
Words mapped_source_options(Words argv, const Job& job);
// Preprocesses one device pass into `text`.
Step preprocess_step(const JobPtr& job, const PassLayout& pass, HeaderMode headers, const fs::path& text);
// What a cicc run takes with these headers, until it was measured.
void expect_cicc(Step& step, const Job& job, HeaderMode headers);
// --headers check: what the PTX of a pass is held against. `after` are its preprocess and cicc. A proof that fails is
// of kind "header proof" (other headers may fit) or "pair proof" (the plan is wrong).
std::vector<StepId> add_proofs(StepGraph& graph, const JobPtr& job, const PassLayout& pass, const CompileMode& mode,
                               const std::vector<StepId>& after);

// Parts of decomposed_steps. Each appends to `graph` and says what later steps wait for.
struct DeviceSteps {
  std::vector<StepId> cicc;  // one per pass
  StepId fatbinary = 0;
  std::vector<StepId> checks;  // macro check, proof
};
DeviceSteps add_device_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode);
void add_host_steps(StepGraph& graph, const JobPtr& job, const CompileMode& mode, const DeviceSteps& device);

}  // namespace sagebuild::nvcc
