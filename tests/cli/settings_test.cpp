#include "sagebuild/cli/settings.hpp"

#include <nlohmann/json.hpp>

#include "sagebuild/cli/choices.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const std::vector<SettingSpec> kSpecs = {
    {"arch", "architectures", "", {"TORCH_CUDA_ARCH_LIST"}},
    {"output", "folder", "dist"},
    {"jobs", "steps at a time", "", {"MAX_JOBS"}},
    {"memory", "memory"},
    {"offline", "no network", "", {}, true},
};
const std::vector<std::string> kKnown = {"arch", "output", "jobs", "memory", "offline", "repo"};

struct File {
  TempDir folder;
  std::filesystem::path path = folder.path() / "sagebuild.toml";
  explicit File(std::string_view text) { write_file(path, text); }
};

}  // namespace

TEST_CASE(
    "a flag wins over the environment, that over the file, that over the default; each says where "
    "it came from") {
  const File file("arch = ['8.0', '8.6']\noutput = 'wheels'\njobs = 3\noffline = true\n");
  const Environment env = {
      {"SAGEBUILD_ARCH", "9.0"}, {"TORCH_CUDA_ARCH_LIST", "7.5"}, {"MAX_JOBS", "5"}};
  const auto merged = [&](std::map<std::string, std::string> flags, const Environment& variables) {
    return Settings::merge(kSpecs, flags, variables, file.path, kKnown);
  };
  CHECK(merged({{"arch", "12.0"}}, env).find("arch")->origin == "--arch");
  CHECK(merged({}, env).find("arch")->origin == "SAGEBUILD_ARCH");
  CHECK_FALSE(merged({}, env).find("arch")->is_foreign);
  CHECK(merged({}, {{"TORCH_CUDA_ARCH_LIST", "7.5"}}).find("arch")->is_foreign);
  CHECK(merged({}, {{"TORCH_CUDA_ARCH_LIST", "7.5"}}).find("arch")->origin ==
        "TORCH_CUDA_ARCH_LIST");
  CHECK(merged({}, {}).text("arch") == "8.0 8.6");
  CHECK(merged({}, {}).find("arch")->origin == file.path.string() + ":1");
  CHECK(merged({}, env).number("jobs") == 5U);
  CHECK(merged({}, {}).number("jobs") == 3U);
  CHECK(merged({}, {}).find("jobs")->origin == file.path.string() + ":3");
  CHECK(merged({}, {}).enabled("offline"));
  CHECK(Settings::merge(kSpecs, {}, {}, std::nullopt, kKnown).text("output") == "dist");
  CHECK(Settings::merge(kSpecs, {}, {{"SAGEBUILD_OUTPUT", ""}}, std::nullopt, kKnown)
            .text("output") == "dist");
  CHECK(merged({}, {}).table().find("output   wheels") != std::string::npos);
}

TEST_CASE(
    "a key of another command is fine in the file, an unknown one is refused with the nearest") {
  const File other("repo = 'a/b'\n");
  CHECK_NOTHROW(Settings::merge(kSpecs, {}, {}, other.path, kKnown));
  const File typo("ouptut = 'x'\n");
  CHECK_THROWS_MATCHES(Settings::merge(kSpecs, {}, {}, typo.path, kKnown), Error,
                       says("unknown key 'ouptut'").hints("'output'"));
}

TEST_CASE("where a name means something else than in other commands, only the flag counts") {
  const File file("output = 'wheels'\n");
  const std::vector<SettingSpec> specs = {{.name = "output", .help = "file", .flag_only = true}};
  const Environment env = {{"SAGEBUILD_OUTPUT", "out"}};
  CHECK_FALSE(Settings::merge(specs, {}, env, file.path, kKnown).find("output"));
  CHECK(Settings::merge(specs, {{"output", "x"}}, env, file.path, kKnown).text("output") == "x");
}

TEST_CASE("values are read as what they are, or refused with their origin") {
  const auto with = [](std::string name, std::string value) {
    return Settings::merge(kSpecs, {{std::move(name), std::move(value)}}, {}, std::nullopt, kKnown);
  };
  CHECK(with("memory", "4G").size("memory") == 4'000'000'000U);
  CHECK(with("memory", "512 MB").size("memory") == 512'000'000U);
  CHECK(with("memory", "1.5G").size("memory") == 1'500'000'000U);
  CHECK(with("memory", "2GiB").size("memory") == 2'147'483'648U);
  CHECK(with("memory", "16000000000").size("memory") == 16'000'000'000U);
  CHECK_THROWS_MATCHES(
      with("memory", "16").size("memory"), Error,
      says("'16' names no unit (memory, from --memory)").hints("write 16G for gigabytes"));
  for (const char* bad : {"-1G", "G", "1.5.2G", "1e3G", "nanG", "infG", "99999999999T"})
    CHECK_THROWS_MATCHES(with("memory", bad).size("memory"), Error,
                         says("is not a size such as 4G"));
  CHECK_THROWS_MATCHES(with("memory", "much").size("memory"), Error,
                       says("'much' is not a size such as 4G (memory, from --memory)"));
  CHECK_THROWS_MATCHES(with("jobs", "0").number("jobs"), Error,
                       says("'0' is not a whole number from 1"));
  CHECK_THROWS_MATCHES(with("offline", "maybe").enabled("offline"), Error,
                       says("'maybe' is not yes or no"));
  CHECK_FALSE(with("offline", "off").enabled("offline"));
}

TEST_CASE("a setting that may stand several times keeps each value whole") {
  const std::vector<SettingSpec> specs = {{.name = "env", .help = "variables", .is_list = true}};
  const auto words = [&](const Environment& env, const std::optional<std::filesystem::path>& file) {
    return Settings::merge(specs, {}, env, file, {"env"}).list("env");
  };
  const std::vector<std::string> expected = {"A=one two", "B"};
  CHECK(words({{"SAGEBUILD_ENV", "A=one two\nB"}}, std::nullopt) == expected);
  const File file("env = ['A=one two', 'B']\n");
  CHECK(words({}, file.path) == expected);
  CHECK(words({}, std::nullopt).empty());
}

TEST_CASE("a value of the file that is neither text nor a whole number is asked for as text") {
  const File file("arch = 8.6\n");
  CHECK_THROWS_MATCHES(Settings::merge(kSpecs, {}, {}, file.path, kKnown), Error,
                       says("'arch' must be a list of texts"));
}

TEST_CASE("all settings are shown, those that nobody set too") {
  const std::string table =
      Settings::merge(kSpecs, {{"jobs", "2"}}, {}, std::nullopt, kKnown).table();
  CHECK(table ==
        "arch     -     not set\noutput   dist  default\njobs     2     --jobs\nmemory   -     not "
        "set\n"
        "offline  -     not set\n");
}

TEST_CASE("what is shown of settings holds no secret, in the table and as JSON") {
  const std::vector<SettingSpec> specs = {{.name = "env", .help = "variables", .is_list = true}};
  const Settings settings =
      Settings::merge(specs, {{"env", "A=1\nMY_TOKEN=short\nB"}}, {}, std::nullopt, {"env"});
  CHECK(settings.table() == "env  A=1, MY_TOKEN=***, B  --env\n");
  const auto document = nlohmann::json::parse(settings.json());
  CHECK(document.at("schema") == "sagebuild.settings/1");
  CHECK(document.at("settings").at("env").at("value") == "A=1, MY_TOKEN=***, B");
  const Settings unset = Settings::merge(specs, {}, {}, std::nullopt, {"env"});
  CHECK(nlohmann::json::parse(unset.json()).at("settings").at("env").at("value").is_null());
}

TEST_CASE("a torch version is one before anything is fetched for it") {
  const std::vector<SettingSpec> specs = {{"python", ""},
                                          {"torch", ""},
                                          {"cuda", ""},
                                          {"index-url", ""},
                                          {"offline", "", "", {}, true}};
  const auto choice = [&](const std::string& torch) {
    return python_choice(Settings::merge(specs, {{"torch", torch}}, {}, std::nullopt, {}));
  };
  CHECK(choice("2.11").torch == "2.11");
  CHECK_THROWS_MATCHES(choice("abc"), Error, says("'abc' is no torch version"));
}

TEST_CASE("a variable of ours that no setting has is named, with the nearest that has one") {
  const auto unknown = unknown_variables({{"SAGEBUILD_ARCHS", "8.9"},
                                          {"SAGEBUILD_ARCH", "8.9"},
                                          {"SAGEBUILD_CACHE_DIR", "/x"},
                                          {"ARCHS", "x"}},
                                         kKnown);
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].name == "SAGEBUILD_ARCHS");
  CHECK(unknown[0].near == "SAGEBUILD_ARCH");
  // What all have in front brings no two of them near.
  CHECK(unknown_variables({{"SAGEBUILD_FOO", "1"}}, kKnown).at(0).near.empty());
}

}  // namespace sagebuild
