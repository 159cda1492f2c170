// What stops a module from being loaded, and tags that are not true.
#include "sagebuild/base/strings.hpp"
#include "support/catch.hpp"
#include "verify/facts.hpp"

namespace sagebuild {
namespace {

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

}  // namespace
}  // namespace sagebuild
