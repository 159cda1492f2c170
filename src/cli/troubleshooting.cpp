#include "cli/troubleshooting.hpp"

namespace sagebuild {

// Tests hold that each anchor is a heading of the page, and that each text stands on it.
const std::vector<TroubleText>& trouble_texts() {
  static const std::vector<TroubleText> kTexts = {
      {"no kernel image is available for execution on the device", "no-kernel-image-is-available"},
      {"SB101", "no-kernel-image-is-available"},
      {"SB102", "sm89-kernel-is-not-available"},
      {"SB103", "unspecified-launch-failure"},
      {"SM89 kernel is not available", "sm89-kernel-is-not-available"},
      {"_qattn_sm120", "cannot-import-name-_qattn_sm120"},
      {"CUDA extension not installed for sm_120", "cuda-extension-not-installed-for-sm_120"},
      {"Unsupported gpu architecture", "unsupported-gpu-architecture"},
      {"unsupported Microsoft Visual Studio version",
       "unsupported-microsoft-visual-studio-version"},
      {"out of memory)", "killed-for-memory"},
      {"cc1plus: fatal error: Killed", "killed-for-memory"},
      {"fatal error: Python.h", "missing-headers"},
      {"has no Python.h", "missing-headers"},
      {"fatal error: cusparse.h", "missing-headers"},
      {"fatal error: cublas_v2.h", "missing-headers"},
      {"fatal error: cuda_runtime.h", "missing-headers"},
      {"undefined symbol: _ZN3c10", "undefined-symbol-_zn3c10"},
      {"SB121", "undefined-symbol-_zn3c10"},
      {"version `GLIBC_2.", "glibc_2x-not-found"},
      {"SB123", "glibc_2x-not-found"},
      {"libcudart.so.12", "libcudartso12"},
      {"is not a supported wheel on this platform", "not-a-supported-wheel-on-this-platform"},
      {"not supported on .target", "not-supported-on-target"},
      {"No GPUs found", "no-gpus-found"},
      {"cannot find -lcuda", "cannot-find--lcuda"},
      {"You need C++20 to compile PyTorch", "you-need-c20-to-compile-pytorch"},
  };
  return kTexts;
}

std::string trouble_page(std::string_view output) {
  for (const TroubleText& trouble : trouble_texts())
    if (output.find(trouble.text) != std::string_view::npos)
      return "docs/troubleshooting.md#" + std::string(trouble.anchor);
  return "";
}

}  // namespace sagebuild
