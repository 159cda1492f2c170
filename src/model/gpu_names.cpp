#include "gpu_names.hpp"

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// Source: NVIDIA's table of compute capabilities, developer.nvidia.com/cuda-gpus, and for older
// models developer.nvidia.com/cuda-legacy-gpus; what people call a model otherwise ("rtx6000pro")
// stands beside it. Written without blanks, '-' and '_'. "RTX 6000" alone is not here: there are
// three, of 7.5, 8.9 and 12.0.
struct Models {
  std::string_view capability;
  std::string_view names;
};
constexpr std::array kModels = {
    Models{"7.0", "v100 v100s titanv gv100 quadrogv100"},
    Models{"7.2", "xavier agxxavier xaviernx"},
    Models{"7.5",
           "t4 t4g t400 t500 t600 t1000 t1200 titanrtx quadrortx3000 quadrortx4000 quadrortx5000 "
           "quadrortx6000 "
           "quadrortx8000 rtx8000 gtx1630 gtx1650 gtx1650super gtx1650ti gtx1660 gtx1660super "
           "gtx1660ti rtx2060 "
           "rtx2060super rtx2070 rtx2070super rtx2080 rtx2080super rtx2080ti"},
    Models{"8.0", "a100 a100x a800 a30 a30x"},
    Models{"8.6",
           "a2 a10 a10g a10m a16 a40 rtxa400 rtxa500 rtxa1000 rtxa2000 rtxa3000 rtxa4000 rtxa4500 "
           "rtxa5000 rtxa5500 "
           "rtxa6000 a400 a500 a1000 a2000 a3000 a4000 a4500 a5000 a5500 a6000 mx570 rtx2050 "
           "rtx3050 rtx3050ti "
           "rtx3060 rtx3060ti rtx3070 rtx3070ti rtx3080 rtx3080ti rtx3090 rtx3090ti"},
    Models{"8.7", "orin agxorin orinnx orinnano"},
    Models{"8.9",
           "l2 l4 l20 l40 l40g l40s rtx500ada rtx1000ada rtx2000ada rtx3000ada rtx3500ada "
           "rtx4000ada rtx4000sffada "
           "rtx4500ada rtx5000ada rtx5880ada rtx6000ada rtx4050 rtx4060 rtx4060ti rtx4070 "
           "rtx4070super rtx4070ti "
           "rtx4070tisuper rtx4080 rtx4080super rtx4090 rtx4090d"},
    Models{"9.0", "h100 h200 h20 h800 gh200"},
    Models{"10.0", "b100 b200 gb200"},
    Models{"10.3", "b300 gb300"},
    Models{"11.0", "thor agxthor t4000 t5000 jetsont4000 jetsont5000"},
    Models{"12.0",
           "rtx5050 rtx5060 rtx5060ti rtx5070 rtx5070ti rtx5080 rtx5090 rtx5090d rtxpro500 "
           "rtxpro1000 rtxpro2000 "
           "rtxpro3000 rtxpro4000 rtxpro4500 rtxpro5000 rtxpro6000 rtx2000pro rtx4000pro "
           "rtx4500pro rtx5000pro "
           "rtx6000pro"},
    Models{"12.1", "gb10 dgxspark spark"},
};

// What stands around a model's name and changes nothing of its capability.
constexpr std::array<std::string_view, 6> kBefore = {"nvidia", "geforce", "tesla",
                                                     "quadro", "jetson",  "hgx"};
// Of memory sizes the longer first: "4gb" ends "24gb", too.
constexpr std::array<std::string_view, 38> kBehind = {
    "gpu",        "laptop", "mobile",    "maxq",  "edition", "workstation", "server", "16gb",
    "generation", "nvl",    "blackwell", "pcie",  "sxm",     "sxm2",        "sxm4",   "sxm5",
    "sxm6",       "hbm2e",  "hbm3",      "hbm3e", "141gb",   "144gb",       "288gb",  "480gb",
    "10gb",       "11gb",   "12gb",      "20gb",  "24gb",    "32gb",        "40gb",   "48gb",
    "64gb",       "72gb",   "80gb",      "96gb",  "6gb",     "8gb"};

// Takes one of the words off the end.
bool take_word_behind(std::string_view& name) {
  const auto behind =
      std::ranges::find_if(kBehind, [&](std::string_view word) { return name.ends_with(word); });
  if (behind != kBehind.end()) name.remove_suffix(behind->size());
  return behind != kBehind.end();
}

std::string_view exact(std::string_view name) {
  for (const auto& [capability, names] : kModels) {
    for (const std::string_view known : split(names, " ")) {
      // "5090" is an RTX 5090, "a6000" stands in the table, "100" is no model.
      const bool number_alone =
          known.starts_with("rtx") && known.size() > 6 && known.substr(3) == name;
      if (known == name || number_alone) return capability;
    }
  }
  return "";
}

std::string squeezed(std::string_view name) {
  std::string text;
  for (const char c : lower(name)) {
    if (std::string_view(" \t_-").find(c) == std::string_view::npos) text += c;
  }
  return text;
}

}  // namespace

std::string capability_of_gpu(std::string_view name) {
  const std::string text = squeezed(name);
  for (std::string_view rest = text; !rest.empty();) {
    for (std::string_view core = rest; !core.empty();) {
      if (const auto capability = exact(core); !capability.empty()) return std::string(capability);
      if (!take_word_behind(core)) break;
    }
    const auto before = std::ranges::find_if(
        kBefore, [&](std::string_view word) { return rest.starts_with(word); });
    if (before == kBefore.end()) break;
    rest.remove_prefix(before->size());
  }
  return "";
}

std::vector<std::string> gpu_names() {
  std::vector<std::string> all;
  for (const Models& models : kModels) {
    for (const std::string_view name : split(models.names, " ")) all.emplace_back(name);
  }
  return all;
}

}  // namespace sagebuild
