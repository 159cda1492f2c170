#include "gpu/image.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf_view.hpp"
#include "sagebuild/sys/file_bytes.hpp"

namespace sagebuild::gpu {
namespace {

constexpr unsigned kOldAbi = 7;       // of CUDA 12 up to sm_90; 8 is CUDA 13's, and sm_100's
constexpr unsigned kIsKernel = 0x10;  // in st_other
constexpr std::string_view kCode = ".text.";
// Since Volta an instruction is 16 bytes, and its opcode the low 12 bits. BPT is what __trap() and
// __brkpt() become, and code that the architecture lacks.
constexpr std::size_t kInstruction = 16;
constexpr std::uint64_t kOpcodeMask = 0xfff, kTrap = 0x95c;
constexpr Arch kFirstSass16 = {7, 0};

std::uint32_t traps_in(std::string_view code) {
  std::uint32_t traps = 0;
  for (std::size_t at = 0; at + kInstruction <= code.size(); at += kInstruction)
    traps += (value_at<std::uint64_t>(code, at) & kOpcodeMask) == kTrap ? 1U : 0U;
  return traps;
}

// The low and the high byte of e_flags hold it, by the ABI.
unsigned sm_of(const ElfIdentity& elf) {
  return elf.abi_version <= kOldAbi ? elf.flags & 0xffU : (elf.flags >> 8U) & 0xffU;
}

// CUDA 13 no longer sets the bit; `.nv.compat` says it there.
bool says_specific(const ElfIdentity& elf, const ElfView& view) {
  if ((elf.flags & (elf.abi_version <= kOldAbi ? 0x800U : 0x8U)) != 0) return true;
  const ElfSection* compat = view.section(".nv.compat");
  if (compat == nullptr) return false;
  const std::string_view bytes = view.content(*compat);
  for (std::size_t at = 0; at + 4 <= bytes.size();) {
    const auto format = value_at<std::uint8_t>(bytes, at);
    const auto attribute = value_at<std::uint8_t>(bytes, at + 1);
    const auto value = value_at<std::uint16_t>(bytes, at + 2);
    if (format == 2 && attribute == 9) return value == 1;
    at += 4 + (format == 4 ? value : 0U);
  }
  return false;
}

void read_toolkit(const ElfIdentity& elf, const ElfView& view, GpuImage& image) {
  if (elf.abi_version <= kOldAbi) {
    image.virtual_arch = static_cast<int>((elf.flags >> 16U) & 0xffU);
    if (elf.version > 1)
      image.toolkit = {static_cast<int>(elf.version / 10), static_cast<int>(elf.version % 10)};
    return;
  }
  // A note: three sizes and a padded name, then u16 version, u16 architecture, u32 toolkit.
  if (const ElfSection* info = view.section(".note.nv.cuinfo"); info != nullptr) {
    const std::string_view note = view.content(*info);
    const std::size_t at = 12 + ((std::size_t{value_at<std::uint32_t>(note, 0)} + 3U) & ~3ULL);
    image.virtual_arch = value_at<std::uint16_t>(note, at + 2);
    const auto toolkit = static_cast<int>(value_at<std::uint32_t>(note, at + 4) & 0xffffU);
    if (toolkit != 0) image.toolkit = {toolkit / 10, toolkit % 10};
  }
  if (const ElfSection* info = view.section(".note.nv.tkinfo");
      info != nullptr && image.toolkit.empty()) {
    const std::string_view text = view.content(*info);
    constexpr std::string_view kRelease = "release ";
    const auto at = text.find(kRelease);
    if (at != std::string_view::npos)
      image.toolkit = parse_version(text.substr(at + kRelease.size(), 5)).value_or(Version{});
  }
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The places of a word of PTX, which ends at a blank unless it ends itself.
std::vector<std::size_t> places_of(std::string_view text, std::string_view word) {
  std::vector<std::size_t> places;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || is_space(text[at - 1]) || text[at - 1] == ';' ||
                        text[at - 1] == '}' || text[at - 1] == '{' || text[at - 1] == ':';
    const auto end = at + word.size();
    const bool ends = word.ends_with(';') || (end < text.size() && is_space(text[end]));
    if (begins && ends) places.push_back(at);
  }
  return places;
}

std::string_view word_behind(std::string_view text, std::size_t at) {
  constexpr std::string_view kEnds = " \t\r\n(,;{";
  constexpr std::size_t kLongest = 4096;
  while (at < text.size() && is_space(text[at])) ++at;
  return text.substr(at, std::min(text.find_first_of(kEnds, at) - at, kLongest));
}

void add_kernel(GpuImage& image, std::string_view name, std::uint32_t traps, bool names) {
  if (name.empty()) name = "a device function";
  image.traps += traps;
  if (traps != 0) image.trapping.push_back({std::string(name), traps});
  if (names) image.all_kernels.push_back({std::string(name), traps});
}

}  // namespace

Arch arch_of_number(unsigned number) {
  return {static_cast<int>(number / 10), static_cast<int>(number % 10)};
}

std::vector<std::string> look_at_cubin(std::string_view bytes, bool names, GpuImage& image) {
  const ElfView view(bytes, "an image");
  const ElfIdentity elf = view.identity();
  if (elf.machine != kCudaMachine)
    throw Error(ErrorKind::failed, "it is no machine code for a GPU");
  std::vector<std::string> faults;
  const Arch arch = arch_of_number(sm_of(elf));
  if (arch.major != image.arch.major || arch.minor != image.arch.minor)
    faults.push_back(fmt::format("it is made for {}, and its header says {}", sm_name(arch),
                                 sm_name(image.arch)));
  if (image.arch.feature == ArchFeature::plain && says_specific(elf, view))
    image.arch.feature = ArchFeature::specific;
  read_toolkit(elf, view, image);

  std::set<std::string_view> kernels;
  view.each_symbol(SHT_SYMTAB, [&](const ElfSymbol& symbol) {
    const bool is_kernel = symbol.type == STT_FUNC && (symbol.other & kIsKernel) != 0;
    if (is_kernel && symbol.section != SHN_UNDEF) kernels.insert(symbol.name);
  });
  image.kernels = static_cast<std::uint32_t>(kernels.size());
  image.traps_known = Arch{image.arch.major, image.arch.minor} >= kFirstSass16;
  std::uint64_t looked_at = 0;
  for (const ElfSection& section : view.sections()) {
    if (section.type != SHT_PROGBITS || !section.name.starts_with(kCode)) continue;
    const std::string_view name = section.name.substr(kCode.size());
    const std::string_view code = view.content(section);
    looked_at += code.size();
    if (looked_at > bytes.size())
      throw Error(ErrorKind::failed, "its sections lie over each other");
    const std::uint32_t traps = image.traps_known ? traps_in(code) : 0;
    add_kernel(image, name, traps, names && kernels.contains(name));
  }
  return faults;
}

std::vector<std::string> look_at_ptx(std::string_view text, bool names, GpuImage& image) {
  // Not compressed, it is padded.
  text = text.substr(0, text.find('\0'));
  std::vector<std::string> faults;
  const auto targets = places_of(text.substr(0, 4096), ".target");
  if (targets.empty()) throw Error(ErrorKind::failed, "it is no PTX: it names no target");
  const std::string said = "sm_" + digits(image.arch);
  const std::string_view target = word_behind(text, targets.front() + 7);
  if (target != said)
    faults.push_back(fmt::format("it is made for {}, and its header says {}", target, said));

  const auto kernels = places_of(text, ".entry");
  image.kernels = static_cast<std::uint32_t>(kernels.size());
  std::vector<std::pair<std::size_t, std::size_t>> functions;  // place, and of its name
  for (const std::size_t at : kernels) functions.emplace_back(at, at + 6);
  for (const std::size_t at : places_of(text, ".func")) functions.emplace_back(at, at + 5);
  std::ranges::sort(functions);
  std::vector<std::size_t> traps = places_of(text, "trap;");
  std::ranges::copy(places_of(text, "brkpt;"), std::back_inserter(traps));
  std::ranges::sort(traps);
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const std::size_t end = i + 1 < functions.size() ? functions[i + 1].first : text.size();
    const auto first = std::ranges::lower_bound(traps, functions[i].first);
    const auto last = std::ranges::lower_bound(traps, end);
    const bool is_kernel = std::ranges::binary_search(kernels, functions[i].first);
    add_kernel(image, word_behind(text, functions[i].second),
               static_cast<std::uint32_t>(last - first), names && is_kernel);
  }
  return faults;
}

Arch arch_of_cubin(std::string_view bytes) {
  const ElfView view(bytes, "an image");
  const ElfIdentity elf = view.identity();
  Arch arch = arch_of_number(sm_of(elf));
  if (says_specific(elf, view)) arch.feature = ArchFeature::specific;
  return arch;
}

}  // namespace sagebuild::gpu
