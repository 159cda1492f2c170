#include "sagebuild/model/arch.hpp"

#include <random>

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE("every spelling of an architecture list in use is read") {
  const ArchList ampere_to_blackwell = {{{8, 0}}, {{8, 6}}, {{9, 0}}, {{12, 0}, true, true}};
  // The forms that guides tell people to copy.
  CHECK(parse_arch_list("8.0 8.6 9.0 12.0+PTX") == ampere_to_blackwell);
  // A wheel of anybody's may hold such a list; found by fuzz_archs.
  std::string endless;
  for (int i = 0; i < 100'000; ++i) endless += "8.0 ";
  CHECK_THROWS_AS(parse_arch_list(endless), Error);
  CHECK(parse_arch_list("8.0;8.6,9.0; 12.0+PTX;") == ampere_to_blackwell);
  CHECK(parse_arch_list("sm_80;sm_86;sm_90;compute_120;sm_120") == ampere_to_blackwell);
  CHECK(print(parse_arch_list(
            "compute_80;sm_80;compute_86;sm_86;compute_90;sm_90;compute_120;sm_120")) ==
        "8.0+PTX 8.6+PTX 9.0+PTX 12.0+PTX");
  CHECK(print(parse_arch_list("12.0")) == "12.0");
  CHECK(print(parse_arch_list("12.0+PTX")) == "12.0+PTX");
  CHECK(print(parse_arch_list("120 90a 12.0f compute_100")) == "9.0a compute_100 12.0 12.0f");
  CHECK(print(parse_arch_list("Ampere;Ada RTX5090,h100")) == "8.0 8.6+PTX 8.9+PTX 9.0 12.0");
  CHECK(print(parse_arch_list("hopper+ptx Blackwell+Tegra")) == "9.0+PTX 11.0");
  CHECK(print(parse_arch_list("8.9 8.9 8.9+ptx")) == "8.9+PTX");
}

TEST_CASE("GPUs are known as people write them") {
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {"RTX 5090", "12.0"},
      {"rtx_5090", "12.0"},
      {"5090", "12.0"},
      {"rtx-5090", "12.0"},
      {"rtx5090laptop", "12.0"},
      {"NVIDIA GeForce RTX 5090 Laptop GPU", "12.0"},
      {"rtx4070tisuper", "8.9"},
      {"RTX 4070 Ti SUPER", "8.9"},
      {"4070 ti", "8.9"},
      {"rtxa6000", "8.6"},
      {"A6000", "8.6"},
      {"RTX 6000 Ada Generation", "8.9"},
      {"rtx6000pro", "12.0"},
      {"NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "12.0"},
      {"l40s", "8.9"},
      {"a10g", "8.6"},
      {"gb10", "12.1"},
      {"dgxspark", "12.1"},
      {"DGX Spark", "12.1"},
      {"h200", "9.0"},
      {"h100 pcie", "9.0"},
      {"A100 80GB PCIe", "8.0"},
      {"A100-SXM4-80GB", "8.0"},
      {"NVIDIA H100 80GB HBM3", "9.0"},
      {"NVIDIA GH200 480GB", "9.0"},
      {"NVIDIA GeForce RTX 3060 12GB", "8.6"},
      {"b300", "10.3"},
      {"sm120", "12.0"},
      {"SM_120", "12.0"},
      {"12", "12.0"},
      {"9", "9.0"},
      {"compute120", "compute_120"},
      {"12.0 PTX", "12.0+PTX"},
      {"12.0 +ptx", "12.0+PTX"},
      {"RTX 5090 PTX", "12.0+PTX"},
      {"rtx5090+ptx", "12.0+PTX"},
      {"3090 4090 RTX 5090", "8.6 8.9 12.0"},
      {"RTX 3090, RTX 4070 Ti; h100", "8.6 8.9 9.0"},
      {"8.0 90 a", ""},
      {"100 120", "10.0 12.0"},
      {"l4 l40", "8.9"},
      // What nvidia-smi calls them.
      {"Tesla V100-SXM2-32GB", "7.0"},
      {"Quadro RTX 6000", "7.5"},
      {"NVIDIA TITAN RTX", "7.5"},
      {"NVIDIA RTX 4000 SFF Ada Generation", "8.9"},
      {"NVIDIA RTX PRO 4000 Blackwell SFF Edition", "12.0"},
      {"NVIDIA RTX PRO 3000 Blackwell Generation Laptop GPU", "12.0"},
      {"NVIDIA GeForce RTX 3050 6GB Laptop GPU", "8.6"},
      {"NVIDIA GH200 144G HBM3e", "9.0"},
      {"NVIDIA B300 SXM6 AC", "10.3"},
      {"NVIDIA Thor", "11.0"},
      {"Jetson Orin Nano Super", "8.7"},
      {"NVIDIA GB10", "12.1"},
      {"RTX Spark N1X", "12.1"},
      {"GB200 NVL72", "10.0"},
      {"DGX Station GB300", "10.3"},
      // A chip of another generation under the name of a known one.
      {"RTX 3050 A Laptop GPU", "8.9"},
      {"RTX 6000D", "12.0"},
      {"RTX 6000 Blackwell", "12.0"},
      {"PRO 6000", "12.0"},
      // One model alone has the number.
      {"RTX 5880", "8.9"},
      {"rtx8000", "7.5"},
      {"L40 48GB", "8.9"},
      {"A10 24GB", "8.6"},
      {"a100-80g", "8.0"},
      {"RTX 2080 Ti 22GB", "7.5"},
      // Known, so that the toolkit can say that it is too old.
      {"GTX 1080 Ti", "6.1"},
      {"TITAN X", "6.1"},
      {"GTX TITAN X", "5.2"},
      {"Tesla P100", "6.0"},
      {"K80", "3.7"},
      {"Jetson Nano", "5.3"}};
  for (const auto& [text, list] : spellings) {
    INFO(text);
    if (list.empty())
      CHECK_THROWS_AS(parse_arch_list(text), Error);
    else
      CHECK(print(parse_arch_list(text)) == list);
  }
}

TEST_CASE("a name of GPUs of several generations is refused, with all of them") {
  for (const char* name : {"RTX 6000", "rtx6000", "6000", "NVIDIA RTX-6000 48GB", "8.0 RTX 6000"}) {
    INFO(name);
    CHECK_THROWS_MATCHES(
        parse_arch_list(name), Error,
        says("can be one of 3 GPUs: Quadro RTX 6000 (7.5), RTX 6000 Ada (8.9), RTX PRO 6000 (12.0)")
            .hints("say which, for example 'RTX PRO 6000' or '12.0'"));
  }
  CHECK_THROWS_MATCHES(parse_arch_list("RTX 6000"), Error, says("'RTX 6000' can be"));
  CHECK_THROWS_MATCHES(parse_arch_list("RTX 6000+PTX"), Error, says("'RTX 6000' can be"));
  CHECK_THROWS_MATCHES(parse_arch_list("RTX 4500 Laptop"), Error,
                       says("can be one of 2 GPUs: RTX 4500 Ada (8.9), RTX PRO 4500 (12.0)"));
}

TEST_CASE("a model that is not known is named whole") {
  CHECK_THROWS_MATCHES(parse_arch_list("8.0 RTX 5091 9.0"), Error,
                       says("unknown architecture 'RTX 5091'").hints("'rtx50"));
  CHECK_THROWS_MATCHES(parse_arch_list("NVIDIA GeForce RTX 9999"), Error,
                       says("unknown architecture 'NVIDIA GeForce RTX 9999'"));
  CHECK_THROWS_MATCHES(parse_arch_list("blackwel 8.0"), Error,
                       says("unknown architecture 'blackwel'").hints("'blackwell'"));
}

TEST_CASE("what is proposed instead is near") {
  const auto hint = [](const char* text) -> std::string {
    try {
      return print(parse_arch_list(text));
    } catch (const Error& error) {
      return error.hint;
    }
  };
  for (const char* far : {"xyz", "40", "gpu", "rtx", "nvidia", "axx"}) {
    INFO(far);
    CHECK(hint(far).starts_with("known are "));
  }
  CHECK(hint("rtx5091").starts_with("'rtx50"));
  CHECK(hint("alll").starts_with("'all' is the nearest"));
}

TEST_CASE("an unknown architecture is refused, with the nearest one") {
  CHECK_THROWS_MATCHES(parse_arch_list("8.0 12.2"), Error,
                       says("unknown architecture '12.2'").hints("'12.1' is the nearest"));
  CHECK_THROWS_MATCHES(parse_arch_list("blackwel"), Error, says("'blackwel'").hints("'blackwell'"));
  CHECK_THROWS_MATCHES(parse_arch_list("rtx5091"), Error, says("'rtx5091'").hints("rtx50"));
  CHECK_THROWS_MATCHES(parse_arch_list("1.20"), Error, says("unknown architecture '1.20'"));
  CHECK_THROWS_MATCHES(parse_arch_list("8.9a"), Error,
                       says("unknown architecture '8.9a'").hints("8.9"));
  CHECK_THROWS_MATCHES(parse_arch_list("9.0f"), Error, says("unknown architecture '9.0f'"));
  CHECK_THROWS_MATCHES(parse_arch_list(" ;, "), Error, says("no architecture in"));
  CHECK_THROWS_MATCHES(parse_arch_list("7.4 8.0"), Error,
                       says("unknown architecture '7.4'").hints("7.5"));
}

TEST_CASE("a list inherited from an image loses only what the code cannot serve") {
  const auto inherited = parse_inherited_arch_list("7.5 8.0 8.6 9.0 10.0 12.2 sm_130a 13.1+PTX");
  CHECK(inherited.dropped == std::vector<std::string>{"12.2", "sm_130a", "13.1+PTX"});
  CHECK(print(inherited.list) == "7.5 8.0 8.6 9.0 10.0");
  CHECK(parse_inherited_arch_list("13.0").list.empty());
  CHECK_THROWS_AS(parse_inherited_arch_list("8.0 nonsense"), Error);
}

TEST_CASE("each architecture knows its names and the toolkit that it needs") {
  const Arch hopper = parse_arch("sm_90a");
  CHECK(dotted(hopper) == "9.0a");
  CHECK(sm_name(hopper) == "sm_90a");
  CHECK(compute_name(hopper) == "compute_90a");
  CHECK(first_cuda({12, 0}) == Version{12, 8});
  CHECK(first_cuda({12, 1}) == Version{12, 9});
  CHECK(first_cuda({12, 0, ArchFeature::family}) == Version{12, 9});
  CHECK(removed_in_cuda({10, 1}) == Version{13, 0});
  CHECK_FALSE(removed_in_cuda({11, 0}));
  CHECK(removed_in_cuda({7, 0}) == Version{13, 0});
  CHECK_FALSE(removed_in_cuda({7, 5}));
}

TEST_CASE("what is printed is read back as the same list") {
  const std::vector<std::string> items = {"8.0",  "8.6",  "8.7",   "8.8",   "8.9",  "9.0",
                                          "9.0a", "10.0", "10.0a", "10.0f", "10.1", "10.3",
                                          "11.0", "12.0", "12.0f", "12.1a"};
  std::mt19937 random(20261123);
  for (int round = 0; round < 500; ++round) {
    ArchList list;
    for (const std::string& item : items) {
      const auto kind = random() % 4;
      if (kind == 0) continue;
      list.push_back({parse_arch(item), kind != 1, kind != 2});
    }
    if (list.empty()) continue;
    REQUIRE(parse_arch_list(print(list)) == list);
  }
}

TEST_CASE("versions compare by number") {
  CHECK(parse_version("2.11.0+cu130")->text() == "2.11.0");
  CHECK(*parse_version("2.11") > *parse_version("2.9.1"));
  CHECK(*parse_version("13") == *parse_version("13.0.0"));
  CHECK_FALSE(parse_version("main"));
}

}  // namespace sagebuild
