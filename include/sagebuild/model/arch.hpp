#pragma once
// GPU architectures, as nvcc and PyTorch name them.

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/version.hpp"

namespace sagebuild {

// Suffix of an architecture. A plain image runs on later minors of its major; the others do not.
// CUDA C++ Programming Guide, "Feature availability".
enum class ArchFeature : char {
  plain = 0,
  family = 'f',    // every GPU of the family: sm_120f runs on 12.0 and 12.1
  specific = 'a',  // this compute capability alone: sm_90a runs on 9.0
};

// One architecture: compute capability 12.0 is {12, 0}, Hopper with wgmma is {9, 0, specific}.
struct Arch {
  int major = 0;
  int minor = 0;
  ArchFeature feature = ArchFeature::plain;

  auto operator<=>(const Arch&) const = default;
};

// 9.0 and 9.0a are code for one GPU.
constexpr bool same_capability(Arch one, Arch other) {
  return one.major == other.major && one.minor == other.minor;
}
std::string dotted(Arch arch);        // "12.0", "9.0a": what users and TORCH_CUDA_ARCH_LIST write
std::string sm_name(Arch arch);       // "sm_120": machine code, nvcc's code=
std::string compute_name(Arch arch);  // "compute_120": PTX, nvcc's arch=
std::string digits(Arch arch);        // "120", "90a"
// The first CUDA toolkit whose nvcc builds for it (CUDA release notes).
Version first_cuda(Arch arch);
// The first CUDA toolkit that no longer knows it: 10.1 became 11.0 in CUDA 13, which left out 7.2
// and older.
std::optional<Version> removed_in_cuda(Arch arch);
// One architecture in any spelling, without +PTX. Throws as parse_arch_list.
Arch parse_arch(std::string_view text);

// What a user asks for. `sass` is machine code for that GPU; `ptx` is code that a newer driver can
// compile.
struct ArchRequest {
  Arch arch;
  bool sass = true;
  bool ptx = false;

  auto operator<=>(const ArchRequest&) const = default;
};

// Sorted, one request per architecture, never empty.
using ArchList = std::vector<ArchRequest>;

// Reads every spelling in use: "8.0 8.6 9.0 12.0+PTX" with spaces, commas or semicolons, "sm_120",
// "compute_120", "120", "12.0a", torch's names ("Ampere" ... "Blackwell", "Ada+PTX") and GPU models
// ("rtx5090", "h100"). A pair of sm_X and compute_X is one request with both; a repeated item
// counts once. `native` is not known here: app replaces it before. Throws Error{usage} that names
// the item and the nearest valid spelling, and for an empty list. Whether a toolkit or a package
// serves it is not asked here.
ArchList parse_arch_list(std::string_view text);
// The canonical text: "8.0 8.6 9.0 12.0+PTX"; PTX alone is "compute_120". parse_arch_list(print(x))
// == x.
std::string print(const ArchList& list);

// For a list that came from the environment (base images set "7.5 8.0 ... 12.0+PTX"): drops the
// architectures that are not known here ("13.0") and names them in `dropped`, instead of failing.
// Still throws for a word that is none.
struct InheritedArchList {
  ArchList list;  // may be empty
  std::vector<std::string> dropped;
};
InheritedArchList parse_inherited_arch_list(std::string_view text);

}  // namespace sagebuild
