#include "sagebuild/model/stage.hpp"

#include <array>

namespace sagebuild {
namespace {

using enum Stage;

constexpr StageCost kNothing = {0, 300};

// clang-format off
constexpr std::array<StageFacts, 28> kStages = {{
    {compile, "compile", "a source", "its object", {1, 300}, {1, 300}},
    {parts, "parts", "preprocessed texts", "object", {30, 300}, {30, 300}},
    {module, "module", "objects", "module", kNothing, kNothing},
    {bridge, "bridge", "torch", "the bridge's object", kNothing, kNothing},

    {host_preprocess, "host preprocess", "source", "host text", {1, 300}, {1, 300}},
    {device_preprocess, "device preprocess", "source", "device text", {0.5, 300}, {0.5, 300}},
    {cut, "cut", "host or device text", "the text of one part", kNothing, kNothing},
    {cudafe, "cudafe++", "host text", "C++ text for the host compiler", {1, 250}, {19, 2200}},
    // thrust::sort beside torch: 3.4 GB and more. The seconds of a source are its recipe's.
    {cicc, "cicc", "device text", "PTX and stub", {12, 500}, {35, 3600}},
    {ptxas, "ptxas", "PTX", "cubin", {8, 300}, {8, 300}},
    {ptxas_check, "ptxas check", "PTX", "nothing", {8, 300}, {8, 300}},
    {stub, "stub", "stubs of all passes", "the stub of the host side", kNothing, kNothing},
    {fatbinary, "fatbinary", "cubins and PTX", "image", {0.1, 300}, {0.1, 300}},
    {host_compile, "host compile", "C++ text and stub", "object", {2, 300}, {19, 1500}},
    {image, "image", "image", "an object that holds it", kNothing, kNothing},
    {join, "join", "object and image", "the source's object", kNothing, kNothing},

    {plain_nvcc, "nvcc", "source", "object", {60, 3600}, {60, 3600}},
    {preprocess, "preprocess", "C++ source", "text", {1, 300}, {1, 300}},
    {host_compiler, "g++", "text", "object", {6, 700}, {28, 1900}},

    {source_check, "source check", "files read", "a verdict", kNothing, kNothing},
    {header_check, "header check", "texts and objects", "a verdict", {0.5, 300}, {2.5, 300}},
    {host_header_check, "host header check", "texts", "a verdict", {0.5, 300}, {2.5, 300}},
    {parts_check, "parts check", "stubs, PTX and objects", "a verdict", kNothing, kNothing},
    {header_proof, "header proof", "device text", "a verdict", {12, 500}, {35, 3600}},
    {pair_proof, "pair proof", "device text", "a verdict", {12, 500}, {35, 3600}},
    {host_header_proof, "host header proof", "objects", "a verdict", kNothing, kNothing},

    {link, "link", "objects", "module with symbols", {1, 300}, {1, 300}},
    {strip, "strip", "module with symbols", "module", {1, 300}, {1, 300}},
}};
// clang-format on

consteval bool are_in_order() {
  for (std::size_t i = 0; i < kStages.size(); ++i)
    if (kStages[i].stage != static_cast<Stage>(i)) return false;
  return kStages.back().stage == strip;
}
static_assert(are_in_order(), "each stage has its row, in the order of the enumeration");

}  // namespace

const StageFacts& facts_of(Stage stage) { return kStages[static_cast<std::size_t>(stage)]; }

std::string_view name_of(Stage stage) { return facts_of(stage).name; }

}  // namespace sagebuild
