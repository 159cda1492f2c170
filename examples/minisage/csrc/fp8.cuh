#pragma once
// e4m3 conversions. The instructions exist from sm_89 on; for an older target the code still compiles, as in SageAttention, and
// stops with a breakpoint trap when it runs. A wheel must therefore never serve an FP8 path with code made for 8.0 or 8.6.

#include <cuda_fp16.h>

#include <cstdint>

__device__ __forceinline__ uint8_t to_fp8(float value) {
#if __CUDA_ARCH__ >= 890
  uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(value));
  return static_cast<uint8_t>(pair & 0xff);
#else
  __brkpt();
  return 0;
#endif
}

// The first of the two is in the low byte.
__device__ __forceinline__ half2 from_fp8(uint16_t pair) {
#if __CUDA_ARCH__ >= 890
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(pair));
  return *reinterpret_cast<half2*>(&halves);
#else
  __brkpt();
  return half2{};
#endif
}
