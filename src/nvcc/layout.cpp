#include "sagebuild/nvcc/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using Names = std::vector<std::pair<std::string, std::string>>;

struct Problem {
  std::string reason;
};

std::string value(const Words& argv, std::string_view option) {
  if (auto found = option_value(argv, option)) return *found;
  throw Problem{fmt::format("a command of nvcc's has no {}", option)};
}

void drop_word(Words& argv, std::string_view word) { std::erase(argv, word); }

void drop_option(Words& argv, std::string_view option) {
  const auto at = std::ranges::find(argv, option);
  if (at != argv.end() && at + 1 != argv.end()) argv.erase(at, at + 2);
}

// The names that cudafe++ and cicc have in common.
Names frontend_names(const Words& argv, const Layout& layout) {
  Names names = {{value(argv, "--stub_file_name"), layout.stem + ".cudafe1.stub.c"},
                 {value(argv, "--module_id_file_name"), layout.module_id_file}};
  if (const auto c_file = option_value(argv, "--gen_c_file_name"))
    names.emplace_back(*c_file,
                       layout.stem + (c_file->ends_with(".cpp") ? ".cudafe1.cpp" : ".cudafe1.c"));
  if (const auto device = option_value(argv, "--gen_device_file_name"))
    names.emplace_back(*device, layout.stem + ".cudafe1.gpu");
  if (const auto include = option_value(argv, "--include_file_name"))
    names.emplace_back(*include, layout.fatbin_c);
  return names;
}

PassLayout pass_layout(const VirtualPass& pass, const Layout& layout, Names& images) {
  PassLayout result;
  result.arch = pass.arch;
  result.text = layout.stem + ".cpp1.ii";
  result.ptx = layout.stem + ".ptx";
  result.stub = layout.stem + ".cudafe1.stub.c";
  result.preprocess = pass.preprocess;
  drop_option(result.preprocess, "-o");
  Names names = frontend_names(pass.cicc, layout);
  names.emplace_back(value(pass.preprocess, "-o"), result.text);
  names.emplace_back(pass.ptx, result.ptx);
  result.cicc = renamed(pass.cicc, names);
  images.emplace_back(pass.ptx, pass.arch + "/" + result.ptx);
  for (const auto& real : pass.real) {
    RealLayout one{real.arch,
                   {},
                   real.cubin.empty() ? "" : fmt::format("{}.{}.cubin", layout.stem, real.arch)};
    one.argv = renamed(real.ptxas, {{pass.ptx, result.ptx}, {real.cubin, one.cubin}});
    if (!real.cubin.empty()) images.emplace_back(real.cubin, pass.arch + "/" + one.cubin);
    result.real.push_back(std::move(one));
  }
  return result;
}

ImageLayout image_of(std::string_view word) {
  ImageLayout image;
  take_prefix(word, "--image3=");
  for (const auto part : split(word, ",")) {
    const auto equals = part.find('=');
    const auto text = std::string(part.substr(equals + 1));
    if (part.starts_with("kind="))
      image.kind = text;
    else if (part.starts_with("sm="))
      image.sm = text;
    else if (part.starts_with("file="))
      image.file = text;
    else
      throw Problem{fmt::format("fatbinary's image has a part that is not known here: {}", part)};
  }
  return image;
}

Layout layout_of(const DryRun& run) {
  Layout layout;
  const std::string host_text = value(run.host_preprocess, "-o");
  if (!host_text.ends_with(".cpp4.ii"))
    throw Problem{"the host preprocess has another output than .cpp4.ii"};
  layout.stem = host_text.substr(0, host_text.size() - 8);
  layout.path = run.path;
  layout.host_text = host_text;
  layout.cudafe_text = layout.stem + ".cudafe1.cpp";
  layout.fatbin = layout.stem + ".fatbin";
  layout.fatbin_c = layout.stem + ".fatbin.c";
  layout.object = layout.stem + ".o";
  layout.module_id_file = layout.stem + ".module_id";

  layout.host_preprocess = run.host_preprocess;
  drop_option(layout.host_preprocess, "-o");
  layout.cudafe = renamed(run.cudafe, frontend_names(run.cudafe, layout));
  // Then it reads the id instead of making one (docs/nvcc.md, "The module id")
  drop_word(layout.cudafe, "--gen_module_id_file");

  Names images;
  for (const auto& pass : run.passes) layout.passes.push_back(pass_layout(pass, layout, images));
  std::ranges::sort(images, std::ranges::greater{},
                    [](const auto& name) { return name.first.size(); });
  images.emplace_back(value(run.fatbinary, "--create"), layout.fatbin);
  images.emplace_back(value(run.fatbinary, "--embedded-fatbin"), layout.fatbin_c);
  layout.fatbinary = renamed(run.fatbinary, images);
  for (const auto& word : layout.fatbinary)
    if (word.starts_with("--image")) layout.images.push_back(image_of(word));

  layout.host_compile =
      renamed(run.host_compile, {{value(run.cudafe, "--gen_c_file_name"), layout.cudafe_text},
                                 {value(run.host_compile, "-o"), layout.object}});
  std::erase_if(layout.host_compile,
                [](const auto& word) { return word.starts_with("-D__CUDA_ARCH"); });
  return layout;
}

// A name of nvcc's that is still there was not understood.
void require_canonical(const Layout& layout) {
  const auto check = [](const Words& argv) {
    for (const auto& word : argv)
      if (word.find(".compute_") != std::string::npos)
        throw Problem{fmt::format(
            "'{}' in a command of nvcc's is a file name in a place that is not known here", word)};
  };
  check(layout.cudafe);
  check(layout.fatbinary);
  check(layout.host_compile);
  for (const auto& pass : layout.passes) {
    check(pass.cicc);
    for (const auto& real : pass.real) check(real.argv);
  }
}

}  // namespace

LayoutOutcome canonical_layout(const DryRun& run) {
  try {
    Layout layout = layout_of(run);
    require_canonical(layout);
    return {std::move(layout), ""};
  } catch (const Problem& problem) {
    return {{}, problem.reason};
  }
}

}  // namespace sagebuild
