#pragma once
// How a wheel was made, as NAME.dist-info/sagebuild.json says it: a SLSA v1 provenance predicate
// (https://slsa.dev/spec/v1.0/provenance), or the flat document that sagebuild 0.1 wrote first.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// Stands for the address of a source that is a folder or an archive of the builder's machine.
inline constexpr std::string_view kLocalSource = "file:///sagebuild/tree";

// What the user chose of a build beside source, architectures and environment.
struct BuildParameters {
  std::string headers = "auto";  // --headers
  // --compress; wheels that do not say it are older than it
  std::string compression = "project";
  bool plain_platform = false;  // --platform linux
  bool parts = true;
  bool patch = true;
  bool assume_gpus = false;
  bool allow_cpu = false;
  std::string subfolder;  // of setup.py, in the source
  // What setup.py was given by --env, and what of the environment the project's own code asked for:
  // NAME=VALUE, or NAME alone where the value may be a secret or a path of the machine.
  std::vector<std::string> variables;
  // NVCC_PREPEND_FLAGS and NVCC_APPEND_FLAGS, told alike where they were set; nothing: not known.
  std::optional<std::vector<std::string>> nvcc_flags;
  // Seconds since 1970: the times in the archive, and what __DATE__ says; negative: not known
  std::int64_t source_date_epoch = -1;
};

// What a document says, as far as it can be read; empty: it does not say.
struct StatedProvenance {
  struct Source {
    std::string name;               // "fused.cu"
    std::vector<std::string> code;  // "sm_90", "compute_120"
    std::string headers;            // "facade headers"
  };
  struct Module {
    std::string name;  // "sageattention._fused"
    std::vector<Source> sources;
  };

  std::string sagebuild;  // its version
  std::string recipe;
  std::string url;  // of the source; empty: a local folder
  std::string ref;
  std::string commit;
  bool dirty = false;
  std::vector<std::string> rules;  // ids of those that were applied
  std::string archs;               // "8.9 12.0+PTX"
  std::vector<Module> modules;
  std::string cuda;    // "13.0"
  std::string python;  // "cp311"
  std::string torch;   // "2.11.0+cu130"
  BuildParameters parameters;
  // What it was made with, by name: a digest, or a version where there is none
  std::map<std::string, std::string> materials;
};

// Nothing for a text that is no JSON object. What has another shape than it should is left out.
std::optional<StatedProvenance> read_provenance(std::string_view text);

}  // namespace sagebuild
