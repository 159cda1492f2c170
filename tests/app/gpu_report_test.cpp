#include "sagebuild/app/gpu_report.hpp"

#include "support/catch.hpp"

namespace sagebuild {
namespace {

const GpuCheck kCheck = {.function = "pkg.attention",
                         .archs = parse_arch_list("9.0"),
                         .arguments = {{"accum", "fp32"}},
                         .dtypes = {"float16"},
                         .causal = "",
                         .grouped = false,
                         .similarity = 0.998,
                         .relative_l1 = 0.065};

std::string begin_line(const std::string& dtype, bool causal = false) {
  return R"({"begin": {"dtype": ")" + dtype + R"(", "layout": "HND", "head_dim": 64, "causal": )" +
         (causal ? "true" : "false") +
         R"(, "heads": [4, 2], "lengths": [[977, 1213], [977, 1213]]}})" + "\n";
}

std::string numbers_line(const std::string& similarity, const std::string& relative_l1) {
  return R"({"similarity": )" + similarity + R"(, "relative_l1": )" + relative_l1 + "}\n";
}

const std::string kTimed = begin_line("float16") +
                           R"({"milliseconds": 1.5, "sdpa_milliseconds": 2.25})"
                           "\n";

CheckedFunction read(const std::string& output, std::string_view status = "exit status 0") {
  return read_check(kCheck, output, status);
}

std::vector<std::string> told(const CheckedFunction& function, Policy policy = Policy::publish) {
  GpuReport report;
  report.device = {"NVIDIA H100", {9, 0}, "2.11.0+cu130", "13.0", {}};
  report.functions = {function};
  std::vector<std::string> lines;
  for (const Finding& finding : gpu_findings(report, policy))
    lines.push_back(finding.code + " " + finding.subject + ": " + finding.message);
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a function within its tolerances is right, and its time is kept") {
  const auto function =
      read(begin_line("float16") + numbers_line("0.999", "0.04") + begin_line("bfloat16", true) +
           numbers_line("0.998", "0.065") + kTimed);
  CHECK(function.outcome() == "right");
  REQUIRE(function.cases.size() == 2);
  CHECK(described(function.cases[0]) == "float16, HND, 4 heads over 2, 977 x 1213, head_dim 64");
  CHECK(described(function.cases[1]) ==
        "bfloat16, HND, 4 heads over 2, 977 x 1213, head_dim 64, causal");
  CHECK(function.milliseconds == 1.5);
  CHECK(function.sdpa_milliseconds == 2.25);
  CHECK(function.timed);
  CHECK(told(function).empty());
}

TEST_CASE("numbers outside either tolerance are wrong, and the worst case is named") {
  const auto function = read(begin_line("float16") + numbers_line("0.9979", "0.01") +
                             begin_line("bfloat16") + numbers_line("0.999", "0.0651") + kTimed);
  CHECK(function.outcome() == "wrong");
  CHECK(told(function) ==
        Lines{"SB152 pkg.attention(accum=fp32): too far from torch's in 2 of 2 cases; the worst: "
              "similarity 0.9990 (at least 0.998), relative L1 0.0651 (at most 0.065) at bfloat16, "
              "HND, 4 heads over 2, 977 x 1213, head_dim 64"});
}

TEST_CASE("a NaN is told as one") {
  const auto function = read(begin_line("float16") + numbers_line("0.9999", "0.01") +
                             begin_line("bfloat16") + numbers_line("null", "null") + kTimed);
  CHECK(function.outcome() == "wrong");
  CHECK(told(function) ==
        Lines{"SB152 pkg.attention(accum=fp32): NaN or infinity, or too far from torch's, in 1 of "
              "2 cases; the first with NaN or infinity: bfloat16, HND, 4 heads over 2, 977 x 1213, "
              "head_dim 64"});
}

TEST_CASE("an exception fails the function, at the case where it came") {
  const auto function =
      read(begin_line("float16") + R"({"failure": "RuntimeError: CUDA error: no kernel image"})");
  CHECK(function.outcome() == "fails");
  CHECK(told(function) == Lines{"SB151 pkg.attention(accum=fp32): RuntimeError: CUDA error: no "
                                "kernel image (at float16, HND, 4 heads over 2, 977 x 1213, "
                                "head_dim 64)"});
}

TEST_CASE("a process that ends early fails it too, and what was wrong before is told as well") {
  const auto function = read(
      begin_line("float16") + numbers_line("0.5", "0.9") + begin_line("bfloat16") + R"({"similar)",
      "no end after 300 s");
  CHECK(function.outcome() == "fails");
  const auto lines = told(function);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        "SB151 pkg.attention(accum=fp32): it ends Python: no end after 300 s (at bfloat16, HND, 4 "
        "heads over 2, 977 x 1213, head_dim 64)");
  CHECK(lines[1].starts_with("SB152 "));
  CHECK(read("", "exit status 1").failure == "it ends Python: exit status 1");
}

TEST_CASE("a package that cannot be imported is the subject, not its function") {
  const auto function = read(R"({"import": "ImportError: no _fused"})");
  CHECK(function.is_import);
  CHECK(told(function) ==
        Lines{"SB151 pkg: its package cannot be imported: ImportError: no _fused"});
}

TEST_CASE("nothing but an answer to all that was asked is right") {
  const std::string one = begin_line("float16") + numbers_line("0.999", "0.04");
  const auto failure = [&](const std::string& output) {
    const auto function = read(output);
    CHECK(function.outcome() == "fails");
    CHECK(told(function).size() == 1);
    return function.failure;
  };
  CHECK(failure(kTimed) ==
        "0 of 2 cases were answered (at float16, HND, 4 heads over 2, 977 x "
        "1213, head_dim 64)");
  CHECK(failure(one + kTimed).starts_with("1 of 2 cases were answered"));
  CHECK(failure(one + one + one + kTimed).starts_with("3 of 2 cases were answered"));
  CHECK(failure(one + one) == "it ends Python: exit status 0");
  CHECK(failure(one + one + kTimed + kTimed).starts_with("its answer cannot be read"));
  CHECK(failure(one + one + R"({"milliseconds": 1.5, "sdpa_milliseconds": 2.25})") ==
        "its answer cannot be read");
  for (const char* line :
       {R"({"begin": 5})", R"({"begin": {"dtype": 1}})", R"({"begin": [)", R"({"failure": 5})",
        R"({"import": null})", R"({"milliseconds": "x"})", R"({"more": 1})", "[]", "chatter",
        R"({"similarity": 1, "relative_l1": 0})", R"({"failure": "\ud800"})"}) {
    INFO(line);
    CHECK(failure(one + line + "\n" + one + kTimed).starts_with("its answer cannot be read"));
  }
  CHECK(failure(one + begin_line("float16") + numbers_line("1", "Infinity") + kTimed)
            .starts_with("its answer cannot be read"));
  CHECK(failure(one + begin_line("float16") + numbers_line("[1]", "0") + kTimed)
            .starts_with("its answer cannot be read"));
  // What a Python prints as it begins is none of the package's.
  CHECK(read("a sitecustomize\n" + one + one + kTimed).outcome() == "right");
}

TEST_CASE("the cases of a check that is asked for everything are half of all") {
  GpuCheck every = kCheck;
  every.dtypes = {"float16", "bfloat16"};
  every.layouts = {"HND", "NHD"};
  every.causal = "is_causal";
  every.grouped = true;
  std::string output;
  for (int i = 0; i < 16; ++i) output += begin_line("float16") + numbers_line("0.999", "0.04");
  CHECK(read_check(every, output + kTimed, "exit status 0").outcome() == "right");
  every.grouped = false;
  CHECK(read_check(every, output + kTimed, "exit status 0").outcome() == "right");
  every.layouts = {"HND"};
  CHECK(read_check(every, output + kTimed, "exit status 0").outcome() == "fails");
}

TEST_CASE("arguments are told as Python writes them") {
  GpuCheck check = kCheck;
  check.arguments = {{"a", "x"}, {"b", true}, {"c", 3LL}, {"d", 0.5}, {"e", false}};
  CHECK(named(check) == "pkg.attention(a=x, b=True, c=3, d=0.5, e=False)");
}

TEST_CASE("a GPU without the memory to time a function takes nothing from it") {
  const std::string one = begin_line("float16") + numbers_line("0.999", "0.04");
  const auto function = read(one + one + begin_line("float16") +
                             R"({"milliseconds": null, "sdpa_milliseconds": null})");
  CHECK(function.outcome() == "right");
  CHECK_FALSE(function.milliseconds);
}

TEST_CASE("what was left out is no finding, unless it is everything") {
  GpuReport report;
  report.device = {"NVIDIA T4", {7, 5}, "2.11.0", "13.0", {}};
  report.functions = {{.check = kCheck, .left_out = "it is not for 7.5"}};
  const auto found = gpu_findings(report, Policy::publish);
  REQUIRE(found.size() == 1);
  CHECK(found[0].code == "SB151");
  CHECK(found[0].subject == "NVIDIA T4");
  CHECK(found[0].message == "none of its functions can be called: it is not for 7.5");
  const std::string one = begin_line("float16") + numbers_line("0.999", "0.04");
  report.functions.push_back(read(one + one + kTimed));
  CHECK(gpu_findings(report, Policy::publish).empty());
  report.functions.clear();
  CHECK(gpu_findings(report, Policy::publish).empty());
}

TEST_CASE("torch's own warnings of the GPU are findings, which a strict policy makes errors") {
  GpuReport report;
  report.device = {"NVIDIA GB10", {12, 1}, "2.9.0", "13.0", {"it is not compatible"}};
  CHECK(gpu_findings(report, Policy::publish).front().severity == Severity::warning);
  const auto found = gpu_findings(report, Policy::strict);
  REQUIRE(found.size() == 1);
  CHECK(found[0].code == "SB153");
  CHECK(found[0].severity == Severity::error);
  CHECK(found[0].subject == "NVIDIA GB10");
}

TEST_CASE("the GPU as torch tells it; torch's reason where it sees none") {
  const auto device = read_device(
      R"({"torch": "2.11.0+cu130", "cuda": "13.0", "name": "NVIDIA X", "capability": "13.1", )"
      R"("warnings": ["w"]})");
  REQUIRE(device);
  CHECK(device->capability == Arch{13, 1});
  CHECK(device->warnings == Lines{"w"});
  CHECK(
      read_device("a sitecustomize\n"
                  R"({"torch": "", "cuda": "", "name": "", "capability": "9.0", "warnings": []})"));
  CHECK_FALSE(read_device(""));
  CHECK_FALSE(read_device("{}"));
  CHECK_FALSE(read_device(R"({"error": 5})"));
  CHECK_FALSE(read_device("Traceback"));
  CHECK_THROWS_MATCHES(read_device(R"({"error": "RuntimeError: driver too old"})"), Error,
                       says("torch cannot use the GPU").hints("--python"));
}

}  // namespace sagebuild
