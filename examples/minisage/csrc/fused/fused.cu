// Quantisation for all attention kernels, so this module is imported on every GPU.

#include <ATen/cuda/CUDAContext.h>
#include <cuda_fp16.h>
#include <torch/extension.h>

#include <cstdint>

#include "../fp8.cuh"
#include "../warp.cuh"
#include "fused.h"

namespace {

__constant__ float kInt8Limit = 127.0f;
constexpr float kFp8Limit = 448.0f;
constexpr int kWarpsPerBlock = 4;

// One warp per row.
template <int kHeadDim>
__global__ void quantize_rows(const half* x, int8_t* values, float* scales, int64_t rows) {
  constexpr int kPerLane = kHeadDim / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / kWarpSize;
  if (row >= rows) return;

  float mine[kPerLane];
  float largest = 0.0f;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    mine[i] = __half2float(x[row * kHeadDim + lane * kPerLane + i]);
    largest = fmaxf(largest, fabsf(mine[i]));
  }
  largest = fmaxf(warp_max(largest), 1e-6f);  // a row of zeros keeps a scale that can be divided by
  const float to_int8 = kInt8Limit / largest;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i)
    values[row * kHeadDim + lane * kPerLane + i] = static_cast<int8_t>(__float2int_rn(mine[i] * to_int8));
  if (lane == 0) scales[row] = largest / kInt8Limit;
}

// One block per head, one thread per channel.
__global__ void quantize_channels(const half* v, uint8_t* values, float* scales, int rows) {
  const int channels = blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * rows * channels + threadIdx.x;
  float largest = 0.0f;
  for (int row = 0; row < rows; ++row)
    largest = fmaxf(largest, fabsf(__half2float(v[first + static_cast<int64_t>(row) * channels])));
  largest = fmaxf(largest, 1e-6f);
  for (int row = 0; row < rows; ++row) {
    const int64_t at = first + static_cast<int64_t>(row) * channels;
    values[at] = to_fp8(__half2float(v[at]) * (kFp8Limit / largest));
  }
  scales[blockIdx.x * channels + threadIdx.x] = largest / kFp8Limit;
}

void check_input(const torch::Tensor& x) {
  TORCH_CHECK(x.is_cuda() && x.is_contiguous(), "expected a contiguous CUDA tensor");
  TORCH_CHECK(x.dim() == 4 && x.scalar_type() == torch::kHalf, "expected [batch, heads, rows, channels] in float16");
  TORCH_CHECK(x.size(3) == 64 || x.size(3) == 128, "head dimension is ", x.size(3), ", only 64 and 128 are supported");
  TORCH_CHECK(x.numel() > 0, "empty tensor");
}

}  // namespace

std::tuple<torch::Tensor, torch::Tensor> quant_per_row_int8(torch::Tensor x) {
  check_input(x);
  const int64_t rows = x.size(0) * x.size(1) * x.size(2);
  auto values = torch::empty(x.sizes(), x.options().dtype(torch::kInt8));
  auto scales = torch::empty({x.size(0), x.size(1), x.size(2)}, x.options().dtype(torch::kFloat32));

  const auto blocks = static_cast<unsigned>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  auto* kernel = x.size(3) == 64 ? quantize_rows<64> : quantize_rows<128>;
  kernel<<<blocks, kWarpsPerBlock * kWarpSize, 0, stream>>>(
      static_cast<const half*>(x.data_ptr()), static_cast<int8_t*>(values.data_ptr()), static_cast<float*>(scales.data_ptr()), rows);
  const cudaError_t status = cudaGetLastError();
  TORCH_CHECK(status == cudaSuccess, "quant_per_row_int8: ", cudaGetErrorString(status));
  return {values, scales};
}

std::tuple<torch::Tensor, torch::Tensor> quant_per_channel_fp8(torch::Tensor v) {
  check_input(v);
  auto values = torch::empty(v.sizes(), v.options().dtype(at::ScalarType::Float8_e4m3fn));
  auto scales = torch::empty({v.size(0), v.size(1), v.size(3)}, v.options().dtype(torch::kFloat32));

  const auto heads = static_cast<unsigned>(v.size(0) * v.size(1));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  quantize_channels<<<heads, static_cast<unsigned>(v.size(3)), 0, stream>>>(
      static_cast<const half*>(v.data_ptr()), static_cast<uint8_t*>(values.data_ptr()), static_cast<float*>(scales.data_ptr()),
      static_cast<int>(v.size(2)));
  const cudaError_t status = cudaGetLastError();
  TORCH_CHECK(status == cudaSuccess, "quant_per_channel_fp8: ", cudaGetErrorString(status));
  return {values, scales};
}
