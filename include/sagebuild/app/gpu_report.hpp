#pragma once
// What `sagebuild verify --gpu` found: how each function of a wheel did on the GPU that is here.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/recipe.hpp"

namespace sagebuild {

struct GpuDevice {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  Arch capability;
  std::string torch, cuda;            // "2.11.0+cu130", and what it was built with: "13.0"
  std::vector<std::string> warnings;  // torch's, of a capability that it does not support
};

// One call, and how far what came back is from torch's own in float32.
struct GpuCase {
  std::string dtype, layout;
  int head_dim = 0;
  bool causal = false;
  int heads = 0, key_heads = 0;
  std::vector<std::pair<int, int>> lengths;  // of each sequence: queries and keys
  // The worst head and run of rows; nothing: a NaN or an infinity
  std::optional<double> similarity = {}, relative_l1 = {};
};

struct CheckedFunction {
  GpuCheck check;
  std::string left_out = {};  // why it was not called; empty: it was
  std::string failure = {};   // what ended it; empty: nothing
  bool is_import = false;     // the failure was that of its package's import
  std::vector<GpuCase> cases = {};
  // What was timed, and how long it took and torch's function for the same
  std::optional<GpuCase> timed = {};
  std::optional<double> milliseconds = {}, sdpa_milliseconds = {};

  std::vector<GpuCase> wrong() const;
  std::string outcome() const;  // "right", "wrong", "fails", "left out"
};

struct GpuReport {
  GpuDevice device;
  std::string python;                      // the interpreter
  std::vector<CheckedFunction> functions;  // empty: no recipe names any
};

// "sageattention".
std::string package_of(const GpuCheck& check);
// "sageattention.sageattn_qk_int8_pv_fp8_cuda(pv_accum_dtype=fp32)".
std::string named(const GpuCheck& check);
// "float16, HND, 4 heads over 2, 977 x 1213, head_dim 64, causal".
std::string described(const GpuCase& one);

// The answer to {"do": "device"}. Nothing if it is none; throws Error{environment} with torch's
// reason if torch sees no GPU.
std::optional<GpuDevice> read_device(std::string_view output);
// The answer to {"do": "check"}, which may end anywhere; `status` says how its process ended. What
// cannot be read of it, and fewer or more cases than were asked for, are a failure.
CheckedFunction read_check(const GpuCheck& check, std::string_view output, std::string_view status);

// SB151 to SB153.
std::vector<Finding> gpu_findings(const GpuReport& report, Policy policy);

}  // namespace sagebuild
