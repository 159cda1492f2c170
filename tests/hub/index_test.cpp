#include "sagebuild/hub/index.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
const IndexPlace kPlace = {"https://hub.example", {"model", "me/wheels"}, "main"};
const std::string kName = "sage-1.0+cu130torch2.11-cp311-cp311-linux_x86_64.whl";

ObjectId object(const std::string& content) { return {sha256(content), content.size()}; }

// The index files once more, as the next run finds them.
PresentFiles present_after(const Index& index) {
  PresentFiles present;
  for (const auto& [path, content] : index.files) present[path] = content;
  return present;
}

json rows_in(const Index& index) { return json::parse(index.files.at(kWheelsJson))["wheels"]; }

bool warns_of(const Index& index, std::string_view text) {
  return std::ranges::any_of(index.warnings, [&](const std::string& warning) {
    return warning.find(text) != std::string::npos;
  });
}

}  // namespace

TEST_CASE(
    "the table is added once, replaced between its markers, and the user's words stay byte for "
    "byte") {
  const ShelfWheels wheels = {{"whl/" + kName, object("a")}};
  const Index first =
      make_index(wheels, {}, {{kReadme, "---\nlicense: mit\n---\n# Mine\nno line end"}}, kPlace);
  const std::string& readme = first.files.at(kReadme);
  CHECK(readme.starts_with("---\nlicense: mit\n---\n# Mine\nno line end\n\n<!--"));
  CHECK(readme.find("[" + kName +
                    "](https://hub.example/me/wheels/resolve/main/whl/sage-1.0%2Bcu130") !=
        std::string::npos);
  PresentFiles present = present_after(first);
  *present[kReadme] += "\nAnd a tail.\n";
  const ShelfWheels two = {{"whl/" + kName, object("a")}, {kName, object("b")}};
  const Index second = make_index(two, {}, present, kPlace);
  CHECK(second.files.at(kReadme).ends_with("-->\n\nAnd a tail.\n"));
  CHECK(second.files.at(kReadme).find("no line end\n\n<!--") != std::string::npos);
  const Index third = make_index(two, {}, present_after(second), kPlace);
  CHECK(third.files == second.files);
  CHECK(third.warnings.empty());
}

TEST_CASE(
    "a new README has front matter, an install line and the markers; --no-readme makes none") {
  const Index index = make_index({{kName, object("a")}}, {}, {}, kPlace);
  const std::string& readme = index.files.at(kReadme);
  CHECK(readme.starts_with("---\ntags:\n- cuda\n"));
  CHECK(readme.find("\n---\n\n# wheels\n\n<!--") != std::string::npos);
  CHECK(readme.find("pip install \"https://hub.example/me/wheels/resolve/main/sage-1.0%2Bcu130torch"
                    "2.11-cp311-cp311-linux_x86_64.whl#sha256=" +
                    sha256("a").hex() + "\"") != std::string::npos);
  const Index space =
      make_index({{kName, object("a")}}, {}, {}, {"https://hub.example", {"space", "me/page"}});
  CHECK(space.files.at(kReadme).find("sdk: static\n") != std::string::npos);
  const Index without = make_index({{kName, object("a")}}, {}, {}, kPlace, {.with_readme = false});
  CHECK_FALSE(without.files.contains(kReadme));
  CHECK(without.files.contains(kWheelsJson));
}

TEST_CASE("the table is sorted by version as numbers, newest first, with all its columns") {
  ShelfWheels wheels;
  for (const char* version : {"2.9", "2.10", "2.10rc1"}) {
    for (const char* label : {"+cu128torch2.9", "+cu130torch2.11"}) {
      for (const char* python : {"cp39", "cp310"}) {
        const std::string name =
            fmt::format("sage-{}{}-{}-{}-linux_x86_64.whl", version, label, python, python);
        wheels[name] = object(name);
      }
    }
  }
  const Index index = make_index(
      wheels,
      {{"sage-2.9+cu128torch2.9-cp39-cp39-linux_x86_64.whl",
        json{{"python", "cp39"}, {"architectures", {"8.0", "9.0"}}, {"version", "2.9"}}}},
      {}, kPlace);
  const std::string& readme = index.files.at(kReadme);
  CHECK(readme.find("| wheel | torch | CUDA | Python | GPUs | platform | size | sha256 |\n") !=
        std::string::npos);
  std::vector<std::string> order;
  for (const std::string_view line : lines_of(readme)) {
    if (line.starts_with("| [")) order.emplace_back(line.substr(3, line.find(']') - 3));
  }
  REQUIRE(order.size() == 12);
  CHECK(order[0].starts_with("sage-2.10+cu130torch2.11-cp310"));
  CHECK(order[1].starts_with("sage-2.10+cu130torch2.11-cp39"));
  CHECK(order[2].starts_with("sage-2.10+cu128torch2.9-cp310"));
  CHECK(order[4].starts_with("sage-2.10rc1+cu130"));
  CHECK(order[8].starts_with("sage-2.9+cu130"));
  CHECK(order[11] == "sage-2.9+cu128torch2.9-cp39-cp39-linux_x86_64.whl");
  CHECK(readme.find(" | 8.0 9.0 | linux\\_x86") == std::string::npos);
  CHECK(readme.find(" | 8.0 9.0 | linux_x86_64 | 49 B | " + sha256(order[11]).hex() + " |\n") !=
        std::string::npos);
}

TEST_CASE(
    "damaged markers leave the README alone, with a warning; --force-index drops them alone") {
  const ShelfWheels wheels = {{kName, object("a")}};
  for (const std::string& text :
       {std::string(kTableBegin) + "\nmine",
        std::string(kTableEnd) + "\nmine" + std::string(kTableBegin),
        std::string(kTableBegin) + std::string(kTableBegin) + "mine" + std::string(kTableEnd)}) {
    const Index index = make_index(wheels, {}, {{kReadme, text}}, kPlace);
    CHECK_FALSE(index.files.contains(kReadme));
    CHECK(warns_of(index, "damaged"));
    const Index forced = make_index(wheels, {}, {{kReadme, text}}, kPlace, {.force = true});
    CHECK(forced.files.at(kReadme).find("mine") != std::string::npos);
    CHECK(make_index(wheels, {}, present_after(forced), kPlace).files == forced.files);
  }
}

TEST_CASE("a row is believed while size and digest are the wheel's, and goes with it") {
  const WheelRows rows = {{kName, json{{"architectures", {"8.0"}}}}};
  const Index first = make_index({{kName, object("a")}}, rows, {}, kPlace);
  const Index kept = make_index({{kName, object("a")}}, {}, present_after(first), kPlace);
  CHECK(rows_in(kept)[0]["architectures"] == json({"8.0"}));
  for (const auto& [key, value] : {std::pair<const char*, json>{"size", 2},
                                   {"size", "1"},
                                   {"sha256", sha256("b").hex()},
                                   {"sha256", nullptr}}) {
    PresentFiles present = present_after(first);
    json document = json::parse(*present[kWheelsJson]);
    document["wheels"][0][key] = value;
    present[kWheelsJson] = document.dump();
    const Index again = make_index({{kName, object("a")}}, {}, present, kPlace);
    CHECK_FALSE(rows_in(again)[0].contains("architectures"));
    CHECK(rows_in(again)[0]["size"] == 1);
    CHECK(rows_in(again)[0]["sha256"] == sha256("a").hex());
  }
  const Index replaced = make_index({{kName, object("b")}}, {}, present_after(first), kPlace);
  CHECK_FALSE(rows_in(replaced)[0].contains("architectures"));
  CHECK(replaced.files.at(kSha256Sums) == sha256("b").hex() + "  " + kName + "\n");
  CHECK(rows_in(make_index({}, {}, present_after(first), kPlace)).empty());
}

TEST_CASE("a wheels.json that is not ours stays as it is; --force-index replaces it") {
  const ShelfWheels wheels = {{kName, object("a")}};
  const std::string deep =
      R"({"schema":"sagebuild.wheels/1","wheels":)" + std::string(100'000, '[');
  for (const std::string& text :
       {std::string("<html>"), std::string("[]"), std::string("{}"), std::string("{\"wheels\":[]}"),
        std::string(R"({"schema":"other/1","wheels":[]})"),
        std::string(R"({"schema":"sagebuild.wheels/2","wheels":{}})"), deep, std::string()}) {
    const Index index = make_index(wheels, {}, {{kWheelsJson, text}}, kPlace);
    CHECK_FALSE(index.files.contains(kWheelsJson));
    CHECK(warns_of(index, "'wheels.json' in the repository is not one of sagebuild's"));
    CHECK(index.files.contains(kSha256Sums));
    const Index forced = make_index(wheels, {}, {{kWheelsJson, text}}, kPlace, {.force = true});
    CHECK(rows_in(forced).size() == 1);
  }
  const Index unread = make_index(wheels, {}, {{kWheelsJson, std::nullopt}}, kPlace);
  CHECK_FALSE(unread.files.contains(kWheelsJson));
}

TEST_CASE("keys, rows and a schema of a newer version, and rows of others, survive") {
  const json foreign = {{"file", "data.bin"}, {"size", 3}},
             elsewhere = {{"url", "https://x/y.whl"}};
  const json document = {
      {"schema", "sagebuild.wheels/2"},
      {"channels", {"stable"}},
      {"wheels",
       {foreign,
        {{"file", kName}, {"size", 1}, {"sha256", sha256("a").hex()}, {"tested_on", {"H100"}}},
        elsewhere,
        7,
        {{"file", "gone-1.0-py3-none-any.whl"}}}}};
  const Index index =
      make_index({{kName, object("a")}, {"b-1.0-py3-none-any.whl", object("b")}},
                 {{kName, json{{"torch", "2.11.0"}}}}, {{kWheelsJson, document.dump()}}, kPlace);
  const json made = json::parse(index.files.at(kWheelsJson));
  CHECK(made["schema"] == "sagebuild.wheels/2");
  CHECK(made["channels"] == json({"stable"}));
  REQUIRE(made["wheels"].size() == 5);
  CHECK(made["wheels"][1]["tested_on"] == json({"H100"}));
  CHECK(made["wheels"][1]["torch"] == "2.11.0");
  CHECK(made["wheels"][2] == foreign);
  CHECK(made["wheels"][3] == elsewhere);
  CHECK(made["wheels"][4] == 7);
}

TEST_CASE("a hand-written SHA256SUMS keeps its other lines, or is left alone") {
  const ShelfWheels wheels = {{kName, object("a")}};
  const std::string other = sha256("x").hex() + "  data.bin\n";
  const std::string wrong = sha256("z").hex() + " *./" + kName + "\n";
  const Index index = make_index(
      wheels, {}, {{kSha256Sums, "# mine\n" + other + wrong + sha256("y").hex() + "  old.whl\n"}},
      kPlace);
  CHECK(index.files.at(kSha256Sums) ==
        "# mine\n" + other + sha256("a").hex() + "  " + kName + "\n");
  CHECK(make_index(wheels, {}, present_after(index), kPlace).files == index.files);
  for (const std::string& text : {std::string("SHA256 (data.bin) = 12\n"), std::string("see below"),
                                  sha256("x").hex() + "\n", std::string("\0\1", 2)}) {
    const Index alone = make_index(wheels, {}, {{kSha256Sums, text}}, kPlace);
    CHECK_FALSE(alone.files.contains(kSha256Sums));
    CHECK(warns_of(alone, "'SHA256SUMS' in the repository is not a list"));
    const Index forced = make_index(wheels, {}, {{kSha256Sums, text}}, kPlace, {.force = true});
    CHECK(forced.files.at(kSha256Sums) == sha256("a").hex() + "  " + kName + "\n");
  }
}

TEST_CASE("names and metadata cannot forge a row, a sum or a marker") {
  const std::string pipe = "a|b[x](evil)-1.0-py3-none-any.whl";
  const std::string broken = "a\n" + sha256("evil").hex() + "  b-1.0-py3-none-any.whl";
  const Index index =
      make_index({{pipe, object("a")}, {broken, object("b")}, {"back\\slash.whl", object("c")}},
                 {{pipe, json{{"torch", "2.11\n| forged | row |\n" + std::string(kTableEnd)},
                              {"architectures", {"8.0|9.0", 7, nullptr, {{"a", 1}}}},
                              {"cuda", {{"an", "object"}}}}}},
                 {}, kPlace);
  CHECK(index.warnings.size() == 2);
  CHECK(warns_of(index, "left out of the index"));
  CHECK(index.files.at(kSha256Sums) == sha256("a").hex() + "  " + pipe + "\n");
  CHECK(rows_in(index).size() == 1);
  const std::string& readme = index.files.at(kReadme);
  CHECK(readme.find("a\\|b\\[x\\](evil)") != std::string::npos);
  CHECK(readme.find("\n| forged") == std::string::npos);
  CHECK(readme.find("8.0\\|9.0 7 |") != std::string::npos);
  CHECK(make_index({{pipe, object("a")}}, {}, present_after(index), kPlace).warnings.empty());
  CHECK_NOTHROW(make_index({{kName, object("a")}}, {{kName, json{{"torch", "\xff"}}}}, {}, kPlace));
}

TEST_CASE(".gitattributes keeps wheels in LFS by one line, and whoever has decided keeps it so") {
  const ShelfWheels wheels = {{kName, object("a")}};
  const std::string line = "*.whl filter=lfs diff=lfs merge=lfs -text\n";
  const auto made = [&](PresentFiles present) {
    return make_index(wheels, {}, present, kPlace).files.at(kAttributes);
  };
  CHECK(made({}) == line);
  CHECK(made({{kAttributes, "*.bin filter=lfs"}}) == "*.bin filter=lfs\n" + line);
  CHECK(made({{kAttributes, line}}) == line);
  CHECK(made({{kAttributes, "*.whl -filter\n"}}) == "*.whl -filter\n");
}

TEST_CASE("the token is found in the documented order and never printed") {
  const TempDir folder;
  const auto set = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  for (const char* name :
       {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"})
    ::unsetenv(name);
  set("XDG_CACHE_HOME", folder.path());
  CHECK(find_hub_token({}).secret.empty());
  make_folders(folder.path() / "huggingface");
  write_file(folder.path() / "huggingface" / "token", "  from-login\r\n");
  CHECK(find_hub_token({}).secret.reveal() == "from-login");
  write_file(folder.path() / "token", "from-home");
  set("HF_HOME", folder.path());
  CHECK(find_hub_token({}).secret.reveal() == "from-home");
  write_file(folder.path() / "other", "from-path");
  set("HF_TOKEN_PATH", folder.path() / "other");
  CHECK(find_hub_token({}).secret.reveal() == "from-path");
  set("HUGGING_FACE_HUB_TOKEN", "from-old-name");
  CHECK(find_hub_token({}).secret.reveal() == "from-old-name");
  set("HF_TOKEN", "  ");
  CHECK(find_hub_token({}).origin == "HUGGING_FACE_HUB_TOKEN");
  set("HF_TOKEN", "from-variable");
  CHECK(find_hub_token({}).secret.reveal() == "from-variable");
  CHECK(find_hub_token(folder.path() / "token").secret.reveal() == "from-home");
  CHECK_THROWS_MATCHES(find_hub_token(folder.path() / "missing"), Error,
                       says("there is no token file"));
  write_file(folder.path() / "empty", "\n");
  CHECK_THROWS_MATCHES(find_hub_token(folder.path() / "empty"), Error, says("is empty"));
  set("HF_TOKEN", "two\nlines");
  CHECK_THROWS_MATCHES(find_hub_token({}), Error, says("control characters"));
  for (const char* name :
       {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"})
    ::unsetenv(name);
}

TEST_CASE("a plain http endpoint is for this machine only") {
  const auto endpoint = [](const char* value) {
    ::setenv("HF_ENDPOINT", value, 1);
    const std::string result = hub_endpoint();
    ::unsetenv("HF_ENDPOINT");
    return result;
  };
  CHECK(endpoint("https://hub.example///") == "https://hub.example");
  CHECK(endpoint("http://127.0.0.1:80") == "http://127.0.0.1:80");
  CHECK_THROWS_MATCHES(endpoint("http://hub.example"), Error, says("plain http"));
  CHECK_THROWS_MATCHES(endpoint("hub"), Error, says("not an http"));
  ::unsetenv("HF_ENDPOINT");
  CHECK(hub_endpoint() == "https://huggingface.co");
}

}  // namespace sagebuild
