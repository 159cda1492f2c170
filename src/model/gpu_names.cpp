#include "gpu_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// Written without blanks, '-' and '_'. Every row was held against NVIDIA's tables of compute
// capabilities (developer.nvidia.com/cuda-gpus and developer.nvidia.com/cuda-legacy-gpus); what
// they leave out (laptops, A800, H20, L20, GTX 16, MX, CMP) against the chip that the PCI ID
// repository (github.com/pciutils/pciids, 2026-08-22) names, since a capability is its chip's.
// What people call a model otherwise ("rtx6000pro") stands beside it. The old ones are here to be
// told that the toolkit no longer knows them, not that they are misspelt.
struct Models {
  std::string_view capability;
  std::string_view names;
};
constexpr std::array kModels = {
    Models{"3.5",
           "k20 k20c k20m k20x k40 k40c k40m gtx780 gtx780ti gtxtitan gtxtitanblack gtxtitanz"},
    Models{"3.7", "k80"},
    Models{"5.0", "gtx750 gtx750ti gtx950m gtx960m k620 k1200 k2200"},
    Models{"5.2",
           "m40 m60 m2000 m4000 m5000 m6000 gtx950 gtx960 gtx970 gtx970m gtx980 gtx980m "
           "gtx980ti gtxtitanx"},
    Models{"5.3", "jetsonnano tx1 jetsontx1"},
    Models{"6.0", "p100 gp100"},
    Models{"6.1",
           "p4 p40 p400 p500 p520 p600 p620 p1000 p2000 p2200 p3000 p3200 p4000 p4200 p5000 "
           "p5200 p6000 gt1030 gtx1050 gtx1050ti gtx1060 gtx1070 gtx1070ti gtx1080 gtx1080ti "
           "titanx titanxp"},
    Models{"6.2", "tx2 jetsontx2"},
    Models{"7.0", "v100 v100s titanv gv100 cmp100210"},
    Models{"7.2", "xavier agxxavier xaviernx"},
    Models{"7.5",
           "t4 t4g t10 t40 t400 t400e t500 t550 t600 t1000 t1200 t2000 titanrtx quadrortx3000 "
           "quadrortx4000 quadrortx5000 quadrortx6000 quadrortx8000 mx450 mx550 cmp30hx "
           "cmp40hx cmp50hx gtx1630 gtx1650 gtx1650super gtx1650ti gtx1660 gtx1660super "
           "gtx1660ti rtx2060 rtx2060super rtx2070 rtx2070super rtx2080 rtx2080super "
           "rtx2080ti"},
    Models{"8.0", "a100 a100x a800 ax800 a30 a30x cmp170hx"},
    Models{"8.6",
           "a2 a10 a10g a10m a16 a40 rtxa400 rtxa500 rtxa1000 rtxa2000 rtxa3000 rtxa4000 "
           "rtxa4500 rtxa5000 rtxa5500 rtxa6000 a400 a500 a1000 a2000 a3000 a4000 a4500 a5000 "
           "a5500 a6000 mx570 cmp70hx cmp90hx rtx2050 rtx3050 rtx3050ti rtx3060 rtx3060ti "
           "rtx3070 rtx3070ti rtx3080 rtx3080ti rtx3090 rtx3090ti"},
    Models{"8.7", "orin agxorin orinnx orinnano orinnanosuper"},
    Models{"8.9",
           "l2 l4 l16 l20 l30 l40 l40g l40s rtx500ada rtx1000ada rtx2000ada rtx2000eada "
           "rtx3000ada rtx3500ada rtx4000ada rtx4000sffada rtx4500ada rtx5000ada rtx5880ada "
           "rtx6000ada rtx3050a rtx4050 rtx4060 rtx4060ti rtx4070 rtx4070super rtx4070ti "
           "rtx4070tisuper rtx4080 rtx4080super rtx4090 rtx4090d"},
    Models{"9.0", "h100 h200 h20 h800 gh200"},
    Models{"10.0", "b100 b200 gb200"},
    Models{"10.3", "b300 gb300"},
    Models{"11.0", "thor agxthor t4000 t5000 jetsont4000 jetsont5000"},
    Models{"12.0",
           "rtx5050 rtx5060 rtx5060ti rtx5070 rtx5070ti rtx5080 rtx5090 rtx5090d rtx5090dv2 "
           "rtxpro500 rtxpro1000 rtxpro2000 rtxpro3000 rtxpro4000 rtxpro4500 rtxpro5000 "
           "rtxpro6000 rtxpro6000d rtx6000d rtx2000pro rtx4000pro rtx4500pro rtx5000pro "
           "rtx6000pro rtx2000blackwell rtx4000blackwell rtx4500blackwell rtx5000blackwell "
           "rtx6000blackwell"},
    Models{"12.1", "gb10 dgxspark spark rtxspark rtxsparkn1x n1x"},
};

// Of three lines of workstation cards the names differ by the words around the number only.
struct Line {
  std::string_view before;
  std::string_view behind;
  std::string_view shown_before;
  std::string_view shown_behind;
};
constexpr std::array kLines = {
    Line{"quadrortx", "", "Quadro RTX ", ""},
    Line{"rtx", "ada", "RTX ", " Ada"},
    Line{"rtxpro", "", "RTX PRO ", ""},
};

// What stands around a model's name and changes nothing of its capability.
constexpr std::array<std::string_view, 9> kBefore = {
    "nvidia", "geforce", "tesla", "quadro", "jetson", "grid", "hgx", "dgxstation", "dgx"};
constexpr std::array<std::string_view, 31> kBehind = {
    "gpu",       "laptop",     "mobile", "maxq",  "embedded", "edition", "workstation", "server",
    "blackwell", "generation", "sff",    "oem",   "active",   "nvl",     "nvl4",        "nvl72",
    "pcie",      "sxm",        "sxm2",   "sxm3",  "sxm4",     "sxm5",    "sxm6",        "ac",
    "hbm2",      "hbm2e",      "hbm3",   "hbm3e", "gddr6x",   "cnx",     "fhhl"};

// Capabilities by name. "5090" is an RTX 5090, "pro6000" an RTX PRO 6000, "a6000" stands in the
// table; "100" is no model, and a TITAN is not a GTX TITAN.
std::map<std::string_view, std::string_view> capabilities_by_name() {
  std::map<std::string_view, std::string_view> all;
  for (const auto& [capability, names] : kModels) {
    for (const std::string_view known : split(names, " ")) {
      all.try_emplace(known, capability);
      const bool has_line = known.starts_with("rtx") || known.starts_with("gtx");
      const std::string_view rest = has_line ? known.substr(3) : "";
      if (rest.size() > 3 && !rest.starts_with("titan")) all.try_emplace(rest, capability);
    }
  }
  return all;
}

std::string_view exact(std::string_view name) {
  static const std::map<std::string_view, std::string_view> known = capabilities_by_name();
  const auto found = known.find(name);
  return found == known.end() ? "" : found->second;
}

// "6000" of "rtx6000" and of "6000".
std::string_view number_of(std::string_view name) {
  const bool has_line = take_prefix(name, "rtx");
  const bool is_number = name.find_first_not_of("0123456789") == std::string_view::npos;
  return is_number && (has_line || name.size() == 4) ? name : "";
}

std::vector<GpuModel> models_called(std::string_view name) {
  if (const auto capability = exact(name); !capability.empty())
    return {{std::string(name), std::string(capability)}};
  std::vector<GpuModel> models;
  const std::string_view number = number_of(name);
  if (number.empty()) return models;
  for (const Line& line : kLines) {
    const auto capability = exact(fmt::format("{}{}{}", line.before, number, line.behind));
    if (capability.empty()) continue;
    models.push_back({fmt::format("{}{}{}", line.shown_before, number, line.shown_behind),
                      std::string(capability)});
  }
  return models;
}

std::vector<GpuModel> without_words_behind(std::string_view name);

// "a10080gb" is an A100 of 80 GB: where the model's number ends is only known from the table.
std::vector<GpuModel> without_memory(std::string_view name) {
  if (!name.ends_with("gb") && !name.ends_with('g')) return {};
  name.remove_suffix(name.ends_with("gb") ? 2 : 1);
  constexpr std::size_t kMostDigits = 3;
  for (std::size_t count = 1; count <= std::min(kMostDigits, name.size()); ++count) {
    const std::string_view size = name.substr(name.size() - count);
    if (size.find_first_not_of("0123456789") != std::string_view::npos) break;
    if (size.starts_with('0')) continue;
    auto models = without_words_behind(name.substr(0, name.size() - count));
    if (!models.empty()) return models;
  }
  return {};
}

std::vector<GpuModel> without_words_behind(std::string_view name) {
  std::vector<GpuModel> models = models_called(name);
  for (const std::string_view word : kBehind) {
    if (!models.empty()) return models;
    if (name.ends_with(word))
      models = without_words_behind(name.substr(0, name.size() - word.size()));
  }
  return models.empty() ? without_memory(name) : models;
}

std::string squeezed(std::string_view name) {
  std::string text;
  for (const char c : lower(name)) {
    if (std::string_view(" \t_-").find(c) == std::string_view::npos) text += c;
  }
  return text;
}

}  // namespace

std::vector<GpuModel> gpus_called(std::string_view name) {
  const std::string text = squeezed(name);
  for (std::string_view rest = text; !rest.empty();) {
    auto models = without_words_behind(rest);
    if (!models.empty()) return models;
    const auto before = std::ranges::find_if(
        kBefore, [&](std::string_view word) { return rest.starts_with(word); });
    if (before == kBefore.end()) break;
    rest.remove_prefix(before->size());
  }
  return {};
}

bool begins_gpu_name(std::string_view word) {
  const std::string text = squeezed(word);
  return text == "rtx" || text == "gtx" || text == "titan" ||
         std::ranges::find(kBefore, text) != kBefore.end();
}

std::vector<std::string> gpu_names() {
  std::vector<std::string> all;
  for (const Models& models : kModels) {
    for (const std::string_view name : split(models.names, " ")) all.emplace_back(name);
  }
  return all;
}

}  // namespace sagebuild
