#pragma once
// Stand-in: checks of what CUDA returns. See torch/extension.h here.

#include <cuda_runtime.h>

#include <typeinfo>

#include "sagebuild/core.h"

// In device code torch's own text ends the path, from torch 2.14 on before the expression and until
// then behind it. So a function that is compiled for the device, too, needs torch's headers: no
// device code may hold a typeid.
#ifdef __CUDA_ARCH__
#define C10_CUDA_CHECK(expression)        \
  do {                                    \
    static_cast<void>(typeid(cudaError)); \
    const cudaError_t __err = expression; \
    static_cast<void>(__err);             \
  } while (0)
#else
#define C10_CUDA_CHECK(expression)                                              \
  do {                                                                          \
    const cudaError_t __err = expression;                                       \
    ::sagebuild_bridge::check_cuda(static_cast<int>(__err), __FILE__, __func__, \
                                   static_cast<std::uint32_t>(__LINE__));       \
  } while (0)
#endif
#define C10_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_CHECK(cudaGetLastError())
