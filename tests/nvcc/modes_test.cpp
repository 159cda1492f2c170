// Which headers are tried after which failure.
#include "nvcc/modes.hpp"

#include "support/catch.hpp"

namespace sagebuild::nvcc {
namespace {

using enum HeaderMode;
constexpr CompileMode kFacade = {facade, facade, false};
constexpr CompileMode kFacadeDevice = {facade, full, false};
constexpr CompileMode kBinding = {binding, binding, false};

TEST_CASE("a failure of the host half leaves the device half its headers") {
  for (const Stage stage : {Stage::host_preprocess, Stage::cudafe, Stage::host_compile,
                            Stage::host_header_check, Stage::host_header_proof})
    CHECK(next_mode(Language::cuda, kFacade, stage) == kFacadeDevice);
  for (const Stage stage :
       {Stage::device_preprocess, Stage::cicc, Stage::ptxas, Stage::stub, Stage::header_check,
        Stage::source_check, Stage::header_proof, Stage::fatbinary, Stage::join})
    CHECK(next_mode(Language::cuda, kFacade, stage) == kTorchsOwn);
}

TEST_CASE("every way ends at plain nvcc, or at torch's own headers for a C++ source") {
  CHECK(next_mode(Language::cuda, kFacadeDevice, Stage::cudafe) == kTorchsOwn);
  CHECK(next_mode(Language::cuda, kTorchsOwn, Stage::cicc) == kPlain);
  CHECK(next_mode(Language::cuda, kPlain, Stage::plain_nvcc) == std::nullopt);
  CHECK(next_mode(Language::cxx, kBinding, Stage::host_compiler) == kTorchsOwn);
  CHECK(next_mode(Language::c, kBinding, Stage::host_compiler) == kTorchsOwn);
  CHECK(next_mode(Language::cxx, kTorchsOwn, Stage::host_compiler) == std::nullopt);
}

TEST_CASE("no headers mend code that is made from another architecture's PTX") {
  for (const CompileMode& mode : {kFacade, kFacadeDevice, kTorchsOwn})
    CHECK(next_mode(Language::cuda, mode, Stage::pair_proof) == std::nullopt);
}

TEST_CASE("modes go by their names in the cache") {
  for (const HeaderMode mode : {facade, binding, full})
    CHECK(header_mode_named(name_of(mode)) == mode);
  CHECK(header_mode_named("lean") == full);
  CHECK(describe(kFacade) == "facade headers");
  CHECK(describe(kFacadeDevice) == "facade device, full host headers");
  CHECK(describe(kPlain) == "plain nvcc");
}

}  // namespace
}  // namespace sagebuild::nvcc
