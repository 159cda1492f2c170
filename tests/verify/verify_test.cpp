#include "sagebuild/verify/verify.hpp"

#include <elf.h>

#include <map>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verdict.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

GpuImage image_of(ImageKind kind, const std::string& arch, std::uint32_t traps = 0,
                  const std::string& kernel = "_Z1kv") {
  GpuImage image;
  image.kind = kind;
  image.arch = parse_arch(arch);
  image.kernels = 1;
  image.traps = traps;
  image.ptx_isa = kind == ImageKind::ptx ? Version{9, 0} : Version{};
  image.toolkit = {13, 0};
  if (traps != 0) image.trapping.push_back({kernel, traps});
  return image;
}

GpuImage sass(const std::string& arch, std::uint32_t traps = 0,
              const std::string& kernel = "_Z1kv") {
  return image_of(ImageKind::sass, arch, traps, kernel);
}
GpuImage ptx(const std::string& arch, std::uint32_t traps = 0) {
  return image_of(ImageKind::ptx, arch, traps);
}

ModuleFacts module_of(const std::string& stem, const std::vector<std::vector<GpuImage>>& sources) {
  ModuleFacts module;
  module.path = "pkg/" + stem + ".cpython-311-x86_64-linux-gnu.so";
  module.is_linked = true;
  module.machine = EM_X86_64;
  module.init_functions = {"PyInit_" + stem};
  for (const auto& images : sources)
    module.gpu.containers.push_back({".nv_fatbin", 0, false, images});
  return module;
}

WheelFacts wheel_of(const std::vector<ModuleFacts>& modules,
                    const std::string& name = "pkg-1.0-cp311-cp311-manylinux_2_28_x86_64.whl") {
  WheelFacts wheel;
  wheel.file = name;
  wheel.name = parse_wheel_name(name);
  wheel.metadata = "Name: pkg\nVersion: 1.0\n";
  wheel.modules = modules;
  return wheel;
}

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = load_recipes(data_folder() / "patches").all();
  return all;
}

std::vector<Finding> findings(const WheelFacts& wheel, const std::optional<std::string>& archs = {},
                              Policy policy = Policy::publish) {
  return verify_wheel(wheel, promise_of(wheel, recipes(), archs), policy);
}

// "SB101 error" ...
std::set<std::string> codes(const WheelFacts& wheel, const std::optional<std::string>& archs = {},
                            Policy policy = Policy::publish) {
  std::set<std::string> all;
  for (const Finding& finding : findings(wheel, archs, policy))
    all.insert(finding.code + " " + name_of(finding.severity));
  return all;
}

using Codes = std::set<std::string>;

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

TEST_CASE("a Linux library in a wheel for another system") {
  const auto with = [](const std::string& platform) {
    WheelFacts wheel = wheel_of({module_of("_k", {})}, "pkg-1.0-cp311-cp311-" + platform + ".whl");
    wheel.modules[0].floors.glibc = {2, 14};
    return codes(wheel);
  };
  CHECK(with("linux_x86_64").empty());
  CHECK(with("musllinux_1_2_x86_64") == Codes{"SB123 error"});
  CHECK(with("win_amd64") == Codes{"SB134 warning"});
  CHECK(with("any") == Codes{"SB134 warning"});
  CHECK(with("linux_aarch64") == Codes{"SB134 error"});
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

// The codes that one change of a sound module brings.
template <class Change>
Codes codes_after(
    Change change,
    const std::string& name = "pkg-1.0+cu130torch2.11-cp311-cp311-manylinux_2_28_x86_64.whl") {
  WheelFacts wheel = wheel_of({module_of("_k", {{sass("8.0")}})}, name);
  change(wheel.modules[0], wheel);
  return codes(wheel, "8.0");
}

TEST_CASE("what stops a module from being loaded") {
  using Module = ModuleFacts;
  using Wheel = WheelFacts;
  CHECK(codes_after([](Module&, Wheel&) {}).empty());
  CHECK(codes_after([](Module& m, Wheel&) { m.cxx_abi = CxxAbi::old; }) == Codes{"SB121 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.torch_symbols = {"_ZN3c10x"}; }) ==
        Codes{"SB122 warning"});
  CHECK(codes_after([](Module& m, Wheel& w) {
          m.torch_symbols = {"_ZN3c10x"};
          w.metadata = "Requires-Dist: torchvision\nRequires-Dist: torch==2.11.*\n";
        }).empty());
  CHECK(codes_after([](Module& m, Wheel& w) {
          m.torch_symbols = {"_ZN3c10x"};
          w.metadata = "Requires-Dist: torch (>=2.3)\n";
        }) == Codes{"SB122 warning"});
  CHECK(codes_after([](Module& m, Wheel&) { m.floors.glibc = {2, 34}; }) == Codes{"SB123 error"});
  CHECK(codes_after([](Module& m, Wheel&) {
          m.floors.glibcxx = {3, 4, 30};
        }) == Codes{"SB124 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libcudart.so.12"}; }) ==
        Codes{"SB125 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libcudart.so.13"}; }).empty());
  // Such a label names a major version alone.
  const std::string flash =
      "pkg-1.0+cu12torch2.6cxx11abifalse-cp311-cp311-manylinux_2_28_x86_64.whl";
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libcudart.so.12"}; }, flash).empty());
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libcudart.so.13"}; }, flash) ==
        Codes{"SB125 error"});
  CHECK(promise_of(wheel_of({}, replaced(flash, "cu12", "cu118")), {}, {}).cuda == Version{11, 8});
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libcuda.so.1"}; }) ==
        Codes{"SB126 warning"});
  CHECK(codes_after([](Module& m, Wheel&) { m.driver_symbols = {"cuInit"}; }) ==
        Codes{"SB126 warning"});
  CHECK(codes_after([](Module& m, Wheel& w) {
          m.cuda_runtime = CudaRuntime::linked_in;
          m.torch_symbols = {"_ZN3c10x"};
          w.metadata = "Requires-Dist: torch==2.11.*\n";
        }) == Codes{"SB127 warning"});
  CHECK(codes_after([](Module& m, Wheel&) { m.run_paths = {"/opt/lib"}; }) ==
        Codes{"SB128 warning"});
  CHECK(codes_after([](Module& m, Wheel&) { m.run_paths = {"$ORIGIN/../lib"}; }).empty());
  CHECK(codes_after([](Module& m, Wheel&) {
          m.version_needs = {{"libx.so.1", {"X_1"}}};
        }) == Codes{"SB129 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.stack = ElfStack::executable; }) ==
        Codes{"SB130 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.stack = ElfStack::unsaid; }) == Codes{"SB130 error"});
  // Whoever asks for an older torch has the symbols of one.
  for (const char* older : {"==2.4.0", "==2.6.*", ">=2.0,<2.7", "<=2.6.1", "~=2.4.0"})
    CHECK(codes_after([&](Module& m, Wheel& w) {
            m.cxx_abi = CxxAbi::old;
            w.name = parse_wheel_name("pkg-1.0-cp311-cp311-manylinux_2_28_x86_64.whl");
            w.metadata += std::string("Requires-Dist: torch") + older + "\n";
          }).empty());
  for (const char* newer : {"", ">=1.13.0", "<3", "~=2.4", "==2.7.0", "<=2.7", "!=2.4.0"})
    CHECK(codes_after([&](Module& m, Wheel& w) {
            m.cxx_abi = CxxAbi::old;
            w.name = parse_wheel_name("pkg-1.0-cp311-cp311-manylinux_2_28_x86_64.whl");
            w.metadata += std::string("Requires-Dist: torch") + newer + "\n";
          }) == Codes{"SB121 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.init_functions = {"PyInit_other"}; }) ==
        Codes{"SB131 error"});
  // It may be a library for ctypes.
  CHECK(codes_after([](Module& m, Wheel&) { m.init_functions.clear(); }) == Codes{"SB131 warning"});
  // torch.ops.load_library asks for no such function, and takes any name.
  CHECK(codes_after([](Module& m, Wheel&) {
          m.init_functions.clear();
          m.shim_symbols = {"aoti_torch_x"};
        }).empty());
  CHECK(codes_after([](Module& m, Wheel& w) {
          m.path = "pkg/_k.cpython-310-x86_64-linux-gnu.so";
          m.init_functions.clear();
          m.torch_symbols = {"_ZN5torch7LibraryC1Ev"};
          w.metadata = "Requires-Dist: torch==2.11.*\n";
        }).empty());
  CHECK(codes_after([](Module& m, Wheel&) { m.path = "pkg/_k.cpython-312-x86_64-linux-gnu.so"; }) ==
        Codes{"SB131 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libgomp.so.1"}; }) ==
        Codes{"SB132 warning"});
  CHECK(codes_after([](Module& m, Wheel& w) {
          m.needed = {"libgomp.so.1"};
          w.modules.push_back(module_of("libgomp", {}));
          w.modules.back().path = "pkg.libs/libgomp.so.1";
        }).empty());
  CHECK(codes_after([](Module& m, Wheel&) { m.debug_bytes = 1; }) == Codes{"SB133 note"});
  CHECK(codes_after([](Module& m, Wheel&) { m.build_paths = {"/home/x/a.cu"}; }) ==
        Codes{"SB133 note"});
  CHECK(codes_after([](Module& m, Wheel&) { m.machine = EM_AARCH64; }) == Codes{"SB134 error"});
  CHECK(codes_after([](Module& m, Wheel&) { m.needed = {"libpython3.11.so.1.0"}; }) ==
        Codes{"SB135 warning"});
}

TEST_CASE("the old C++ ABI is wrong for each torch that is promised") {
  const auto found = [](const std::string& label, const std::string& asked) {
    return codes_after(
        [&](ModuleFacts& m, WheelFacts& w) {
          m.cxx_abi = CxxAbi::old;
          w.metadata += "Requires-Dist: torch" + asked + "\n";
        },
        "pkg-1.0" + label + "-cp311-cp311-manylinux_2_28_x86_64.whl");
  };
  for (const char* sound : {"", "==2.6.0", ">=2.4", "==2.4.*", "<2.7"})
    CHECK(found("+torch2.6", sound).empty());
  for (const char* newer : {"==2.11.*", ">=2.7", "~=2.8.0"})
    CHECK(found("+torch2.6", newer) == Codes{"SB121 error"});
  CHECK(found("+torch2.11", "==2.6.0") == Codes{"SB121 error"});
}

TEST_CASE("a manylinux tag is true of all modules, or it is a finding") {
  const auto found = [](auto change, const std::string& platform) {
    return codes_after(change, "pkg-1.0-cp311-cp311-" + platform + ".whl");
  };
  const auto wants = [](const std::string& library, const std::string& metadata = "") {
    return [=](ModuleFacts& m, WheelFacts& w) {
      m.needed = {"libc.so.6", library};
      w.metadata += metadata;
    };
  };
  const std::string tag = "manylinux_2_17_x86_64";
  const Codes untrue{"SB139 error"};
  CHECK(found(wants("libssl.so.3"), tag) == untrue);
  CHECK(found(wants("libssl.so.3"), "manylinux1_x86_64." + tag) == untrue);
  CHECK(found(wants("libssl.so.3"), "linux_x86_64").empty());
  CHECK(found(wants("libssl.so.3", "Requires-Dist: torch==2.11.0\n"), tag) == untrue);
  // One of several, of which the package takes what loads, as torchcodec's for FFmpeg 4 to 8.
  CHECK(found(
            [&](ModuleFacts& m, WheelFacts& w) {
              wants("libavutil.so.56")(m, w);
              m.path = "pkg/libk.so";
              m.init_functions.clear();
            },
            tag) == Codes{"SB139 warning"});
  // That package may bring it.
  CHECK(found(wants("libarrow.so.19", "Requires-Dist: pyarrow\n"), tag) == Codes{"SB139 warning"});
  CHECK(found(
            [&](ModuleFacts& m, WheelFacts& w) {
              wants("libssl.so.3")(m, w);
              ModuleFacts library = module_of("ssl", {});
              library.path = "pkg.libs/libssl-1a2b3c.so.3";
              library.init_functions.clear();
              w.modules.push_back(library);
            },
            tag)
            .empty());
  for (const char* torchs : {"libtorch_cpu.so", "libc10.so", "libnvjpeg.so.13", "libamdhip64.so.6"})
    CHECK(found(wants(torchs), tag).empty());
  CHECK(codes_after(wants("libssl.so.3"), "torch-2.11.0-cp311-cp311-" + tag + ".whl").empty());
  const auto wants_version = [](const std::string& library, const std::string& version) {
    return [=](ModuleFacts& m, WheelFacts& w) {
      m.needed = {library};
      m.version_needs = {{library, {version}}};
      w.metadata += "Requires-Dist: numpy\n";
    };
  };
  CHECK(found(wants_version("libc.so.6", "GLIBC_PRIVATE"), tag) == untrue);
  CHECK(found(wants_version("libz.so.1", "ZLIB_1.2.9"), tag) == untrue);
  CHECK(found(wants_version("libz.so.1", "ZLIB_1.2.9"), "manylinux_2_28_x86_64").empty());
  // Between two of auditwheel's policies
  CHECK(found(
            [](ModuleFacts& m, WheelFacts&) {
              m.floors.glibc = {2, 29};
            },
            "manylinux_2_29_x86_64")
            .empty());
  const auto as_it_is = [](ModuleFacts&, WheelFacts&) {};
  CHECK(found(as_it_is, "manylinux_2_28") == untrue);
  CHECK(found(as_it_is, "manylinux_2_28_x86_64.manylinux_2_28_aarch64") == Codes{"SB134 error"});
  CHECK(found(as_it_is, "manylinux_2_28_s390x") == Codes{"SB134 error"});
}

TEST_CASE("what is wrong with images, the archive and libraries") {
  using Module = ModuleFacts;
  using Wheel = WheelFacts;
  const auto image = [](Module& m) -> GpuImage& { return m.gpu.containers[0].images[0]; };
  CHECK(codes_after([&](Module& m, Wheel&) {
          image(m).codec = ImageCodec::zstd;
          image(m).toolkit = {12, 8};
        }) == Codes{"SB110 warning"});
  CHECK(codes_after([&](Module& m, Wheel&) { image(m).codec = ImageCodec::zstd; }).empty());
  CHECK(codes_after([&](Module& m, Wheel&) { image(m).virtual_arch = 75; }) == Codes{"SB111 note"});
  CHECK(codes_after([&](Module& m, Wheel&) { image(m).flags = 2; }) == Codes{"SB112 warning"});
  CHECK(codes_after([&](Module& m, Wheel&) { m.gpu.relocatable_bytes = 9; }) ==
        Codes{"SB113 note"});
  CHECK(codes_after([&](Module& m, Wheel&) { m.gpu.faults = {"x"}; }) == Codes{"SB105 error"});
  CHECK(codes_after([](Module&, Wheel& w) { w.faults.archive = {"x"}; }) == Codes{"SB140 error"});
  CHECK(codes_after([](Module&, Wheel& w) { w.faults.metadata = {"x"}; }) == Codes{"SB141 error"});
  CHECK(codes_after([](Module&, Wheel& w) { w.faults.tags = {"x"}; }) == Codes{"SB142 error"});
  CHECK(codes_after([](Module&, Wheel& w) {
          w.faults.record = std::vector<std::string>(100, "x");
        }) == Codes{"SB143 error"});
  CHECK(codes_after([](Module&, Wheel& w) { w.unreadable = {"x"}; }) == Codes{"SB144 error"});
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
