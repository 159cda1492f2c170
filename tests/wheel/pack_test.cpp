#include "sagebuild/wheel/pack.hpp"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A wheel as setuptools makes it while it is recorded (modules empty), written by Python's own
// zipfile.
constexpr std::string_view kMakeWheel = R"(
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("pkg/__init__.py", "")
    z.writestr("pkg/with,comma.txt", "x")
    z.writestr("pkg/_a.so", "")
    z.writestr("pkg/_b.so", "")
    z.writestr("pkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\nRequires-Dist: torch>=2\nRequires-Dist: torchvision\n\nVersion: of the text\n")
    z.writestr("pkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: other\nRoot-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64\n\n")
    z.writestr("pkg-1.0.dist-info/RECORD", "stale,,\n")
)";

// What pip's own rules say of a wheel: names, hashes, order, times. Prints one JSON document.
constexpr std::string_view kReadWheel = R"(
import base64, csv, hashlib, io, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
names = z.namelist()
info = [n for n in names if n.endswith("/RECORD")][0].rsplit("/", 1)[0]
rows = {r[0]: r for r in csv.reader(io.StringIO(z.read(info + "/RECORD").decode()))}
good = set(rows) == set(names)
for n in names:
    if n == info + "/RECORD": continue
    h = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(z.read(n)).digest()).rstrip(b"=").decode()
    good = good and rows[n][1] == h and int(rows[n][2]) == len(z.read(n))
print(json.dumps({"names": names, "record": good, "metadata": z.read(info + "/METADATA").decode(), "wheel": z.read(info + "/WHEEL").decode(),
  "provenance": z.read(info + "/sagebuild.json").decode(), "module": z.read("pkg/_a.so").decode(), "info": info,
  "times": sorted({i.date_time for i in z.infolist()}), "mode": oct(z.getinfo("pkg/_a.so").external_attr >> 16)}))
)";

struct World {
  TempDir folder;
  PackSettings settings;

  World() {
    settings.recorded = folder.path() / "pkg-1.0-cp311-cp311-linux_x86_64.whl";
    run_checked({.argv = {"python3", "-c", std::string(kMakeWheel), settings.recorded.string()}},
                "cannot make the wheel");
    write_file(folder.path() / "a.so", "linked module");
    settings.modules = {{"pkg/_a.so", folder.path() / "a.so"}};
    settings.output = folder.path() / "dist";
    settings.local_label = "cu130torch2.11.gd1a57a5";
    settings.platform = "linux_x86_64";
    settings.torch_pin = "==2.11.*";
    settings.provenance.tree.checkout = {folder.path(), "https://host/x",
                                         "main",        "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5",
                                         false,         {}};
    settings.provenance.plan.archs = parse_arch_list("8.9 12.0+PTX");
    settings.provenance.plan.dropped = {{"pkg._b", "pkg/_b.so", "no target for 8.9"}};
  }
  nlohmann::json read(const fs::path& wheel) const {
    return nlohmann::json::parse(
        run_checked({.argv = {"python3", "-c", std::string(kReadWheel), wheel.string()}},
                    "unsound wheel")
            .output);
  }
};

}  // namespace

TEST_CASE("a packed wheel agrees with itself: name, folder, version, tags, RECORD, order") {
  World world;
  const Wheel wheel = pack_wheel(world.settings);
  CHECK(wheel.path.filename() == "pkg-1.0+cu130torch2.11.gd1a57a5-cp311-cp311-linux_x86_64.whl");
  const auto seen = world.read(wheel.path);
  CHECK(seen["record"] == true);
  CHECK(seen["info"] == "pkg-1.0+cu130torch2.11.gd1a57a5.dist-info");
  CHECK(seen["module"] == "linked module");
  CHECK(seen["mode"] == "0o100755");
  CHECK(seen["metadata"] ==
        "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0+cu130torch2.11.gd1a57a5\n"
        "Requires-Dist: torch==2.11.*\nRequires-Dist: torchvision\n\nVersion: of the text\n");
  CHECK(seen["wheel"].get<std::string>().ends_with(
      "Root-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64\n"));
  const std::vector<std::string> names = seen["names"];
  CHECK(std::ranges::find(names, "pkg/_b.so") == names.end());  // dropped by the plan
  CHECK(names.back().ends_with("/RECORD"));
  CHECK(std::ranges::is_sorted(names.begin(), names.begin() + 3));
}

TEST_CASE("the same inputs give the same bytes, at another time and in another time zone") {
  World world;
  setenv("TZ", "Asia/Tokyo", 1);
  const std::string first = read_file(pack_wheel(world.settings).path);
  setenv("TZ", "America/New_York", 1);
  world.settings.output = world.folder.path() / "other";
  CHECK(read_file(pack_wheel(world.settings).path) == first);
  for (const auto& [name, file] : world.settings.modules) {
    world.settings.compressed[name] = world.folder.path() / (name.filename().string() + ".zip");
    compress_module(file, world.settings.compressed[name]);
  }
  REQUIRE_FALSE(world.settings.compressed.empty());
  CHECK(read_file(pack_wheel(world.settings).path) == first);
  world.settings.compressed.clear();
  unsetenv("TZ");
  setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  CHECK(world.read(pack_wheel(world.settings).path)["times"][0] ==
        nlohmann::json({2023, 11, 14, 22, 13, 20}));
  setenv("SOURCE_DATE_EPOCH", "soon", 1);
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error,
                       says("SOURCE_DATE_EPOCH, which is 'soon'"));
  unsetenv("SOURCE_DATE_EPOCH");
}

TEST_CASE(
    "provenance names source, architectures and what was left out, and no folder of this machine") {
  World world;
  const std::string text = provenance_json(world.settings.provenance);
  const auto document = nlohmann::json::parse(text);
  CHECK(document["sagebuild_schema"] == "sagebuild.provenance/2");
  const auto& definition = document["buildDefinition"];
  CHECK(definition["externalParameters"]["source"]["uri"] == "git+https://host/x");
  CHECK(definition["externalParameters"]["archs"] == "8.9 12.0+PTX");
  CHECK(definition["resolvedDependencies"][0]["digest"]["gitCommit"] ==
        "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5");
  CHECK(definition["internalParameters"]["left_out"][0]["name"] == "pkg._b");
  const std::string place = world.folder.path().string();
  CHECK(text.find(place) == std::string::npos);
  for (const std::string& location : {place, "file://" + place}) {
    world.settings.provenance.tree.checkout.location = location;
    CHECK(provenance_json(world.settings.provenance).find(place) == std::string::npos);
  }
}

TEST_CASE("what a provenance says is read as it was written") {
  World world;
  Provenance& made = world.settings.provenance;
  made.recipe = "sage";
  made.tree.checkout.dirty = true;
  made.tree.rules = {{"a-rule", "setup.py", "why", 1, false}};
  made.python.tag = "cp311";
  made.python.version = "3.11.7";
  made.python.torch = TorchInfo{"2.11.0+cu130", {2, 11, 0}, {13, 0}, "", true};
  made.toolchain.cuda = {13, 0};
  made.tools["ptxas"] = sha256("ptxas");
  PlannedModule module{"pkg._a", "pkg/_a.so", {}, {}, {}};
  PlannedSource source;
  source.recorded.source = "/x/csrc/a.cu";
  source.recorded.language = Language::cuda;
  source.targets = {{{8, 9}, {8, 9}, true, false, ""}, {{12, 0}, {12, 0}, true, true, ""}};
  module.sources = {source};
  made.plan.modules = {module};
  made.sources = {{"pkg._a", "a.cu", "facade headers", 2}};
  made.parameters.headers = "check";
  made.parameters.compression = "size";
  made.parameters.plain_platform = true;
  made.parameters.parts = false;
  made.parameters.subfolder = "sub";
  made.parameters.variables = {"FORCE_CUDA=1", "TOKEN"};
  made.parameters.nvcc_flags = std::vector<std::string>{"NVCC_APPEND_FLAGS=-lineinfo"};
  made.parameters.source_date_epoch = 1'700'000'000;
  const StatedProvenance stated = read_provenance(provenance_json(made)).value();
  CHECK(stated.recipe == "sage");
  CHECK(stated.url == "https://host/x");
  CHECK(stated.ref == "main");
  CHECK(stated.commit == "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5");
  CHECK(stated.dirty);
  CHECK(stated.rules == std::vector<std::string>{"a-rule"});
  CHECK(stated.archs == "8.9 12.0+PTX");
  REQUIRE(stated.modules.size() == 1);
  CHECK(stated.modules[0].name == "pkg._a");
  CHECK(stated.modules[0].sources[0].headers == "facade headers");
  CHECK(stated.modules[0].sources[0].code ==
        std::vector<std::string>{"sm_89", "sm_120", "compute_120"});
  CHECK(stated.cuda == "13.0");
  CHECK(stated.python == "cp311");
  CHECK(stated.torch == "2.11.0+cu130");
  CHECK(stated.materials.at("tool ptxas") == sha256("ptxas").hex());
  CHECK(stated.parameters.headers == "check");
  CHECK(stated.parameters.compression == "size");
  CHECK(stated.parameters.plain_platform);
  CHECK_FALSE(stated.parameters.parts);
  CHECK(stated.parameters.patch);
  CHECK(stated.parameters.subfolder == "sub");
  CHECK(stated.parameters.variables == std::vector<std::string>{"FORCE_CUDA=1", "TOKEN"});
  CHECK(stated.parameters.nvcc_flags == made.parameters.nvcc_flags);
  CHECK(stated.parameters.source_date_epoch == 1'700'000'000);
  // What was published before is read as well; what is none of both says nothing.
  const auto flat = read_provenance(
      R"({"schema": "sagebuild.provenance/1", "sagebuild": "0.1", "recipe": "sage",
          "source": {"url": "https://host/x", "ref": "main", "commit": "abc", "dirty": true},
          "rules": [{"id": "a-rule"}], "archs": "8.9", "cuda": {"version": "13.0"},
          "modules": [{"name": "pkg._a", "sources": [{"source": "a.cu",
            "targets": [{"code": ["sm_89"]}]}]}], "python": "cp311", "torch": "2.11.0"})");
  REQUIRE(flat);
  CHECK(flat->url == "https://host/x");
  CHECK(flat->commit == "abc");
  CHECK(flat->dirty);
  CHECK(flat->modules[0].sources[0].code == std::vector<std::string>{"sm_89"});
  CHECK(flat->cuda == "13.0");
  CHECK(flat->parameters.source_date_epoch < 0);
  CHECK_FALSE(read_provenance("[]"));
  for (const char* odd : {R"({"buildDefinition": 3})", R"({"archs": 3, "modules": {"a": [1]}})",
                          R"({"buildDefinition": {"externalParameters": [],
                              "resolvedDependencies": [1, {"name": {}}]}, "runDetails": ""})"})
    CHECK(read_provenance(odd)->archs.empty());
}

TEST_CASE("the label tells wheels of different torch, CUDA and commit apart") {
  PythonEnv python;
  python.torch = TorchInfo{"2.11.0+cu130", {2, 11, 0}, {13, 0}, "", true};
  CHECK(local_version_label(python, {.commit = "d1a57a546c3d"}) == "cu130torch2.11.gd1a57a5");
  CHECK(local_version_label(python, {.commit = "d1a57a546c3d", .dirty = true}) ==
        "cu130torch2.11.gd1a57a5.dirty");
  CHECK(local_version_label(python, {}) == "cu130torch2.11");
}

TEST_CASE(
    "a module that the recorded wheel has no place for, and a damaged wheel, are refused; nothing "
    "is half-written") {
  World world;
  world.settings.modules["pkg/_new.so"] = world.folder.path() / "a.so";
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error, says("no place for 'pkg/_new.so'"));
  CHECK_FALSE(fs::exists(world.settings.output));
  write_file(world.settings.recorded, "no zip");
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error, says("cannot read the wheel"));
}

TEST_CASE("a wheel is bound to a torch only where a module is, and to CUDA only with device code") {
  PythonEnv python;
  python.torch = TorchInfo{"2.11.0+cu130", {2, 11, 0}, {13, 0}, "", true};
  const Checkout checkout{.commit = "d1a57a546c3d"};
  CHECK(local_version_label(python, checkout, {.torch = false}) == "cu130.gd1a57a5");
  CHECK(local_version_label(python, {}, {.cuda = false}) == "cputorch2.11");

  TempDir folder;
  const auto module_of = [&](const std::string& code) {
    const fs::path source = folder.path() / "m.cpp";
    write_file(source, code);
    const fs::path module = folder.path() / "m.so";
    run_checked({.argv = {"g++", "-shared", "-fPIC", source.string(), "-o", module.string()}},
                "no module");
    return module;
  };
  CHECK(wants_torch(module_of("namespace at { void empty(int); } void f() { at::empty(1); }")));
  CHECK(wants_torch(module_of(
      "namespace c10 { struct T { int size() const; }; } int f(c10::T& t) { return t.size(); }")));
  CHECK(wants_torch(
      module_of("extern \"C\" void* THPVariableClass; void* f() { return THPVariableClass; }")));
  CHECK(wants_torch(
      module_of("namespace c10 { struct V { int take() &&; }; } int f(c10::V& v) { return "
                "static_cast<c10::V&&>(v).take(); }")));
  CHECK(wants_torch(module_of("void THPUtils_check(); void f() { THPUtils_check(); }")));
  // std::string::at is no function of namespace at; aoti_torch_* is torch's stable C interface.
  CHECK_FALSE(wants_torch(module_of(
      "#include <string>\nextern \"C\" int aoti_torch_device_type_cuda(); extern template "
      "class std::basic_string<char>; char f(std::string& s) { return s.at(1) + "
      "aoti_torch_device_type_cuda(); }")));
}

TEST_CASE("a label of the project's own is kept or replaced, never doubled") {
  const std::string ours = "cu130torch2.11.gd1a57a5";
  CHECK(labelled_version("1.0", ours) == "1.0+" + ours);
  CHECK(labelled_version("1.0+post6", ours) == "1.0+post6." + ours);
  CHECK(labelled_version("1.0+cu130torch2.9.0andhigher", "cu130.gd1a57a5") ==
        "1.0+cu130torch2.9.0andhigher");
  // Not true of this build
  CHECK(labelled_version("1.0+cu130torch2.9.0andhigher", ours) == "1.0+" + ours);
  CHECK(labelled_version("1.0+cu128", ours) == "1.0+" + ours);
  CHECK(labelled_version("1.0+cu130", ours) == "1.0+cu130");
  CHECK(labelled_version("0.2.dev3+gd1a57a546", ours) == "0.2.dev3+gd1a57a546.cu130torch2.11");
}

TEST_CASE("only the distribution torch is pinned, and its extras and markers stay") {
  World world;
  const auto metadata_of = [&](const std::string& requires_lines) {
    run_checked(
        {.argv = {"python3", "-c",
                  replaced(std::string(kMakeWheel), "Requires-Dist: torch>=2\\n", requires_lines),
                  world.settings.recorded.string()}},
        "cannot make the wheel");
    const std::string text = world.read(pack_wheel(world.settings).path)["metadata"];
    return text.substr(text.find("Requires"),
                       text.find("Requires-Dist: torchvision") - text.find("Requires"));
  };
  const std::string others =
      "Requires-Dist: torch-geometric\\nRequires-Dist: torch_scatter>=2\\nRequires-Dist: torch.x\\n"
      "Requires-Dist: torch-tb-profiler; extra == 'test'\\n";
  CHECK(metadata_of(others + "Requires-Dist: Torch[opt] >=2\\n") ==
        replaced(others, "\\n", "\n") + "Requires-Dist: torch[opt]==2.11.*\n");
  CHECK(metadata_of("Requires-Dist: torch (==2.8.0) ; python_version > '3'\\n") ==
        "Requires-Dist: torch==2.11.*; python_version > '3'\n");
  world.settings.torch_pin.clear();
  CHECK(metadata_of("Requires-Dist: torch>=2.9\\n") == "Requires-Dist: torch>=2.9\n");
}

}  // namespace sagebuild
