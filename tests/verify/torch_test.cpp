#include <elf.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verify.hpp"
#include "sagebuild/wheel/reader.hpp"
#include "support/catch.hpp"
#include "verify/specifiers.hpp"

namespace sagebuild {
namespace {

// c10::cuda::c10_cuda_check_implementation(int, const char*, const char*, int, bool), of torch 2.6
// to 2.9.
const std::string kOlder = "_ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_ib";
// torch_exception_get_what, of the stable interface, since torch 2.13.
const std::string kNewer = "torch_exception_get_what";

std::string list_content() {
  return WheelReader(data_folder() / "data" / "torch-symbols.zip").read("torch-symbols");
}

const std::shared_ptr<const TorchSymbols>& shipped() {
  static const auto all = std::make_shared<const TorchSymbols>(list_content());
  return all;
}

WheelFacts wheel_that_wants(std::vector<std::string> symbols, const std::string& label,
                            const std::string& requirement) {
  WheelFacts wheel;
  wheel.file = "pkg-1.0" + label + "-cp311-cp311-linux_x86_64.whl";
  wheel.name = parse_wheel_name(wheel.file);
  wheel.metadata = "Name: pkg\n" + requirement;
  ModuleFacts module;
  module.path = "pkg/_k.so";
  module.is_linked = true;
  module.machine = EM_X86_64;
  module.torch_symbols = std::move(symbols);
  wheel.modules = {module};
  return wheel;
}

std::vector<std::string> findings_of(const WheelFacts& wheel,
                                     std::shared_ptr<const TorchSymbols> given = nullptr) {
  Promise promise = promise_of(wheel, {}, "8.0");
  promise.known_torch = shipped();
  promise.given_torch = std::move(given);
  std::vector<std::string> all;
  for (const Finding& finding : verify_wheel(wheel, promise, Policy::publish))
    if (finding.code == "SB136" || finding.code == "SB122")
      all.push_back(finding.code + " " + name_of(finding.severity) + " " + finding.message);
  return all;
}

using Texts = std::vector<std::string>;
const std::string kLacks =
    " lacks " + kOlder +
    " (c10::cuda::c10_cuda_check_implementation(int, char const*, char const*, int, bool))";

TEST_CASE("a module must find its symbols in the torch that its wheel promises") {
  const std::string pin = "Requires-Dist: torch==2.11.*\n";
  CHECK(findings_of(wheel_that_wants({kOlder}, "+torch2.9", "Requires-Dist: torch==2.9.*\n"))
            .empty());
  CHECK(findings_of(wheel_that_wants({kOlder}, "+torch2.11", pin)) ==
        Texts{"SB136 error torch 2.11, which its label and METADATA promise," + kLacks +
              "; its symbols fit torch 2.6 to 2.9"});
  CHECK(findings_of(wheel_that_wants({kOlder}, "", pin)) ==
        Texts{"SB136 error torch 2.11, which METADATA lets in," + kLacks +
              "; its symbols fit torch 2.6 to 2.9"});
  CHECK(findings_of(wheel_that_wants({"_ZN3c10x"}, "", pin)) ==
        Texts{"SB136 error torch 2.11, which METADATA lets in, lacks _ZN3c10x; its symbols fit "
              "none of torch " +
              shipped()->text(shipped()->all())});
  // A release that nobody knows yet, a nightly, an older one.
  CHECK(findings_of(wheel_that_wants({"_ZN3c10x"}, "+torch2.99", "Requires-Dist: torch==2.99.*\n"))
            .empty());
  CHECK(findings_of(wheel_that_wants({"_ZN3c10x"}, "", "Requires-Dist: torch==2.4.0\n")).empty());
  WheelFacts nightly = wheel_that_wants({"_ZN3c10x"}, "", pin);
  nightly.provenance = R"({"torch": "2.11.0.dev20260101+cu130"})";
  CHECK(findings_of(nightly).empty());
}

TEST_CASE("each torch that is promised counts: its provenance's, its label's, METADATA's") {
  const std::string fitting = "; its symbols fit torch 2.6 to 2.9";
  // pip installs what METADATA asks for, whatever the label says.
  WheelFacts wheel = wheel_that_wants({kOlder}, "+torch2.9", "Requires-Dist: torch==2.11.*\n");
  CHECK(findings_of(wheel) ==
        Texts{"SB136 error torch 2.11, which METADATA lets in," + kLacks + fitting});
  wheel.provenance = R"({"torch": "2.9.1"})";
  CHECK(findings_of(wheel) ==
        Texts{"SB136 error torch 2.11, which METADATA lets in," + kLacks + fitting});
  wheel.provenance = R"({"torch": "2.12.0"})";
  CHECK(findings_of(wheel).size() == 2);
  CHECK(findings_of(wheel_that_wants({kOlder}, "+torch2.11", "Requires-Dist: torch==2.9.*\n")) ==
        Texts{"SB136 error torch 2.11, which its label promises," + kLacks + fitting});
  CHECK(findings_of(wheel_that_wants({kOlder}, "+torch2.9", "Requires-Dist: torch<2.11\n")) ==
        Texts{"SB136 warning torch 2.10, which METADATA lets in," + kLacks + fitting});
}

TEST_CASE("of METADATA those lines count that hold on Linux") {
  const auto found = [](const std::string& lines) {
    return findings_of(wheel_that_wants({kOlder}, "", lines));
  };
  const std::string right = "Requires-Dist: torch==2.9.*", wrong = "Requires-Dist: torch==2.11.*";
  for (const char* elsewhere :
       {"sys_platform == \"darwin\"", "platform_system=='Windows'", "os_name != 'posix'",
        "python_version < '3.12' and (sys_platform == 'win32' or \"darwin\" == sys_platform)"}) {
    CHECK(found(wrong + "; " + elsewhere + "\n" + right + "; sys_platform == 'linux'\n").empty());
    CHECK(found(right + "; " + elsewhere + "\n" + wrong + "\n").size() == 1);
  }
  // Which of them holds is not known.
  CHECK(
      found(wrong + "; python_version < '3.9'\n" + right + "; python_version >= '3.9'\n").empty());
  CHECK(found(wrong + "; platform_machine in 'a b'\n" + right + "; what(\n").empty());
  CHECK(found(wrong + "; python_version >= '3.9'\n").size() == 1);
  CHECK(found("Requires-Dist: Torch==2.11.0\n").size() == 1);
  CHECK(found("requires-dist:torch[opt-einsum] (==2.11.0)\n").size() == 1);
  // The file behind a URL may be any.
  for (const char* url : {"torch @ https://x/y=2.11/torch.whl", "torch@https://x/y==2.11;z"})
    CHECK(found("Requires-Dist: " + std::string(url) + "\n") ==
          Texts{"SB122 warning METADATA asks for any torch; its symbols fit torch 2.6 to 2.9"});
}

TEST_CASE("markers are judged for Linux, and left open where they ask for more") {
  using verifying::holds_on_linux;
  CHECK(holds_on_linux("sys_platform == 'linux'") == true);
  CHECK(holds_on_linux("'linux' != sys_platform or os_name == \"posix\"") == true);
  CHECK(holds_on_linux("(platform_system == 'Linux') and os_name == 'nt'") == false);
  CHECK(holds_on_linux("python_version > '3' or os_name == 'posix'") == true);
  CHECK(holds_on_linux("python_version > '3' and os_name == 'posix'") == std::nullopt);
  for (const std::string& open :
       {std::string(), std::string("'"), std::string("os_name =="),
        std::string("os_name == 'nt' x"), std::string("(os_name == 'nt'"),
        std::string("sys_platform in 'linux darwin'"), std::string("python_version not in '3'"),
        std::string(100000, '(')})
    CHECK(holds_on_linux(open) == std::nullopt);
}

TEST_CASE("a range of torch that fits in part is no error") {
  const std::string fitting = "; its symbols fit torch 2.6 to 2.9";
  CHECK(findings_of(wheel_that_wants({kOlder}, "", "Requires-Dist: torch>=2.9,<2.13\n")) ==
        Texts{"SB136 warning torch 2.10 to 2.12, which METADATA lets in," + kLacks + fitting});
  CHECK(findings_of(wheel_that_wants({kOlder}, "", "Requires-Dist: torch~=2.9.0\n")).empty());
  // Who asks for no torch promises none.
  CHECK(findings_of(wheel_that_wants({kOlder}, "", "")) ==
        Texts{"SB122 warning METADATA does not ask for torch" + fitting});
  CHECK(findings_of(wheel_that_wants({kOlder}, "", "Requires-Dist: torch\n")) ==
        Texts{"SB122 warning METADATA asks for any torch" + fitting});
  CHECK(findings_of(
            wheel_that_wants({kOlder}, "", "Requires-Dist: torch==2.11.0; extra == 'test'\n")) ==
        Texts{"SB122 warning METADATA does not ask for torch" + fitting});
}

TEST_CASE("the stable interface fits from a release on") {
  WheelFacts wheel = wheel_that_wants({}, "", "Requires-Dist: torch>=2.11\n");
  wheel.modules[0].shim_symbols = {kNewer, "aoti_torch_empty_strided"};
  const Texts found = findings_of(wheel);
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with("SB136 warning torch 2.11"));
  CHECK(found[0].find(" lacks " + kNewer + ";") != std::string::npos);
}

TEST_CASE("what others bring is not asked of torch") {
  const std::string pin = "Requires-Dist: torch==2.11.*\n";
  const auto found = [&](auto change) {
    WheelFacts wheel = wheel_that_wants({"_ZN5torch3ownEv"}, "+torch2.11", pin);
    change(wheel);
    return findings_of(wheel);
  };
  CHECK(found([](WheelFacts&) {}).size() == 1);
  CHECK(found([](WheelFacts& w) {
          ModuleFacts library;
          library.path = "pkg/libown.so";
          library.torch_exports = {"_ZN5torch3ownEv"};
          w.modules.push_back(library);
        }).empty());
  CHECK(found([](WheelFacts& w) { w.modules[0].machine = EM_AARCH64; }).empty());
  CHECK(found([](WheelFacts& w) { w.modules[0].needed = {"libc10_hip.so"}; }).empty());
  // It may have it, so that it is not sure.
  const Texts doubtful = found([](WheelFacts& w) {
    w.modules[0].needed = {"libtorch_cpu.so", "libc.so.6", "libother.so"};
  });
  REQUIRE(doubtful.size() == 1);
  CHECK(doubtful[0].starts_with("SB136 warning "));
  CHECK(doubtful[0].find(", if libother.so does not have it") != std::string::npos);
}

TEST_CASE("the torch that the user names counts alone") {
  const auto given =
      std::make_shared<const TorchSymbols>(Version{2, 99, 0}, Texts{"_ZN3c103hasEv"});
  const std::string pin = "Requires-Dist: torch==2.11.*\n";
  CHECK(findings_of(wheel_that_wants({"_ZN3c103hasEv"}, "", pin), given).empty());
  const Texts found = findings_of(wheel_that_wants({kOlder}, "+torch2.9", pin), given);
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with("SB136 error torch 2.99" + kLacks));
}

TEST_CASE("torch 2.6 was built with both C++ ABIs, and PyPI has one") {
  const std::string text =
      "_ZN3c106DeviceC1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE";
  CHECK(shipped()->text(shipped()->exporters(text)).starts_with("2.6 to "));
  CHECK(shipped()->text(shipped()->exporters("_ZN3c106DeviceC1ERKSs")) == "2.6");
  CHECK(shipped()->text(shipped()->exporters("_ZN3c103noneENSt7__cxx11")) == "2.6");
}

TEST_CASE("releases are told as ranges") {
  const TorchSymbols& torch = *shipped();
  Releases some = 0;
  for (std::size_t i = 0; i < torch.releases().size(); ++i) {
    const std::string name = torch.releases()[i].text();
    if (name == "2.7.1" || name == "2.8.0" || name == "2.10.0") some |= Releases{1} << i;
  }
  CHECK(torch.text(some) == "2.7.1 to 2.8, 2.10");
  CHECK(torch.text(0).empty());
}

TEST_CASE("which names are torch's to export") {
  for (const char* name :
       {"_ZN3c104noneE", "_ZNK2at6Tensor3sumEv", "_ZNKR3c106IValue5xEv", "_ZNO3c106IValue5xEv",
        "_ZTVN5torch3jit6ModuleE", "_ZTIN3c105ErrorE", "_ZGVN6caffe21xE", "THPVariableClass",
        "_Z16THPVariable_WrapN2at10TensorBaseE", "aoti_torch_empty_strided",
        "_ZN8pybind116detail11type_casterIN2at6TensorEvE4loadENS_6handleEb"})
    CHECK(is_exported_by_torch(name));
  for (const char* name : {"", "_Z", "_ZN", "_ZN6vision3opsE", "_ZN4mine3fooERKN2at6TensorE",
                           "_ZSt4cout", "cudaMalloc", "_Z3fooN2at6TensorE", "_ZN7c10_npu1xE",
                           "_ZNSt6vectorIN2at6TensorESaIS1_EE4dataEv", "_ZT"})
    CHECK_FALSE(is_exported_by_torch(name));
}

TEST_CASE("specifiers let in what PEP 440 says") {
  const auto lets_in = [](std::string_view specifiers, std::initializer_list<int> release) {
    return verifying::allows(specifiers, Version(release));
  };
  CHECK(lets_in("==2.11.*", {2, 11, 3}));
  CHECK_FALSE(lets_in("==2.11.*", {2, 12, 0}));
  CHECK(lets_in("==2.11", {2, 11, 0}));
  CHECK_FALSE(lets_in("==2.11.0", {2, 11, 1}));
  CHECK(lets_in("==2.11.0+cu130", {2, 11, 0}));
  CHECK(lets_in(" >= 2.4 , < 2.7 ", {2, 6, 0}));
  CHECK_FALSE(lets_in(">=2.4,<2.7", {2, 7, 0}));
  CHECK(lets_in("~=2.4", {2, 9, 0}));
  CHECK_FALSE(lets_in("~=2.4", {3, 0, 0}));
  CHECK(lets_in("~=2.4.1", {2, 4, 2}));
  CHECK_FALSE(lets_in("~=2.4.1", {2, 5, 0}));
  CHECK_FALSE(lets_in("!=2.11.*", {2, 11, 0}));
  CHECK(lets_in("!=2.11.0", {2, 11, 1}));
  CHECK(lets_in("<=2.7", {2, 7, 0}));
  CHECK_FALSE(lets_in(">2.7", {2, 7, 0}));
  CHECK(lets_in("", {2, 7, 0}));
  CHECK(lets_in("what", {2, 7, 0}));
}

TEST_CASE("a list that is damaged is named") {
  const std::string whole = list_content();
  for (const std::string& broken :
       {std::string(), std::string("x"), whole.substr(0, 1000), whole.substr(0, whole.size() - 1)})
    CHECK_THROWS_AS(TorchSymbols(std::string_view(broken)), Error);
}

}  // namespace
}  // namespace sagebuild
