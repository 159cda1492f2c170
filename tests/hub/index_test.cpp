#include "sagebuild/hub/index.hpp"

#include "sagebuild/hub/token.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
const IndexPlace kPlace = {"https://hub.example", {"model", "me/wheels"}, "main"};
const std::string kName = "sage-1.0+cu130torch2.11-cp311-cp311-linux_x86_64.whl";

RemoteFile lfs_file(const std::string& content) { return {content.size(), "", sha256(content)}; }

}  // namespace

TEST_CASE(
    "the table is added once, replaced between its markers, and the user's words stay byte for "
    "byte") {
  const std::map<std::string, RemoteFile> wheels = {{"whl/" + kName, lfs_file("a")}};
  const Index first =
      make_index(wheels, {}, "", "---\nlicense: mit\n---\n# Mine\nno line end", kPlace);
  CHECK(first.readme.starts_with("---\nlicense: mit\n---\n# Mine\nno line end\n\n<!--"));
  CHECK(first.readme.find("[" + kName +
                          "](https://hub.example/me/wheels/resolve/main/whl/sage-1.0%2Bcu130") !=
        std::string::npos);
  const std::string with_tail = first.readme + "\nAnd a tail.\n";
  const Index second = make_index({{"whl/" + kName, lfs_file("a")}, {kName, lfs_file("b")}}, {},
                                  first.wheels_json, with_tail, kPlace);
  CHECK(second.readme.ends_with("-->\n\nAnd a tail.\n"));
  CHECK(second.readme.find("no line end\n\n<!--") != std::string::npos);
  const Index third = make_index({{"whl/" + kName, lfs_file("a")}, {kName, lfs_file("b")}}, {},
                                 second.wheels_json, second.readme, kPlace);
  CHECK(third.readme == second.readme);
  CHECK(third.wheels_json == second.wheels_json);
  CHECK(make_index(wheels, {}, "", "", kPlace).readme.starts_with("# wheels\n\n"));
}

TEST_CASE("damaged markers leave the README alone, with a warning") {
  const std::map<std::string, RemoteFile> wheels = {{kName, lfs_file("a")}};
  for (const std::string& text :
       {std::string(kTableBegin) + "\nmine",
        std::string(kTableEnd) + "\n" + std::string(kTableBegin),
        std::string(kTableBegin) + std::string(kTableBegin) + std::string(kTableEnd)}) {
    const Index index = make_index(wheels, {}, "", text, kPlace);
    CHECK(index.readme == text);
    CHECK(index.warning.find("damaged") != std::string::npos);
  }
}

TEST_CASE("a known row stays while its bytes do, and goes with its wheel") {
  const WheelRows rows = {{kName, json{{"architectures", {"8.0"}}}}};
  const Index first = make_index({{kName, lfs_file("a")}}, rows, "", "", kPlace);
  const Index kept = make_index({{kName, lfs_file("a")}}, {}, first.wheels_json, "", kPlace);
  CHECK(json::parse(kept.wheels_json)["wheels"][0]["architectures"] == json({"8.0"}));
  const Index replaced = make_index({{kName, lfs_file("b")}}, {}, first.wheels_json, "", kPlace);
  CHECK_FALSE(json::parse(replaced.wheels_json)["wheels"][0].contains("architectures"));
  CHECK(replaced.sha256_sums == sha256("b").hex() + "  " + kName + "\n");
  CHECK(
      json::parse(make_index({}, {}, first.wheels_json, "", kPlace).wheels_json)["wheels"].empty());
  const Index repaired = make_index({{kName, lfs_file("a")}}, {}, "<html>", "", kPlace);
  CHECK(json::parse(repaired.wheels_json)["wheels"].size() == 1);
  CHECK(repaired.warning.find("wheels.json") != std::string::npos);
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
