#include "sagebuild/cli/inspect_output.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

GpuReport some_report() {
  const GpuCheck check = {.function = "pkg.attention",
                          .archs = parse_arch_list("9.0"),
                          .similarity = 0.998,
                          .relative_l1 = 0.065};
  GpuCheck fp32 = check;
  fp32.arguments = {{"accum", "fp32"}};
  const GpuCase timed = {"float16", "HND", 128, false, 32, 32, {{8192, 8192}}};
  GpuCase good = {"float16", "NHD", 64, true, 4, 2, {{977, 977}}, 0.9995, 0.03};
  GpuCase better = good;
  better.similarity = 0.9999;
  better.relative_l1 = 0.031;
  GpuCase broken = good;
  broken.similarity = broken.relative_l1 = std::nullopt;
  GpuReport report;
  report.device = {"NVIDIA H100", {9, 0}, "2.11.0+cu130", "13.0", {}};
  report.python = "/x/bin/python";
  report.functions = {
      {.check = check,
       .cases = {good, better},
       .timed = timed,
       .milliseconds = 1.2345,
       .sdpa_milliseconds = 12.5},
      {.check = fp32, .failure = "RuntimeError: a\x1b[31m trap", .cases = {broken}},
      {.check = check, .left_out = "it is not for 9.0 (H100, H200, GH200)"},
  };
  return report;
}

}  // namespace

TEST_CASE("the functions of a wheel as a table, with the worst of all cases") {
  CHECK(gpu_text(some_report(), {}) ==
        "NVIDIA H100, compute capability 9.0; torch 2.11.0+cu130 for CUDA 13.0\n"
        "  function                          cases  similarity  relative L1    ms  SDPA ms\n"
        "  pkg.attention              right      2     0.99950      0.03100  1.23     12.5\n"
        "  pkg.attention(accum=fp32)  fails      1           -            -     -        -\n"
        "    pkg.attention left out: it is not for 9.0 (H100, H200, GH200)\n"
        "    similarity and relative L1 are those of the worst head and run of rows, against torch "
        "in float32; ms for float16, HND, 32 heads, 8192 x 8192, head_dim 128\n");
}

TEST_CASE("the same as an object for programs") {
  const auto document = gpu_document(some_report());
  CHECK(document["capability"] == "9.0");
  CHECK(document["python"] == "/x/bin/python");
  const auto& first = document["functions"][0];
  CHECK(first["outcome"] == "right");
  CHECK(first["cases"][1]["relative_l1"] == 0.031);
  CHECK(first["cases"][0]["lengths"] == nlohmann::json::parse("[[977, 977]]"));
  CHECK(first["timed"]["heads"] == 32);
  CHECK(first["milliseconds"] == 1.2345);
  CHECK(document["functions"][1]["cases"][0]["similarity"].is_null());
  CHECK(document["functions"][1]["timed"].is_null());
  CHECK(document["functions"][1]["arguments"]["accum"] == "fp32");
  CHECK(document["functions"][2]["outcome"] == "left out");
  CHECK(document["functions"][2]["reason"] == "it is not for 9.0 (H100, H200, GH200)");
}

}  // namespace sagebuild
