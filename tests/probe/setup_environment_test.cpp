#include "sagebuild/probe/setup_environment.hpp"

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE(
    "setup.py gets every variable but for secrets, the compilers', Python's and the session's") {
  const Environment outer = {{"FORCE_CUDA", "1"},
                             {"DEMO_FORCE_BUILD", "TRUE"},
                             {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_DEMO", "1.2"},
                             {"VLLM_VERSION_SUFFIX", "x"},
                             {"NVCC_THREADS", "4"},
                             {"GITHUB_REF_NAME", "v1"},
                             {"EMPTY", ""}};
  CHECK(setup_variables(outer, {}) == outer);
  for (const char* name : {"HF_TOKEN",
                           "AWS_SECRET_ACCESS_KEY",
                           "DB_PASSWORD",
                           "npm_config__auth",
                           "GITHUB_PAT",
                           "SSH_AUTH_SOCK",
                           "GOOGLE_APPLICATION_CREDENTIALS",
                           "PYTHONPATH",
                           "PYTHONSTARTUP",
                           "_PYTHON_SYSCONFIGDATA_NAME",
                           "CUDA_HOME",
                           "TORCH_CUDA_ARCH_LIST",
                           "MAX_JOBS",
                           "CC",
                           "CFLAGS",
                           "CPATH",
                           "NVCC_PREPEND_FLAGS",
                           "LD_PRELOAD",
                           "SHLVL",
                           "PWD",
                           "OLDPWD",
                           "TERM",
                           "SAGEBUILD_CACHE_TOKEN",
                           "BASH_FUNC_x%%",
                           "GITHUB_OUTPUT"}) {
    INFO(name);
    CHECK(setup_variables({{name, "value"}}, {}).empty());
  }
  CHECK(setup_variables({{"INDEX", "https://bob:secret@host/simple"}}, {}).empty());
}

TEST_CASE("--env passes a value, or what is held back") {
  const Environment outer = {{"HF_TOKEN", "hf_x"}, {"FORCE_CUDA", "0"}};
  CHECK(setup_variables(outer, {"FORCE_CUDA=1", "HF_TOKEN", "NEW=a=b", "NONE="}) ==
        Environment{{"FORCE_CUDA", "1"}, {"HF_TOKEN", "hf_x"}, {"NEW", "a=b"}, {"NONE", ""}});
  CHECK_THROWS_MATCHES(setup_variables(outer, {"ABSENT"}), Error,
                       says("'ABSENT'").hints("--env ABSENT=VALUE"));
  CHECK_THROWS_MATCHES(setup_variables(outer, {"CUDA_HOME=/x"}), Error,
                       says("'CUDA_HOME'").hints("--cuda-home"));
  CHECK_THROWS_MATCHES(setup_variables(outer, {"A B=1"}), Error, says("'A B'"));
}

}  // namespace sagebuild
