#include "sagebuild/nvcc/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "lines.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kPrimaryBody = "{ ::cudaLaunchKernel(0, 0, 0, 0, 0, 0);}";

// `# 12 "a.cu" 1` or `# 12` or `#line 12 "a.cu"`.
bool is_marker(std::string_view line) {
  if (line.size() < 3 || line[0] != '#') return false;
  if (line.starts_with("#line ")) return true;
  return line[1] == ' ' && is_digit(line[2]);
}

std::string unescaped(std::string_view quoted) {
  std::string plain;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '\\' && i + 1 < quoted.size()) ++i;
    plain += quoted[i];
  }
  return plain;
}

std::string escaped(std::string_view plain) {
  std::string quoted;
  for (const char c : plain) {
    if (c == '\\' || c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

// "::current" or ".current", by whatever name its class goes.
bool uses_current(std::string_view text) {
  constexpr std::string_view kName = "current";
  for (auto at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
    if (at + kName.size() < text.size() && is_word(text[at + kName.size()])) continue;
    const auto before = text.find_last_not_of(" \n", at == 0 ? 0 : at - 1);
    if (before != std::string_view::npos &&
        std::string_view(":.>").find(text[before]) != std::string_view::npos)
      return true;
  }
  return false;
}

bool asks_for_its_place(std::string_view text) {
  const auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  // The declaration in <source_location> is in every text that includes it; a use needs current().
  return has("__builtin_FILE") || has("__builtin_LINE") || has("source_location::current") ||
         (has("__builtin_source_location") && uses_current(text));
}

// Every `NAME(` before the ` ;` that cudafe++ puts in the place of a kernel's body.
std::string name_before_parameters(std::string_view declaration) {
  const auto open = declaration.find('(');
  // Attributes come first: __attribute__((visibility("hidden"))) void k(int *p)
  std::string_view rest = declaration;
  for (auto at = rest.find("__attribute__"); at != std::string_view::npos;
       at = rest.find("__attribute__")) {
    int depth = 0;
    auto end = rest.find('(', at);
    for (; end < rest.size(); ++end) {
      if (rest[end] == '(') ++depth;
      if (rest[end] == ')' && --depth == 0) break;
    }
    if (end >= rest.size()) return "";
    rest.remove_prefix(end + 1);
  }
  const auto paren = rest.find('(');
  if (open == std::string_view::npos || paren == std::string_view::npos) return "";
  auto end = paren;
  while (end > 0 && rest[end - 1] == ' ') --end;
  auto begin = end;
  while (begin > 0 && is_word(rest[begin - 1])) --begin;
  return std::string(rest.substr(begin, end - begin));
}

}  // namespace

std::vector<std::string> macro_prefix_maps(const PathRoots& roots) {
  std::vector<std::pair<std::string, std::string>> sorted;
  for (const auto& [name, root] : roots)
    if (!root.empty()) sorted.emplace_back(root.native(), name);
  std::ranges::sort(sorted, {}, [](const auto& one) { return one.first.size(); });
  std::vector<std::string> options;
  for (const auto& [root, name] : sorted)
    options.push_back(fmt::format("-fmacro-prefix-map={}=/sagebuild/{}", root, name));
  return options;
}

std::string normalised_text(std::string_view text, const PathRoots& roots) {
  // A text has some 2,000 files and 100,000 markers
  std::unordered_map<std::string_view, std::string> known;
  std::string result;
  result.reserve(text.size());
  RawStrings raw;
  bool is_question = false;
  each_line(text, [&](std::string_view line) {
    const bool inside = raw.begins_inside(line);
    if (!inside) is_question = line.starts_with("#define ") || line.starts_with("#undef ");
    if (is_question) {  // the preprocessor counts it as a line of the file
      result += '\n';
      return;
    }
    const bool is_marking = !inside && is_marker(line);
    const auto open = is_marking ? line.find('"') : std::string_view::npos;
    const auto close = open == std::string_view::npos ? open : line.rfind('"');
    if (open == std::string_view::npos || close <= open) {
      result += line;
      return;
    }
    const auto quoted = line.substr(open + 1, close - open - 1);
    auto [place, is_new] = known.try_emplace(quoted);
    if (is_new) place->second = escaped(mapped_path(unescaped(quoted), roots));
    result.append(line.substr(0, open + 1)).append(place->second).append(line.substr(close));
  });
  return result;
}

Digest token_digest(std::string_view preprocessed) {
  if (asks_for_its_place(preprocessed)) return sha256(preprocessed);
  Sha256 sum;
  RawStrings raw;
  each_line(preprocessed, [&](std::string_view line) {
    if (raw.begins_inside(line) || (line != "\n" && !is_marker(line))) sum.update(line);
  });
  return sum.finish();
}

Digest host_text_digest(std::string_view cudafe_text) {
  const bool keep_markers = asks_for_its_place(cudafe_text);
  Sha256 sum;
  int depth = 0;  // of conditionals inside an `#if 0`
  RawStrings raw;
  each_line(cudafe_text, [&](std::string_view line) {
    if (raw.begins_inside(line)) {
      sum.update(line);
      return;
    }
    if (depth > 0) {
      if (line.starts_with("#if"))
        ++depth;
      else if (line.starts_with("#endif"))
        --depth;
      return;
    }
    if (line == "#if 0\n") {
      depth = 1;
      return;
    }
    if (keep_markers || (line != "\n" && !is_marker(line))) sum.update(line);
  });
  return sum.finish();
}

std::size_t mark_missing_kernels(std::string& cudafe_text) {
  const std::string body = fmt::format("{{ void {0}(); {0}();}}", kMissingKernel);
  std::size_t count = 0;
  for (auto at = cudafe_text.find(kPrimaryBody); at != std::string::npos;
       at = cudafe_text.find(kPrimaryBody, at)) {
    cudafe_text.replace(at, kPrimaryBody.size(), body);
    at += body.size();
    ++count;
  }
  return count;
}

std::size_t template_kernels(std::string_view cudafe_text) {
  // Each primary is followed by its own wrapper: `{__wrapper__device_stub_NAME<...>(...);return;}`,
  // in a namespace with the namespace before it (an unnamed one has a made-up name):
  // `{::outer::__wrapper__device_stub_NAME<...>(...)`.
  constexpr std::string_view kCall = "__wrapper__device_stub_";
  const auto is_of_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':';
  };
  std::size_t count = 0;
  for (auto at = cudafe_text.find(kCall); at != std::string_view::npos;
       at = cudafe_text.find(kCall, at + 1)) {
    auto begin = at;
    while (begin > 0 && is_of_name(cudafe_text[begin - 1])) --begin;
    if (begin > 0 && cudafe_text[begin - 1] == '{') ++count;
  }
  return count;
}

std::vector<std::string> plain_kernels(std::string_view cudafe_text) {
  constexpr std::string_view kNoBody = " ;\n#if 0\n";
  std::set<std::string> names;
  for (auto at = cudafe_text.find(kNoBody); at != std::string_view::npos;
       at = cudafe_text.find(kNoBody, at + 1)) {
    const auto line = cudafe_text.rfind('\n', at - 1) + 1;
    const auto name = name_before_parameters(cudafe_text.substr(line, at - line));
    if (!name.empty()) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> registered_kernels(std::string_view stub) {
  // __cudaRegisterEntry(__T0, ((void ( *)(int *))k), _Z1kPi, (-1));
  constexpr std::string_view kCall = "__cudaRegisterEntry(";
  std::vector<std::string> names;
  for (auto at = stub.find(kCall); at != std::string_view::npos; at = stub.find(kCall, at + 1)) {
    const auto end = stub.find(", (-1));", at);
    if (end == std::string_view::npos) break;
    auto begin = end;
    while (begin > at && is_word(stub[begin - 1])) --begin;
    names.emplace_back(stub.substr(begin, end - begin));
  }
  return names;
}

std::string ptx_target(std::string_view ptx) {
  constexpr std::string_view kTarget = "\n.target ";
  const auto at = ptx.find(kTarget);
  if (at == std::string_view::npos) return "";
  const auto begin = at + kTarget.size();
  return std::string(ptx.substr(begin, ptx.find_first_of(", \n", begin) - begin));
}

std::vector<std::string> ptx_entries(std::string_view ptx) {
  std::vector<std::string> names;
  each_line(ptx, [&](std::string_view line) {
    const auto at = line.find(".entry ");
    if (at == std::string_view::npos || line.starts_with("//")) return;
    auto rest = line.substr(at + 7);
    names.emplace_back(rest.substr(0, rest.find_first_of("( \n")));
  });
  return names;
}

std::string without_unreferenced_globals(std::string_view ptx) {
  std::unordered_map<std::string_view, int> uses;
  const auto count_words = [&](std::string_view line) {
    for (std::size_t i = 0; i < line.size();) {
      auto end = i;
      while (end < line.size() && is_word(line[end])) ++end;
      if (end > i) ++uses[line.substr(i, end - i)];
      i = end + 1;
    }
  };
  each_line(ptx, count_words);
  const auto variable_of = [](std::string_view line) -> std::string_view {
    if (!line.starts_with(".global ")) return {};
    const auto end = line.find_first_of("[=;");
    auto last = line.substr(0, end);
    while (!last.empty() && last.back() == ' ') last.remove_suffix(1);
    return last.substr(last.rfind(' ') + 1);
  };
  std::string result;
  each_line(ptx, [&](std::string_view line) {
    const auto name = variable_of(line);
    if (name.empty() || uses[name] > 1) result += line;
  });
  return result;
}

std::vector<std::filesystem::path> depfile_inputs(std::string_view text) {
  std::vector<std::filesystem::path> files;
  std::string word;
  bool in_target = true;
  const auto finish_word = [&] {
    if (word.empty()) return;
    if (in_target && word.ends_with(":"))
      in_target = false;
    else if (!in_target)
      files.emplace_back(word);
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\\' && (next == ' ' || next == '#' || next == '\\')) {
      word += text[++i];
    } else if (c == '$' && next == '$') {
      word += text[++i];
    } else if (c == '\\' && next == '\n') {
      ++i;
      finish_word();
    } else if (c == ' ' || c == '\n') {
      finish_word();
    } else {
      word += c;
    }
  }
  finish_word();
  return files;
}

std::string detached_wrapper(std::string_view id) {
  return fmt::format(R"(#include "fatbinary_section.h"
#define __CUDAFATBINSECTION ".nvFatBinSegment"
extern "C" {{
extern const unsigned long long fatbin{0}[] __attribute__((visibility("hidden")));
static const __fatBinC_Wrapper_t __fatDeviceText __attribute__((aligned(8), section(__CUDAFATBINSECTION))) = {{
    0x466243b1, 1, fatbin{0}, 0}};
}}
)",
                     id);
}

std::string detached_image(std::string_view id, std::string_view fatbin_file) {
  return fmt::format(
      ".section .nv_fatbin,\"a\",@progbits\n.balign 8\n.globl fatbin{0}\n.hidden "
      "fatbin{0}\nfatbin{0}:\n.incbin "
      "\"{1}\"\n"
      ".section .note.GNU-stack,\"\",@progbits\n",
      id, fatbin_file);
}

bool knows_fatbin_text(std::string_view fatbin_c) {
  std::string squeezed;
  for (const char c : fatbin_c)
    if (std::isspace(static_cast<unsigned char>(c)) == 0) squeezed += c;
  constexpr std::array<std::string_view, 5> kParts = {
      "#include\"fatbinary_section.h\"", "#define__CUDAFATBINSECTION\".nvFatBinSegment\"",
      "\".section.nv_fatbin,\\\"a\\\"\\n\"\".align8\\n\"\"fatbinData:\\n\"",
      "staticconst__fatBinC_Wrapper_t__fatDeviceText__attribute__((aligned(8)))__attribute__(("
      "section(__"
      "CUDAFATBINSECTION)))="
      "{0x466243b1,1,fatbinData,0};",
      "#define__CUDAFATBINDATASECTION\".nv_fatbin\""};
  return std::ranges::all_of(kParts,
                             [&](auto part) { return squeezed.find(part) != std::string::npos; });
}

}  // namespace sagebuild
