#pragma once
// Stand-in: checks of what CUDA returns. See torch/extension.h here.

#include <cuda_runtime.h>

#include "sagebuild/core.h"

#define C10_CUDA_CHECK(expression)                                                                   \
  do {                                                                                               \
    const cudaError_t __err = expression;                                                            \
    ::sagebuild_bridge::check_cuda(static_cast<int>(__err), SAGEBUILD_FILE, __func__, SAGEBUILD_LINE); \
  } while (0)
#define C10_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_CHECK(cudaGetLastError())
