#include "proved.hpp"

#include <array>

#include "cpp_text.hpp"

namespace sagebuild::nvcc {
namespace {

bool is_plain(std::string_view text) {
  // A backslash before a comment joins no lines, and without the comment it would.
  for (auto at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at + 1)) {
    const auto next = std::min(text.find_first_not_of(" \t\f\v", at + 1), text.size());
    if (text.substr(next).starts_with("//") || text.substr(next).starts_with("/*")) return false;
  }
  for (const std::string_view hard : {"R\"", "?\?/", "\\\r"})
    if (text.find(hard) != std::string_view::npos) return false;
  for (auto at = text.find("//"); at != std::string_view::npos; at = text.find("//", at + 1)) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (text.substr(at, end - at).find('\\') != std::string_view::npos) return false;
  }
  return true;
}

// Every run of blanks and comments is one blank, or the end of a line where it holds one.
std::string without_comments(std::string_view text) {
  std::string code;
  const auto put_gap = [&](bool ends_line) {
    const char gap = ends_line ? '\n' : ' ';
    if (code.empty() || code.back() == '\n') return;
    if (code.back() == ' ')
      code.back() = gap;
    else
      code += gap;
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const char c = rest.front();
    if (rest.starts_with("//")) {
      at = std::min(text.find('\n', at), text.size());
      put_gap(false);
    } else if (rest.starts_with("/*")) {
      const auto end = text.find("*/", at + 2);
      at = end == std::string_view::npos ? text.size() : end + 2;
      put_gap(false);
    } else if (c == '"' || c == '\'' || is_word(c)) {
      const auto end = is_word(c) ? end_of_word(text, at) : end_of_literal(text, at);
      code += text.substr(at, end - at);
      at = end;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      put_gap(c == '\n');
      ++at;
    } else {
      code += c;
      ++at;
    }
  }
  return code;
}

// "DX=1" or "UX" behind the dash.
std::string_view name_of_macro(std::string_view definition) {
  return definition.substr(0, definition.find_first_of("=("));
}

// Those that the options define and undefine, nvcc's and the host compiler's.
std::vector<std::string> macros_of(const Words& argv) {
  std::vector<std::string> names;
  const Words words = with_host_options(argv);
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string_view option :
         {"-D", "-U", "--define-macro", "--undefine-macro", "-define-macro", "-undefine-macro"}) {
      std::string_view text = words[i];
      if (!take_prefix(text, option)) continue;
      take_prefix(text, "=");
      if (text.empty() && i + 1 < words.size()) text = words[++i];
      for (const auto part : split(text, ",")) names.emplace_back(name_of_macro(part));
      break;
    }
  }
  return names;
}

// What torch and setuptools put into every command, and we.
bool is_usual(std::string_view macro) {
  constexpr std::array<std::string_view, 10> kUsual = {"NDEBUG",
                                                       "TORCH_API_INCLUDE_EXTENSION_H",
                                                       "TORCH_EXTENSION_NAME",
                                                       "_GLIBCXX_USE_CXX11_ABI",
                                                       "__CUDA_NO_HALF_OPERATORS__",
                                                       "__CUDA_NO_HALF_CONVERSIONS__",
                                                       "__CUDA_NO_HALF2_OPERATORS__",
                                                       "__CUDA_NO_BFLOAT16_CONVERSIONS__",
                                                       "_FORTIFY_SOURCE",
                                                       "__TIMESTAMP__"};
  return std::ranges::find(kUsual, macro) != kUsual.end() || macro.starts_with("PYBIND11_");
}

std::string digest_of(const fs::path& file) {
  const auto text = read_file_if_exists(file);
  return text ? source_digest(*text).hex() : "";
}

}  // namespace

Digest source_digest(std::string_view text) {
  return sha256(is_plain(text) ? without_comments(text) : text);
}

Refusal unproved(const ProvedSources& proved, const Words& argv, const std::vector<fs::path>& files,
                 const Job& job) {
  if (proved.everything) return std::nullopt;
  for (const auto& macro : macros_of(argv))
    if (!is_usual(macro) && !proved.macros.contains(macro))
      return fmt::format("the recipe does not know the macro '{}' of the command", macro);
  std::vector<const std::set<std::string, std::less<>>*> versions;
  for (const auto& version : proved.versions) versions.push_back(&version);
  for (const auto& file : files) {
    if (!job.is_own(file)) continue;
    const std::string digest = digest_of(file);
    std::erase_if(versions, [&](const auto* version) { return !version->contains(digest); });
    if (versions.empty())
      return fmt::format(
          "'{}' is not the source for which the recipe vouches for sagebuild's headers",
          file.filename().string());
  }
  return std::nullopt;
}

std::string proof_text(const ProvedSources& proved) {
  if (proved.everything) return "everything";
  std::string text =
      "macros " + join(std::vector<std::string>(proved.macros.begin(), proved.macros.end()), " ");
  for (const auto& version : proved.versions)
    text += "\nfiles " + join(std::vector<std::string>(version.begin(), version.end()), " ");
  return text;
}

StepId add_source_check(StepGraph& graph, const JobPtr& job, std::vector<StepId> preprocess,
                        std::vector<Depfile> depfiles) {
  Step step = job->step(Stage::source_check);
  for (const auto& depfile : depfiles) step.reads.push_back(depfile.file);
  step.finish = [job, depfiles] {
    std::vector<fs::path> files;
    for (const auto& depfile : depfiles)
      std::ranges::move(job->files_in(depfile), std::back_inserter(files));
    refuse_if(unproved(job->settings->proved, job->argv, files, *job));
    if (!job->settings->proved.everything) return;
    std::ranges::sort(files);
    const auto repeated = std::ranges::unique(files);
    files.erase(repeated.begin(), repeated.end());
    for (const auto& file : files)  // for a recipe's [[proved]]
      if (job->is_own(file))
        job->settings->reporter->detail(
            fmt::format("source {} {}", digest_of(file), job->mapped(file)));
  };
  return append(graph, std::move(step), std::move(preprocess));
}

}  // namespace sagebuild::nvcc
