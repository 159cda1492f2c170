#include "app/build_parameters.hpp"

#include <cstdlib>

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE("a provenance tells switches, and no value that may be a secret or a path") {
  BuildSettings settings;
  const std::vector<std::string> plain = {"FORCE_CUDA=1",      "FAST=on",       "MODE=True",
                                          "V=2.11.0",          "L=8.0;8.9+PTX", "M=sm_90a, sm_100f",
                                          "C=compute_120 PTX", "A=native"};
  settings.setup_variables = plain;
  CHECK(parameters_of(settings, "", {}).variables == plain);
  settings.setup_variables = {"GH=ghp_0123456789abcdefghijABCDEFGHIJ012345",
                              "AWSID=AKIAIOSFODNN7EXAMPLE",
                              "WORD=correcthorse",
                              "WHERE=/home/me",
                              "LONG=1234567890123456",
                              "MY_TOKEN=1",
                              "PW=1",
                              "NOTHING="};
  CHECK(parameters_of(settings, "", {}).variables ==
        std::vector<std::string>{"GH", "AWSID", "WORD", "WHERE", "LONG", "MY_TOKEN", "PW",
                                 "NOTHING="});
}

TEST_CASE(
    "what the environment gave is told behind what options gave, and nvcc's own flags apart") {
  BuildSettings settings;
  settings.setup_variables = {"FAST=on"};
  CHECK(parameters_of(settings, "", {"FORCE_CUDA=1", "WHERE=/home/me"}).variables ==
        std::vector<std::string>{"FAST=on", "FORCE_CUDA=1", "WHERE"});
  CHECK(told_nvcc_flags().empty());
  setenv("NVCC_APPEND_FLAGS", "-lineinfo --maxrregcount=64", 1);
  setenv("NVCC_PREPEND_FLAGS", "-I/home/me", 1);
  CHECK(told_nvcc_flags() ==
        std::vector<std::string>{"NVCC_PREPEND_FLAGS",
                                 "NVCC_APPEND_FLAGS=-lineinfo --maxrregcount=64"});
  unsetenv("NVCC_APPEND_FLAGS");
  unsetenv("NVCC_PREPEND_FLAGS");
}

}  // namespace sagebuild
