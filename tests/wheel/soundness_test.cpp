#include <fstream>

#include "sagebuild/sys/files.hpp"
#include "sagebuild/wheel/reader.hpp"
#include "support/catch.hpp"
#include "support/wheel_factory.hpp"

namespace sagebuild {
namespace {

const std::string kName =
    "sage_x-1.0+cu130torch2.11.gd1a57a5-cp39-abi3-manylinux_2_28_x86_64.manylinux2014_x86_64.whl";
const std::string kInfo = "sage_x-1.0+cu130torch2.11.gd1a57a5.dist-info";

// The sound content, changed by `edit`; with a RECORD that is true for it.
template <class Edit>
std::filesystem::path edited(const TempDir& folder, Edit edit) {
  WheelContent content = wheel_content(kName, "payload");
  edit(content);
  return write_wheel(folder.path(), kName, content);
}

std::string faults_of(const std::filesystem::path& path) {
  try {
    require_sound_wheel(path);
    return "";
  } catch (const Error& error) {
    return error.rendered();
  }
}

}  // namespace

TEST_CASE("which Pythons a wheel's tags are for") {
  const auto is_for = [](const std::string& tags, const Version& python, const std::string& own) {
    const std::string file = "pkg-1.0-" + tags + "-linux_x86_64.whl";
    return is_for_python(parse_wheel_name(file).value(), python, own);
  };
  const Version here{3, 11, 2};
  CHECK(is_for("cp311-cp311", here, "cp311"));
  CHECK(is_for("cp310.cp311-cp310.cp311", here, "cp311"));
  CHECK(is_for("cp311-none", here, "cp311"));
  CHECK(is_for("cp39-abi3", here, "cp311"));
  CHECK(is_for("py3-none", here, "cp311"));
  CHECK(is_for("py2.py3-none", here, "cp311"));
  CHECK(is_for("cp313-cp313t", {3, 13}, "cp313t"));
  CHECK_FALSE(is_for("cp312-cp312", here, "cp311"));
  CHECK_FALSE(is_for("cp310-none", here, "cp311"));
  CHECK_FALSE(is_for("cp312-abi3", here, "cp311"));
  CHECK_FALSE(is_for("py2-none", here, "cp311"));
  CHECK_FALSE(is_for("cp313-cp313t", {3, 13}, "cp313"));
  CHECK_FALSE(is_for("cp313-cp313", {3, 13}, "cp313t"));
  CHECK_FALSE(is_for("cp39-abi3", {3, 13}, "cp313t"));
}

TEST_CASE("the parts of a wheel's name") {
  const WheelName name = parse_wheel_name(kName).value();
  CHECK(name.distribution == "sage_x");
  CHECK(name.version == "1.0+cu130torch2.11.gd1a57a5");
  CHECK(name.local_label() == "cu130torch2.11.gd1a57a5");
  CHECK(expanded_tags(name) == std::vector<std::string>{"cp39-abi3-manylinux_2_28_x86_64",
                                                        "cp39-abi3-manylinux2014_x86_64"});
  CHECK(cuda_of_label(name.local_label()) == Version{13, 0});
  CHECK(torch_of_label(name.local_label()) == Version{2, 11});
  CHECK(parse_wheel_name("a-1-2build-py3-none-any.whl")->build == "2build");
  CHECK(cuda_of_label("torch2.8cu128") == Version{12, 8});
  CHECK(cuda_of_label("cu12torch2.6cxx11abifalse") == Version{12});
  CHECK(cuda_of_label("cu92") == Version{9, 2});
  CHECK_FALSE(cuda_of_label("cutorch"));
  CHECK_FALSE(torch_of_label("cu130"));
  for (const char* bad :
       {"a.whl", "a-1-py3-none-any.zip", "a-1-py3-none.whl", "a-1-x-py3-none-any.whl",
        "a--py3-none-any.whl", "a-x-py3-none-any.whl", "a b-1-py3-none-any.whl",
        "../a-1-py3-none-any.whl", "a-1-py3-none-..whl", "a-1-py3..py2-none-any.whl",
        "a-1-py3-.none-any.whl", "a-1-1-py3-none-any-x.whl", "\xc3\xa9-1-py3-none-any.whl"}) {
    CHECK_FALSE(parse_wheel_name(bad));
  }
}

TEST_CASE("a sound wheel is read: its metadata, its provenance, its entries") {
  const TempDir folder;
  const SoundWheel wheel =
      require_sound_wheel(make_wheel(folder.path(), kName, 3'000'000, 1, R"({"archs":"8.0"})"));
  CHECK(metadata_field(wheel.metadata, "name") == "sage_x");
  CHECK(wheel.provenance == R"({"archs":"8.0"})");
  const WheelReader reader(folder.path() / kName);
  CHECK(reader.dist_info() == kInfo);
  CHECK(reader.entries().front().size == 3'000'000);
  CHECK((reader.entries().front().mode & 0111) != 0);
  CHECK_THROWS_MATCHES(reader.read("nothing"), Error, says("no such file"));
  CHECK_THROWS_MATCHES(reader.read("sage_x/_module.so", 1000), Error, says("larger than"));
}

TEST_CASE("RECORD is CSV, and fields of METADATA end at the first empty line") {
  const auto lines = parse_record("\"a,\"\"b\",sha256=xyz,12\r\nc/RECORD,,\nbroken\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].name == "a,\"b");
  CHECK(lines[0].sha256 == "xyz");
  CHECK(lines[0].size == 12);
  CHECK(lines[1].sha256.empty());
  CHECK_FALSE(lines[1].size);
  CHECK(metadata_fields("Tag: a\nTAG: b\n\nTag: c\n", "tag") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("every fault of a wheel is named, all at once") {
  const TempDir folder;
  const auto replace = [](WheelContent& content, const std::string& name, const std::string& text) {
    for (auto& [entry, value] : content) {
      if (entry == name) value.content = text;
    }
  };
  CHECK(faults_of(edited(folder, [](WheelContent&) {})).empty());
  const std::string two = faults_of(edited(folder, [&](WheelContent& content) {
    replace(content, kInfo + "/METADATA", "Name: other\nVersion: 2.0\n");
    replace(content, kInfo + "/WHEEL", "Tag: cp39-abi3-linux_x86_64\n");
  }));
  CHECK(two.find("METADATA has the name 'other'") != std::string::npos);
  CHECK(two.find("METADATA has the version '2.0'") != std::string::npos);
  CHECK(two.find("WHEEL has the tags 'cp39-abi3-linux_x86_64'") != std::string::npos);
  CHECK(faults_of(edited(folder, [&](WheelContent& content) {
          replace(content, kInfo + "/METADATA",
                  "Name: Sage.X\nVersion: 1.0+CU130torch2-11_gd1a57a5\n");
        })).empty());
  CHECK(faults_of(edited(folder, [](WheelContent& content) {
          content.push_back({"../up", {"x"}});
        })).find("outside its place") != std::string::npos);
  CHECK(faults_of(edited(folder, [](WheelContent& content) {
          content.push_back({"SAGE_X/_module.so", {"x"}});
        })).find("only in case") != std::string::npos);
  CHECK(faults_of(edited(folder, [](WheelContent& content) {
          content.push_back({"b-1.dist-info/x", {"x"}});
        })).find("2 .dist-info folders") != std::string::npos);
  CHECK(faults_of(edited(folder, [](WheelContent& content) {
          content.erase(content.begin() + 1);
        })).find("no such file") != std::string::npos);
}

TEST_CASE("a field of METADATA that may stand once stands once") {
  const TempDir folder;
  WheelContent content = wheel_content(kName, "payload");
  const auto of = [&](const std::string& more) {
    std::string& text = content[1].second.content;
    text += more;
    return read_wheel(WheelReader(write_wheel(folder.path(), kName, content)), kName)
        .faults.metadata;
  };
  CHECK(of("Requires-Dist: a\nRequires-Dist: b\n").empty());
  const auto faults = of("name: other\n");
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].starts_with("METADATA has Name 2 times: '"));
  CHECK(faults[0].ends_with("', 'other'"));
}

TEST_CASE("RECORD must be true, whole and about this archive alone") {
  const TempDir folder;
  const auto path = folder.path() / kName;
  WheelContent content = wheel_content(kName, "payload");
  const std::string record = record_of(content, kInfo);
  const auto with_record = [&](std::string text) {
    WheelContent all = content;
    all.push_back({kInfo + "/RECORD", {std::move(text)}});
    write_zip(path, all, 1'700'000'000);
    return faults_of(path);
  };
  CHECK(with_record(record).empty());
  CHECK(with_record(record.substr(record.find('\n') + 1))
            .find("RECORD does not list 'sage_x/_module.so'") != std::string::npos);
  CHECK(with_record(record + "ghost.py,sha256=x,1\n").find("lists 'ghost.py', which is not") !=
        std::string::npos);
  CHECK(with_record(record + record).find("twice") != std::string::npos);
  content[0].second.content = "Payload";
  CHECK(with_record(record).find("has not the hash") != std::string::npos);
}

TEST_CASE("a damaged archive is refused, wherever the damage is") {
  const TempDir folder;
  const auto path = make_wheel(folder.path(), kName, 5000, 1);
  const std::string sound = read_file(path);
  write_file(path, sound.substr(0, sound.size() / 2));
  CHECK(faults_of(path).find("not a sound wheel") != std::string::npos);
  write_file(path, "");
  CHECK(faults_of(path).find("not a sound wheel") != std::string::npos);
  for (std::size_t at = 50; at < sound.size(); at += 97) {
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    write_file(path, damaged);
    const bool in_time_or_attributes = faults_of(path).empty();
    INFO(at);
    // Of the few bytes that carry no content (times, versions) a change may pass; the content
    // itself never changes.
    if (in_time_or_attributes) CHECK(WheelReader(path).entries().front().size > 0);
    if (at < 5000) CHECK_FALSE(in_time_or_attributes);
  }
}

}  // namespace sagebuild
