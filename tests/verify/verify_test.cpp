#include "sagebuild/verify/verify.hpp"

#include <map>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/verify/verdict.hpp"
#include "support/catch.hpp"
#include "verify/facts.hpp"

namespace sagebuild {
namespace {

TEST_CASE("an architecture counts only where every source with kernels serves it") {
  const WheelFacts wheel =
      wheel_of({module_of("_k", {{sass("8.0"), sass("9.0")}, {sass("8.0"), ptx("8.0")}})});
  CHECK(codes(wheel, "8.0").empty());
  CHECK(codes(wheel, "8.6").empty());
  CHECK(codes(wheel, "9.0") == Codes{"SB107 warning"});
  CHECK(codes(wheel, "12.0") == Codes{"SB101 error"});
  CHECK(findings(wheel, "12.0")[0].message ==
        "--arch promises 12.0 (RTX 50, RTX PRO Blackwell); 1 of 2 sources have no code for it, "
        "only sm_80, sm_90");
  // A device link's stub holds no kernel.
  WheelFacts with_stub = wheel;
  GpuImage stub = sass("8.0");
  stub.kernels = 0;
  with_stub.modules[0].gpu.containers.push_back({".nv_fatbin", 0, false, {stub}});
  CHECK(codes(with_stub, "9.0") == Codes{"SB107 warning"});
}

TEST_CASE("machine code runs on later minors, its features do not travel") {
  const auto served = [](const std::string& image, const std::string& gpu) {
    return codes(wheel_of({module_of("_k", {{sass(image)}})}), gpu).empty();
  };
  CHECK(served("8.0", "8.9"));
  CHECK_FALSE(served("8.9", "8.6"));
  CHECK_FALSE(served("8.0", "9.0"));
  CHECK(served("9.0a", "9.0"));
  CHECK(served("12.0f", "12.1"));
  CHECK(served("10.0f", "10.3"));
  CHECK_FALSE(served("12.0a", "12.1"));
  CHECK_FALSE(served("10.0f", "12.0"));
}

TEST_CASE("traps are found in what the GPU takes, and in PTX that newer ones would take") {
  const WheelFacts wheel = wheel_of({module_of("_k", {{sass("8.0", 40), sass("8.9")}})});
  CHECK(codes(wheel, "8.9").empty());
  CHECK(codes(wheel, "8.6") == Codes{"SB103 error"});
  CHECK(codes(wheel_of({module_of("_k", {{sass("8.9"), ptx("8.9", 1)}})}), "8.9+PTX") ==
        Codes{"SB103 error"});
}

TEST_CASE("a trap in one of several kernels is no error where no recipe knows who calls it") {
  // As sgl-kernel and bitsandbytes: kernels for other GPUs, which are not called on this one.
  GpuImage some = sass("8.0", 40, "_Z7for_sm90v");
  some.kernels = 2;
  const WheelFacts wheel = wheel_of({module_of("_k", {{some}})});
  CHECK(codes(wheel, "8.0") == Codes{"SB103 warning"});
  CHECK(codes(wheel, "8.0", Policy::strict) == Codes{"SB103 error"});
  // All of the module's sources count.
  const GpuImage whole = sass("8.0", 1);
  CHECK(codes(wheel_of({module_of("_k", {{whole}, {sass("8.0")}})}), "8.0") ==
        Codes{"SB103 warning"});
}

TEST_CASE("PTX for a later GPU does not serve those before it") {
  const WheelFacts wheel = wheel_of({module_of("_k", {{sass("8.0"), ptx("12.0")}})});
  CHECK(codes(wheel, "8.0+PTX") == Codes{"SB108 error"});
  CHECK(codes(wheel, "8.0 12.0+PTX") == Codes{"SB107 warning"});
}

TEST_CASE("a recipe that was not proved refuses nothing") {
  // SpargeAttn's kernels were never compiled for the recipe: which of them trap is a guess.
  GpuImage some = sass("8.0", 3, "_Z5otherv");
  some.kernels = 2;
  const WheelFacts wheel =
      wheel_of({module_of("_fused", {{some}})}, "spas_sage_attn-0.1-cp311-cp311-linux_x86_64.whl");
  CHECK(codes(wheel, "8.0") == Codes{"SB102 warning", "SB103 warning"});
}

TEST_CASE("what its description speaks of is no promise of every module") {
  WheelFacts wheel =
      wheel_of({module_of("_k12", {{sass("8.0")}}), module_of("_k13", {{sass("9.0")}})});
  wheel.metadata += "\nNeeds compute capability 8.0 or newer.\n";
  CHECK(codes(wheel) == Codes{"SB101 warning"});
  CHECK(codes(wheel, "8.0") == Codes{"SB101 error"});
  WheelFacts named = wheel;
  named.file = "pkg-1.0+cu130.sm80-cp311-cp311-manylinux_2_28_x86_64.whl";
  CHECK(codes(named) == Codes{"SB101 error"});
}

TEST_CASE("PTX that was promised is there, and of use") {
  CHECK(codes(wheel_of({module_of("_k", {{sass("12.0"), ptx("12.0")}})}), "12.0+PTX").empty());
  CHECK(codes(wheel_of({module_of("_k", {{sass("12.0")}})}), "12.0+PTX") == Codes{"SB108 error"});
  GpuImage bound = ptx("12.0");
  bound.arch.feature = ArchFeature::specific;
  CHECK(codes(wheel_of({module_of("_k", {{sass("12.0"), bound}})}), "12.0+PTX") ==
        Codes{"SB109 warning"});
}

WheelFacts sage(const std::vector<ModuleFacts>& modules, const std::string& version = "2.2.0") {
  WheelFacts wheel =
      wheel_of(modules, "sageattention-" + version + "-cp311-cp311-manylinux_2_28_x86_64.whl");
  for (ModuleFacts& module : wheel.modules) module.path.replace(0, 3, "sageattention");
  return wheel;
}

TEST_CASE("SageAttention's recipe knows which module a GPU needs, and which kernels may trap") {
  const ModuleFacts fused = module_of("_fused", {{sass("8.0", 40, "_Z15MeanScaleKernelv"),
                                                  sass("8.9"), sass("9.0"), sass("12.0")}});
  const ModuleFacts sm80 = module_of("_qattn_sm80", {{sass("8.0"), sass("9.0"), sass("12.0")}});
  const ModuleFacts sm89 = module_of("_qattn_sm89", {{sass("8.9"), sass("9.0"), sass("12.0")}});
  const ModuleFacts sm90 = module_of("_qattn_sm90", {{sass("9.0a")}});
  CHECK(codes(sage({fused, sm80, sm89, sm90}), "8.0 8.6 8.9 9.0 12.0").empty());
  // RTX 30 alone needs no FP8 module, RTX 40 does.
  CHECK(codes(sage({fused, sm80}), "8.0 8.6").empty());
  CHECK(codes(sage({fused, sm80}), "8.9") == Codes{"SB102 error"});
  CHECK(codes(sage({fused, sm80, sm89}), "9.0") == Codes{"SB102 error"});
  // sageattn() itself calls _qattn_sm90 on Hopper; who names fp8_cuda needs _qattn_sm89 there.
  CHECK(codes(sage({fused, sm80, sm90}), "9.0") == Codes{"SB114 warning"});
  const WheelFacts without = sage({fused, sm80});
  for (const GpuVerdict& verdict : verdicts(without, promise_of(without, recipes(), {})))
    if (verdict.gpu == Arch{8, 9}) CHECK(verdict.word == "partly");
  // A missing module is not all: nothing of it runs there.
  const WheelFacts blackwell =
      sage({module_of("_fused", {{sass("12.0")}}), module_of("_qattn_sm80", {{sass("12.0")}}),
            module_of("_qattn_sm89", {{sass("12.0")}})});
  for (const GpuVerdict& verdict : verdicts(blackwell, promise_of(blackwell, recipes(), {})))
    CHECK(verdict.word == (verdict.gpu.major == 12 ? "yes" : "no"));
  // 8.0 8.6 9.0 12.0 and a 4090: it would take the traps of sm_80.
  const ModuleFacts without_89 =
      module_of("_fused", {{sass("8.0", 40, "_Z15MeanScaleKernelv"), sass("9.0")}});
  CHECK(codes(sage({without_89, sm80, sm89}), "8.9") == Codes{"SB103 error"});
  // The FP8 module made for 8.6
  const ModuleFacts wrong = module_of("_qattn_sm89", {{sass("8.6", 3840), sass("8.9")}});
  CHECK(codes(sage({fused, sm80, wrong}), "8.6") == Codes{"SB104 warning"});
  // No module has a target for a GPU that the recipe does not know: none of them serves it.
  CHECK(codes(sage({fused, sm80, sm89, sm90}), "7.5") == Codes{"SB101 error"});
  // 1.x is pure Triton.
  CHECK(codes(wheel_of({}, "sageattention-1.0.6-py3-none-any.whl"), "8.9 12.0").empty());
  CHECK(codes(wheel_of({}, "sageattention-2.0.1-cp311-cp311-linux_x86_64.whl"), "8.9") ==
        Codes{"SB102 error"});
  const ModuleFacts other = module_of("_fused", {{sass("8.0", 3, "_Z5otherv")}});
  CHECK(codes(sage({other, sm80}), "8.0") == Codes{"SB103 error"});
}

TEST_CASE("the commit that is wrong on Hopper is known, unless a rule mended it") {
  const ModuleFacts fused = module_of("_fused", {{sass("9.0")}});
  WheelFacts wheel =
      sage({fused, module_of("_qattn_sm80", {{sass("9.0")}}),
            module_of("_qattn_sm89", {{sass("9.0")}}), module_of("_qattn_sm90", {{sass("9.0a")}})},
           "2.2.0+cu130.geb615cf6");
  CHECK(codes(wheel, "9.0") == Codes{"SB150 error"});
  wheel.provenance =
      R"({"archs": "9.0", "recipe": "sageattention",
          "source": {"commit": "eb615cf6f6de2f3f1d9d2a1b"},
          "rules": [{"id": "hopper-fake-name"}, {"id": "gqa-heads"}]})";
  CHECK(codes(wheel).empty());
  wheel.provenance =
      R"({"buildDefinition": {"externalParameters": {"archs": "9.0", "recipe": "sageattention"},
          "internalParameters": {"rules": [{"id": "hopper-fake-name"}, {"id": "gqa-heads"}]},
          "resolvedDependencies": [{"name": "source",
            "digest": {"gitCommit": "eb615cf6f6de2f3f1d9d2a1b"}}]}})";
  CHECK(codes(wheel).empty());
  wheel.provenance = replaced(*wheel.provenance, "hopper-fake-name", "another");
  CHECK(codes(wheel) == Codes{"SB150 error"});
}

TEST_CASE("the promise is --arch, else the provenance, the name, the description") {
  WheelFacts wheel = wheel_of({module_of("_k", {{sass("8.0")}})});
  CHECK(codes(wheel) == Codes{"SB106 note"});
  wheel.metadata = "Name: pkg\nVersion: 1.0\n\nFor GPUs of compute capability 8.6, and sm_90.\n";
  Promise promise = promise_of(wheel, {}, {});
  CHECK(print(promise.archs) == "8.6 9.0");
  CHECK(promise.origin == "its description");
  wheel.file = "pkg-1.0+cu130.sm120-cp311-cp311-linux_x86_64.whl";
  promise = promise_of(wheel, {}, {});
  CHECK(print(promise.archs) == "12.0");
  wheel.provenance = R"({"archs": "8.0 8.9+PTX 9.0", "cuda": {"version": "13.0"}, "torch": "2.11.0",
      "modules": [{"name": "pkg._k", "sources": [
          {"targets": [{"code": ["sm_80"]}]},
          {"targets": [{"code": ["sm_80", "sm_89", "compute_89"]}]}]}]})";
  promise = promise_of(wheel, {}, {});
  CHECK(promise.origin == "its provenance");
  CHECK(promise.cuda == Version{13, 0});
  // One of its sources was made for 8.0 alone, whose code serves 8.9; it holds no PTX.
  CHECK(must_serve(promise, "_k", {8, 9}));
  CHECK_FALSE(must_serve(promise, "_k", {9, 0}));
  // What the provenance does not promise is asked of all.
  CHECK(must_serve(promise, "_k", {12, 0}));
  CHECK(must_serve(promise_of(wheel, {}, "9.0"), "_k", {9, 0}));
  CHECK_FALSE(must_hold_ptx(promise, "_k", {{8, 9}, true, true}));
  CHECK(print(promise_of(wheel, {}, "9.0").archs) == "9.0");
  for (const char* broken :
       {"", "[]", "{\"archs\": 3}", "{\"modules\": {}}", "{\"archs\": \"x\"}"}) {
    wheel.provenance = broken;
    CHECK_NOTHROW(promise_of(wheel, {}, {}));
  }
}

TEST_CASE("a policy moves severities, and every kind is whole") {
  const WheelFacts wheel = wheel_of({[] {
    ModuleFacts module = module_of("_k", {{sass("8.0")}});
    module.run_paths = {"/opt"};
    module.stack = ElfStack::executable;
    return module;
  }()});
  CHECK(codes(wheel, "8.0", Policy::strict) == Codes{"SB128 error", "SB130 error"});
  CHECK(codes(wheel, "8.0", Policy::local) == Codes{"SB128 note", "SB130 note"});
  CHECK(findings(wheel, "8.0").front().code == "SB130");
  std::string last;
  for (const FindingKind& kind : finding_kinds()) {
    CHECK(last < kind.code);
    last = kind.code;
    CHECK((!kind.title.empty() && !kind.sees.empty() && !kind.fix.empty()));
  }
  CHECK(finding_kind("sb101") == &finding_kinds().front());
  CHECK(finding_kind("SB000") == nullptr);
}

TEST_CASE("whether a wheel runs on a GPU is said in words") {
  const WheelFacts wheel = wheel_of({module_of("_a", {{sass("8.0"), sass("9.0"), ptx("9.0")}}),
                                     module_of("_b", {{sass("9.0a")}, {sass("9.0")}})});
  std::map<std::string, GpuVerdict> rows;
  for (GpuVerdict& verdict : verdicts(wheel, promise_of(wheel, {}, {})))
    rows[dotted(verdict.gpu)] = verdict;
  CHECK(rows.size() == gpu_generations().size());
  CHECK(rows["9.0"].word == "yes");
  CHECK(rows["7.5"].word == "no");
  CHECK(rows["8.6"].word == "partly");
  CHECK(rows["8.6"].reason == "1 of 2 modules; _b has only sm_90a, sm_90");
  const WheelFacts one = wheel_of({module_of("_a", {{sass("8.0", 2), ptx("9.0")}})});
  CHECK(verdicts(one, promise_of(one, {}, {}))[1].word == "traps");
  const GpuVerdict newest = verdicts(one, promise_of(one, {}, {})).back();
  CHECK(newest.word == "JIT");
  CHECK(newest.reason == "the driver compiles compute_90 at first use; it must know CUDA 13.0");
}

TEST_CASE("floors are said as distributions, and tags as floors") {
  CHECK(distributions_for({{2, 34}, {3, 4, 30}, {}}) ==
        "Ubuntu 22.04, Debian 12, RHEL 10 and newer");
  CHECK(distributions_for({{2, 28}, {}, {}}) == "Ubuntu 20.04, Debian 11, RHEL 8 and newer");
  CHECK(distributions_for({{2, 99}, {}, {}}) == "none that is known");
  CHECK(distributions_for({}) == "any Linux");
  CHECK(floors_of_platform("manylinux_2_28_x86_64")->glibcxx == Version{3, 4, 24});
  CHECK(floors_of_platform("manylinux2014_x86_64")->glibc == Version{2, 17});
  CHECK(floors_of_platform("manylinux_2_36_x86_64")->glibcxx == Version{3, 4, 30});
  CHECK_FALSE(floors_of_platform("linux_x86_64"));
  CHECK_FALSE(floors_of_platform("manylinux_2_x"));
}

}  // namespace
}  // namespace sagebuild
