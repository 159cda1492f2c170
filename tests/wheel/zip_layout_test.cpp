#include "wheel/zip_layout.hpp"

#include <chrono>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/wheel/reader.hpp"
#include "support/catch.hpp"
#include "support/gpu_files.hpp"
#include "support/wheel_factory.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kLocalSize = 30, kCentralSize = 46;

struct MadeEntry {
  std::string name;
  std::string content = "x";
  std::string local_name = {};  // instead of the name
  std::uint32_t mode = 0100644;
  std::uint16_t flags = 0;
};

std::uint32_t crc_of(const std::string& text) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

// A stored archive as APPNOTE.TXT has it; `between` stands before the directory, `behind` at the
// end.
std::string zip_of(const std::vector<MadeEntry>& entries, const std::string& between = "",
                   const std::string& behind = "") {
  std::string body, directory;
  for (const MadeEntry& entry : entries) {
    const std::string& local = entry.local_name.empty() ? entry.name : entry.local_name;
    const auto size = static_cast<std::uint32_t>(entry.content.size());
    const auto offset = static_cast<std::uint32_t>(body.size());
    const std::string common = bytes_of(std::uint16_t{20}) + bytes_of(entry.flags) +
                               std::string(6, '\0') + bytes_of(crc_of(entry.content)) +
                               bytes_of(size) + bytes_of(size);
    body += "PK\x03\x04" + common + bytes_of(static_cast<std::uint16_t>(local.size())) +
            std::string(2, '\0') + local + entry.content;
    directory += std::string("PK\x01\x02\x14\x03", 6) + common +
                 bytes_of(static_cast<std::uint16_t>(entry.name.size())) + std::string(8, '\0') +
                 bytes_of(entry.mode << 16U) + bytes_of(offset) + entry.name;
  }
  body += between;
  const auto count = static_cast<std::uint16_t>(entries.size());
  return body + directory + "PK\x05\x06" + std::string(4, '\0') + bytes_of(count) +
         bytes_of(count) + bytes_of(static_cast<std::uint32_t>(directory.size())) +
         bytes_of(static_cast<std::uint32_t>(body.size())) + std::string(2, '\0') + behind;
}

std::string faults_of(const std::string& bytes) {
  const TempDir folder;
  write_file(folder.path() / "x.whl", bytes);
  try {
    return join(zip_faults(folder.path() / "x.whl"), "\n");
  } catch (const Error& error) {
    return "refused: " + join(error.causes, "\n");
  }
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("an archive that says the same everywhere has no faults") {
  CHECK(faults_of(zip_of({{"a/b.py"}, {"c-1.dist-info/RECORD", ""}})).empty());
  const TempDir folder;
  const auto wheel = make_wheel(folder.path(), "a-1.0-py3-none-any.whl", 100'000);
  CHECK(zip_faults(wheel).empty());
}

TEST_CASE("names that lead outside, links, twins and what is no text") {
  for (const char* name : {"../up", "/root", "a/../../b", "a\\b", "a//b", "./a", "c:/x", ""})
    CHECK(has(faults_of(zip_of({{name}})), "outside its place"));
  CHECK(has(faults_of(zip_of({{"a"}, {"a"}})), "twice"));
  CHECK(has(faults_of(zip_of({{"a"}, {"A"}})), "only in case"));
  CHECK(has(faults_of(zip_of({{"a", "x", "", 0120777}})), "symbolic link"));
  CHECK(has(faults_of(zip_of({{"\xff"}})), "no UTF-8"));
  CHECK(has(faults_of(zip_of({{"a\nb"}})), "control characters"));
  CHECK(has(faults_of(zip_of({{"a", "x", "", 0100644, 1}})), "encrypted"));
}

TEST_CASE("headers that disagree, and bytes that belong to nothing") {
  CHECK(has(faults_of(zip_of({{"a", "x", "b"}})), "another entry in the archive's directory"));
  CHECK(has(faults_of(zip_of({{"a"}}, "hidden")), "6 bytes before the directory"));
  CHECK(has(faults_of(zip_of({{"a"}}, "", "tail")), "4 bytes follow the end"));
  CHECK(has(faults_of(zip_of({{"a"}}) + zip_of({{"b"}})), "more than one end record"));
  CHECK(has(faults_of("prefix" + zip_of({{"a"}})), "refused"));
  std::string commented = zip_of({{"a"}}, "", "hello");
  commented[commented.size() - 7] = 5;
  CHECK(has(faults_of(commented), "comment"));
}

TEST_CASE("a bomb is refused before anything is unpacked") {
  // Every entry of the directory names the same bytes.
  std::string overlapping = zip_of({{"a", std::string(1000, 'x')}, {"b", std::string(1000, 'x')}});
  const auto second = overlapping.rfind("PK\x01\x02");
  const std::uint32_t zero = 0;
  std::memcpy(overlapping.data() + second + 42, &zero, 4);
  CHECK(has(faults_of(overlapping), "refused: 'b' lies over another entry"));

  std::string large = zip_of({{"a"}});
  const std::uint32_t size = 0xfffffff0;
  std::memcpy(large.data() + large.rfind("PK\x01\x02") + 24, &size, 4);
  CHECK(has(faults_of(large), "refused: it says that it unpacks to 4.3 GB"));

  std::string many = zip_of({{"a"}});
  const std::string end64 = std::string("PK\x06\x06", 4) + bytes_of(std::uint64_t{44}) +
                            std::string(12, '\0') + bytes_of(std::uint64_t{10'000'000}) +
                            bytes_of(std::uint64_t{10'000'000}) + bytes_of(std::uint64_t{46}) +
                            bytes_of(std::uint64_t{0});
  const auto end = many.rfind("PK\x05\x06");
  many.insert(end, end64 + std::string("PK\x06\x07", 4) + std::string(4, '\0') +
                       bytes_of(std::uint64_t{end}) + bytes_of(std::uint32_t{1}));
  CHECK(has(faults_of(many), "refused: it says 10000000 entries"));
}

TEST_CASE(
    "cut off anywhere, a wheel is refused; with any header byte changed, it is read or told") {
  const TempDir folder;
  const auto path = make_wheel(folder.path(), "a-1.0-py3-none-any.whl", 300);
  const std::string sound = read_file(path);
  const auto read = [&] {
    const WheelReader wheel(path);
    return read_wheel(wheel, wheel.path().filename().string()).faults.all().size();
  };
  for (std::size_t size = 0; size < sound.size(); ++size) {
    write_file(path, sound.substr(0, size));
    CHECK_THROWS_AS(read(), Error);
  }
  std::size_t passed = 0;
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::string changed = sound;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    write_file(path, changed);
    try {
      passed += read() == 0 ? 1U : 0U;
    } catch (const Error&) {
    }
  }
  // Times, versions and attributes carry no content.
  CHECK(passed < sound.size() / 8);
}

TEST_CASE("METADATA and RECORD of any size and any bytes are told") {
  const TempDir folder;
  const std::string name = "a-1.0-py3-none-any.whl", info = "a-1.0.dist-info";
  const auto faults_with = [&](const std::string& file, const std::string& text) {
    WheelContent content = wheel_content(name, "payload");
    for (auto& [entry, value] : content)
      if (entry == info + "/" + file) value.content = text;
    const WheelReader wheel(write_wheel(folder.path(), name, content));
    return join(read_wheel(wheel, wheel.path().filename().string()).faults.all(), "\n");
  };
  const std::string sound = "Metadata-Version: 2.1\r\nName: a\r\nVersion: 1.0\r\n";
  CHECK(faults_with("METADATA", sound).empty());
  CHECK(has(faults_with("METADATA", sound + "Summary: \xff\n"), "METADATA is not UTF-8"));
  CHECK(has(faults_with("METADATA", sound + std::string(100'000'000, '\n')), "larger than"));
  CHECK(has(faults_with("METADATA", ""), "METADATA has the name ''"));
  CHECK(has(faults_with("WHEEL", "Tag: py2-none-any\n"), "WHEEL has the tags"));
}

}  // namespace
}  // namespace sagebuild
