#include "sagebuild/verify/torch_symbols.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kSchema = "torch-symbols/1\n";
constexpr std::size_t kHashBytes = 6;
constexpr std::size_t kMaskBytes = 4;

[[noreturn]] void fail(const std::string& reason) {
  throw Error(ErrorKind::failed, "cannot read the list of torch's symbols (data/torch-symbols.zip)",
              {reason}, "install sagebuild again");
}

std::uint64_t number_of(std::string_view symbol) {
  const Digest digest = sha256(symbol);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kHashBytes; ++i) number = number << 8U | digest.bytes.at(i);
  return number;
}

// The numbers of `count` bytes each, in planes of the first bytes, the second ones and so on.
std::vector<std::uint64_t> numbers_of(std::string_view planes, std::size_t count) {
  std::vector<std::uint64_t> numbers(planes.size() / count);
  for (std::size_t i = 0; i < planes.size(); ++i)
    numbers[i % numbers.size()] |= std::uint64_t{static_cast<unsigned char>(planes[i])}
                                   << 8U * (i / numbers.size());
  return numbers;
}

// What other libraries bring, none of which has a symbol of torch.
bool is_of_system_or_torch(std::string_view library) {
  constexpr std::array<std::string_view, 19> kKnown = {
      "libc10",   "libtorch", "libcaffe2",    "libshm",   "libcu",    "libnv", "libc.so",
      "libm.so",  "libmvec",  "libpthread",   "libdl.so", "librt",    "libz.", "libgcc_s",
      "libgomp.", "ld-linux", "libstdc++.so", "libutil",  "libpython"};
  return std::ranges::any_of(kKnown, [&](auto prefix) { return library.starts_with(prefix); });
}

bool is_for_another_device(const ModuleFacts& module) {
  return std::ranges::any_of(module.needed, [](const std::string& library) {
    return library.find("_hip.so") != std::string::npos ||
           library.find("_xpu.so") != std::string::npos || library.starts_with("libamdhip") ||
           library.starts_with("libtorch_npu");
  });
}

}  // namespace

bool is_exported_by_torch(std::string_view name) {
  for (const std::string_view prefix : {"THP", "aoti_torch_", "torch_"})
    if (name.starts_with(prefix)) return true;
  constexpr std::array<std::string_view, 4> kNamespaces = {"3c10", "2at", "5torch", "6caffe2"};
  const auto is_in = [&](std::string_view rest) {
    return std::ranges::any_of(kNamespaces, [&](auto one) { return rest.starts_with(one); });
  };
  if (!take_prefix(name, "_Z")) return false;
  if (take_prefix(name, "N8pybind116detail11type_casterIN")) return is_in(name);
  // "_Z16THPVariable_WrapN2at10TensorBaseE"
  const auto word = name.find_first_not_of("0123456789");
  if (word != 0 && word != std::string_view::npos) return name.substr(word).starts_with("THP");
  // "TV", "TI" and the like: a table of virtual functions, a type; "GV", "GR": a guard.
  if (name.size() > 2 && ((name[0] == 'T' && name[1] >= 'A' && name[1] <= 'Z') ||
                          (name[0] == 'G' && (name[1] == 'V' || name[1] == 'R'))))
    name.remove_prefix(2);
  if (!take_prefix(name, "N")) return false;
  name.remove_prefix(std::min(name.find_first_not_of("rVK"), name.size()));
  if (name.starts_with('R') || name.starts_with('O')) name.remove_prefix(1);
  return is_in(name);
}

TorchSymbols::TorchSymbols(std::string_view content) {
  std::string_view rest = content;
  const auto end = rest.find('\n', kSchema.size());
  if (!take_prefix(rest, kSchema) || end == std::string_view::npos) fail("it has another schema");
  for (const std::string_view name : split(rest.substr(0, end - kSchema.size()), " "))
    releases_.push_back(parse_version(name).value_or(Version{}));
  rest.remove_prefix(std::min(end - kSchema.size() + 1 + sizeof(std::uint32_t), rest.size()));
  if (releases_.size() > 8 * kMaskBytes || rest.size() % (kHashBytes + kMaskBytes) != 0)
    fail("it ends early");
  const std::size_t count = rest.size() / (kHashBytes + kMaskBytes);
  const auto steps = numbers_of(rest.substr(0, count * kHashBytes), kHashBytes);
  const auto masks = numbers_of(rest.substr(count * kHashBytes), kMaskBytes);
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < count; ++i) {
    hash += steps[i];
    symbols_.emplace_back(hash, static_cast<Releases>(masks[i]));
  }
  for (std::size_t i = 0; i < releases_.size(); ++i)
    if (releases_[i] < Version{2, 7}) of_both_abis_ |= Releases{1} << i;
}

TorchSymbols::TorchSymbols(Version release, const std::vector<std::string>& exported)
    : releases_{std::move(release)} {
  for (const std::string& symbol : exported)
    if (is_exported_by_torch(symbol)) symbols_.emplace_back(number_of(symbol), 1);
  std::ranges::sort(symbols_);
}

Releases TorchSymbols::all() const {
  return static_cast<Releases>((std::uint64_t{1} << releases_.size()) - 1);
}

Releases TorchSymbols::exporters(std::string_view symbol) const {
  const std::uint64_t hash = number_of(symbol);
  const auto found =
      std::ranges::lower_bound(symbols_, hash, {}, [](const auto& one) { return one.first; });
  const Releases has = found != symbols_.end() && found->first == hash ? found->second : 0;
  return symbol.find("cxx11") == std::string_view::npos ? has : has | of_both_abis_;
}

std::string TorchSymbols::text(Releases some) const {
  const auto has = [&](std::size_t i) { return (some >> i & 1U) != 0; };
  // Whether all releases of its minor version are among them.
  const auto name = [&](std::size_t i) {
    const std::string minor = releases_[i].major_minor();
    for (std::size_t other = 0; other < releases_.size(); ++other)
      if (releases_[other].major_minor() == minor && !has(other)) return releases_[i].text();
    return minor;
  };
  std::vector<std::string> ranges;
  for (std::size_t begin = 0; begin < releases_.size(); ++begin) {
    if (!has(begin)) continue;
    std::size_t last = begin;
    while (last + 1 < releases_.size() && has(last + 1)) ++last;
    const std::string first = name(begin), end = name(last);
    ranges.push_back(first == end ? first : fmt::format("{} to {}", first, end));
    begin = last;
  }
  return join(ranges, ", ");
}

std::vector<std::string> wanted_of_torch(const WheelFacts& wheel, const ModuleFacts& module) {
  std::vector<std::string> wanted;
  if (!module.is_linked || module.machine != EM_X86_64 || is_for_another_device(module))
    return wanted;
  const auto has = [](const ModuleFacts& other, const std::string& symbol) {
    return std::ranges::binary_search(other.torch_exports, symbol);
  };
  for (const auto* symbols : {&module.torch_symbols, &module.shim_symbols}) {
    for (const std::string& symbol : *symbols) {
      const bool is_own = std::ranges::any_of(
          wheel.modules, [&](const ModuleFacts& other) { return has(other, symbol); });
      if (is_exported_by_torch(symbol) && !is_own) wanted.push_back(symbol);
    }
  }
  return wanted;
}

std::vector<std::string> other_libraries(const WheelFacts& wheel, const ModuleFacts& module) {
  std::vector<std::string> others;
  for (const std::string& library : module.needed)
    if (!holds(wheel.modules, library) && !is_of_system_or_torch(library))
      others.push_back(library);
  return others;
}

std::optional<Releases> fitting_releases(const WheelFacts& wheel, const TorchSymbols& torch) {
  std::optional<Releases> fitting;
  for (const ModuleFacts& module : wheel.modules)
    for (const std::string& symbol : wanted_of_torch(wheel, module))
      fitting = fitting.value_or(torch.all()) & torch.exporters(symbol);
  return fitting;
}

}  // namespace sagebuild
