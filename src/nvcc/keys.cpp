#include "sagebuild/nvcc/keys.hpp"

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

bool has(const Words& argv, std::string_view word) {
  return std::ranges::find(argv, word) != argv.end();
}

// Behind the preprocessor its own options decide nothing: the text does.
Words without_preprocessor_options(const Words& argv) {
  Words kept;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    const std::string_view word = argv[i];
    if (word == "-isystem" || word == "-include" || word == "-I" || word == "-D" || word == "-U" ||
        word == "-iquote" || word == "-idirafter")
      ++i;
    else if (!word.starts_with("-I") && !word.starts_with("-D") && !word.starts_with("-U"))
      kept.emplace_back(word);
  }
  return kept;
}

// The text still includes headers, so macros decide what they hold; which files they are is the
// cache's to compare.
Words without_include_folders(const Words& argv) {
  Words kept;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (argv[i] == "-isystem" || argv[i] == "-I")
      ++i;
    else if (!argv[i].starts_with("-I"))
      kept.push_back(argv[i]);
  }
  return kept;
}

// Debug information holds places, which the digest of tokens does not see.
Digest text_digest(const Words& argv, std::string_view text,
                   Digest (*without_places)(std::string_view)) {
  const bool places_count =
      std::ranges::any_of(argv, [](const auto& word) { return word.starts_with("-g"); });
  return places_count ? sha256(text) : without_places(text);
}

}  // namespace

Words options_of(const Words& argv, const std::vector<std::string>& with_value,
                 const std::vector<std::string>& words) {
  Words kept;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (has(with_value, argv[i]))
      ++i;
    else if (!has(words, argv[i]))
      kept.push_back(argv[i]);
  }
  return kept;
}

ActionKey cicc_key(const std::string& subject, const Digest& tool, const Words& cicc,
                   std::string_view id, std::string_view text) {
  const bool lines_count = has(cicc, "-generate-line-info") || has(cicc, "-g");
  ActionKey key("cicc", subject);
  key.add("cicc", tool);
  Words names = {"--orig_src_file_name", "--orig_src_path_name", "-o"};
  if (lines_count) names = {"-o"};
  key.add("options", options_of(cicc, names));
  key.add("module id", id);
  key.add("device text", lines_count ? sha256(text) : token_digest(text));
  return key;
}

ActionKey cudafe_key(const std::string& subject, const Digest& tool, const Words& cudafe,
                     std::string_view id, std::string_view text) {
  ActionKey key("cudafe++", subject);
  key.add("cudafe++", tool);
  key.add("options", options_of(cudafe, {"--orig_src_file_name", "--orig_src_path_name"}));
  key.add("module id", id);
  key.add("host text", token_digest(text));
  return key;
}

ActionKey ptxas_key(const std::string& subject, const Digest& tool, const RealLayout& real,
                    const std::string& ptx_name, const Digest& ptx) {
  ActionKey key("ptxas", subject);
  key.add("ptxas", tool);
  key.add("options", options_of(real.argv, {"-o"}, {ptx_name}));
  key.add("PTX", ptx);
  return key;
}

ActionKey fatbinary_key(const std::string& subject, const Digest& tool, const Words& fatbinary,
                        const std::vector<Image>& images) {
  Words options;
  for (const auto& word : options_of(fatbinary, {}))
    if (!word.starts_with("--image") && !word.starts_with("--create=") &&
        !word.starts_with("--embedded-fatbin="))
      options.push_back(word);
  ActionKey key("fatbinary", subject);
  key.add("fatbinary", tool);
  key.add("options", options);
  for (const auto& image : images) key.add(image.kind + " " + image.sm, image.content);
  return key;
}

ActionKey host_compile_key(const std::string& subject, const Digest& tool,
                           const Words& host_compile, std::string_view cudafe_text,
                           std::string_view stub, const Digest& image) {
  ActionKey key("host compile", subject);
  key.add("host compiler", tool);
  key.add("options", without_include_folders(host_compile));
  key.add("host text", text_digest(host_compile, cudafe_text, host_text_digest));
  key.add("stub", token_digest(stub));
  key.add("image", image);
  return key;
}

ActionKey cxx_key(const std::string& subject, const Digest& tool, const Words& compile,
                  std::string_view text) {
  ActionKey key("g++", subject);
  key.add("host compiler", tool);
  key.add("options", without_preprocessor_options(compile));
  key.add("host text", text_digest(compile, text, token_digest));
  return key;
}

ActionKey direct_key(const std::string& subject, const std::string& kind, const Digest& tools,
                     const Words& argv, std::string_view id, const PathRoots& roots) {
  Words mapped;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    // A path may stand behind an option's letters: -I/tmp/x/tree/include.
    const auto slash = argv[i].find('/');
    mapped.push_back(slash == std::string::npos
                         ? argv[i]
                         : argv[i].substr(0, slash) + mapped_path(argv[i].substr(slash), roots));
  }
  ActionKey key(kind, subject);
  key.add("tools", tools);
  key.add("options", mapped);
  key.add("module id", id);
  return key;
}

}  // namespace sagebuild
