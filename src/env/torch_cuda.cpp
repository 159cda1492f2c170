#include "env/torch_cuda.hpp"

#include <fmt/format.h>

#include <string_view>

#include "env/kept.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// PyTorch publishes an index for each CUDA that it builds for.
std::string index_option(const std::string& cuda) {
  const Version version = parse_version(cuda).value_or(Version());
  // Of 11 and 12 the minor that most torch versions were built with.
  const int minor =
      cuda.find('.') == std::string::npos && version.major() < 13 ? 8 : version.minor();
  return fmt::format("--index-url https://download.pytorch.org/whl/cu{}{}", version.major(), minor);
}

// What PyPI's torch wheels are built with (their metadata). Empty: newer than this list.
std::string cuda_on_pypi(const std::string& torch) {
  const Version version = parse_version(torch).value_or(Version());
  if (version >= Version{2, 12}) return "";
  if (version >= Version{2, 11}) return "13.0";
  if (version >= Version{2, 8}) return "12.8";
  if (version >= Version{2, 7}) return "12.6";
  return version >= Version{2, 5} ? "12.4" : "";
}

Error other_cuda(const EnvironmentRequest& request, std::string_view index,
                 const std::string& cuda) {
  return {ErrorKind::environment,
          fmt::format("torch {} from {} is built with CUDA {}, not {}", request.torch, index, cuda,
                      request.cuda),
          {},
          fmt::format("name an index that has it: {}", index_option(request.cuda))};
}

}  // namespace

std::string predicted_cuda(const EnvironmentRequest& request) {
  if (!request.cuda.empty()) return request.cuda;
  if (request.index_url.empty()) return cuda_on_pypi(request.torch);
  // PyTorch's own indexes end in "/cu128".
  std::string_view last = request.index_url;
  while (last.ends_with('/')) last.remove_suffix(1);
  last.remove_prefix(last.rfind('/') + 1);
  if (!take_prefix(last, "cu") || last.size() != 3 || !to_integer(last)) return "";
  return fmt::format("{}.{}", last.substr(0, 2), last.substr(2));
}

std::string index_option_for(const EnvironmentRequest& request) {
  if (request.cuda.empty() || !request.index_url.empty()) return "";
  const std::string there = cuda_on_pypi(request.torch);
  return !there.empty() && version_fits(request.cuda, there) ? "" : index_option(request.cuda);
}

void require_index_for_cuda(const EnvironmentRequest& request) {
  if (request.torch.empty() || request.cuda.empty() || !request.index_url.empty()) return;
  const std::string there = cuda_on_pypi(request.torch);
  if (!there.empty() && !version_fits(request.cuda, there))
    throw other_cuda(request, "PyPI", there);
}

void require_asked_cuda(const EnvironmentRequest& request, const PythonEnv& python) {
  const std::string cuda = python.torch ? python.torch->cuda.text() : "";
  if (!version_fits(request.cuda, cuda)) throw other_cuda(request, "this index", cuda);
}

}  // namespace sagebuild
