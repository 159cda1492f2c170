#include "sagebuild/wheel/pack.hpp"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A wheel as setuptools makes it while it is recorded (modules empty), written by Python's own zipfile.
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
    settings.requires_torch = "torch==2.11.*";
    settings.provenance.tree.checkout = {
        folder.path(), "https://host/x", "main", "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5", false, {}};
    settings.provenance.plan.archs = parse_arch_list("8.9 12.0+PTX");
    settings.provenance.plan.dropped = {{"pkg._b", "pkg/_b.so", "no target for 8.9"}};
  }
  nlohmann::json read(const fs::path& wheel) const {
    return nlohmann::json::parse(
        run_checked({.argv = {"python3", "-c", std::string(kReadWheel), wheel.string()}}, "unsound wheel").output);
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
        "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0+cu130torch2.11.gd1a57a5\nRequires-Dist: torchvision\n"
        "Requires-Dist: torch==2.11.*\n\nVersion: of the text\n");
  CHECK(seen["wheel"].get<std::string>().ends_with("Root-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64\n"));
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
  CHECK(world.read(pack_wheel(world.settings).path)["times"][0] == nlohmann::json({2023, 11, 14, 22, 13, 20}));
  setenv("SOURCE_DATE_EPOCH", "soon", 1);
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error, says("SOURCE_DATE_EPOCH, which is 'soon'"));
  unsetenv("SOURCE_DATE_EPOCH");
}

TEST_CASE("provenance names source, architectures and what was left out, and no folder of this machine") {
  World world;
  const std::string text = provenance_json(world.settings.provenance);
  const auto document = nlohmann::json::parse(text);
  CHECK(document["schema"] == "sagebuild.provenance/1");
  CHECK(document["source"]["commit"] == "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5");
  CHECK(document["archs"] == "8.9 12.0+PTX");
  CHECK(document["left_out"][0]["name"] == "pkg._b");
  CHECK(text.find(world.folder.path().string()) == std::string::npos);
  world.settings.provenance.tree.checkout.location = world.folder.path();
  CHECK(provenance_json(world.settings.provenance).find(world.folder.path().string()) == std::string::npos);
}

TEST_CASE("the label tells wheels of different torch, CUDA and commit apart") {
  PythonEnv python;
  python.torch = TorchInfo{"2.11.0+cu130", {2, 11, 0}, {13, 0}, "", true};
  CHECK(local_version_label(python, {.commit = "d1a57a546c3d"}) == "cu130torch2.11.gd1a57a5");
  CHECK(local_version_label(python, {.commit = "d1a57a546c3d", .dirty = true}) == "cu130torch2.11.gd1a57a5.dirty");
  CHECK(local_version_label(python, {}) == "cu130torch2.11");
}

TEST_CASE(
    "a module that the recorded wheel has no place for, and a damaged wheel, are refused; nothing is half-written") {
  World world;
  world.settings.modules["pkg/_new.so"] = world.folder.path() / "a.so";
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error, says("no place for 'pkg/_new.so'"));
  CHECK_FALSE(fs::exists(world.settings.output));
  write_file(world.settings.recorded, "no zip");
  CHECK_THROWS_MATCHES(pack_wheel(world.settings), Error, says("cannot read the wheel"));
}

}  // namespace sagebuild
