#pragma once
// The texts between nvcc's stages, normalised: a key names a text by what the next stage makes of
// it. Pure functions.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/path_roots.hpp"

namespace sagebuild {

// "-fmacro-prefix-map=/tmp/x/tree=/sagebuild/tree", deepest root last, since gcc takes the last
// that fits.
std::vector<std::string> macro_prefix_maps(const PathRoots& roots);

// Preprocessed text with the paths of its line markers mapped, and without what -dU put into it:
// the same tokens at the same lines as without -dU.
std::string normalised_text(std::string_view text, const PathRoots& roots);
// Digest of the tokens: without line markers and empty lines. With them where the text itself can
// ask for its place (__builtin_FILE, __builtin_LINE, std::source_location).
Digest token_digest(std::string_view preprocessed);
// The same for what cudafe++ writes: device bodies, which it puts between `#if 0` and `#endif`,
// left out.
Digest host_text_digest(std::string_view cudafe_text);

// cudafe++ gives the primary of every template kernel the body `{ ::cudaLaunchKernel(0, 0, 0, 0, 0,
// 0);}`: what runs when a launch finds no stub of the device pass. Calls an undefined function
// instead, so that the object tells. Gives the number of bodies replaced.
inline constexpr std::string_view kMissingKernel = "sagebuild_kernel_missing_in_device_pass";
std::size_t mark_missing_kernels(std::string& cudafe_text);
// Template kernels in that text: there must be as many bodies.
std::size_t template_kernels(std::string_view cudafe_text);
// Names of the kernels that are no templates: those of which the object must not have an undefined
// one.
std::vector<std::string> plain_kernels(std::string_view cudafe_text);

// The names under which a stub registers its kernels: "_Z1kPi".
std::vector<std::string> registered_kernels(std::string_view stub);

// PTX facts.
std::string ptx_target(std::string_view ptx);                // "sm_89"
std::vector<std::string> ptx_entries(std::string_view ptx);  // kernels, in order
// Without `.global` lines whose variable nothing refers to: full headers leave 28 such bytes
// (docs/nvcc.md, "Header modes").
std::string without_unreferenced_globals(std::string_view ptx);

// The files of a Makefile rule as `gcc -MD` writes it, without the target.
std::vector<std::filesystem::path> depfile_inputs(std::string_view text);

// The image in an object of its own, so that the host compile needs no cubin: what stands in the
// place of nvcc's .fatbin.c, and the assembler text that includes the image. `id` makes the symbol
// unique within a program.
std::string detached_wrapper(std::string_view id);
std::string detached_image(std::string_view id, std::string_view fatbin_file);
// Does nvcc's own .fatbin.c hold the wrapper that `detached_wrapper` stands for?
bool knows_fatbin_text(std::string_view fatbin_c);

}  // namespace sagebuild
