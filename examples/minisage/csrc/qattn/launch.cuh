#pragma once
// Host side of the attention kernels: checks, output tensor, choice of template arguments.

#include <torch/extension.h>

#include "attention.cuh"

inline void check_attention_inputs(const torch::Tensor& q, const torch::Tensor& q_scale, const torch::Tensor& k,
                                   const torch::Tensor& k_scale, const torch::Tensor& v) {
  for (const torch::Tensor& tensor : {q, q_scale, k, k_scale, v})
    TORCH_CHECK(tensor.is_cuda() && tensor.is_contiguous(), "expected contiguous CUDA tensors");
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4, "expected [batch, heads, rows, channels]");
  TORCH_CHECK(q.scalar_type() == torch::kInt8 && k.scalar_type() == torch::kInt8, "q and k must be int8");
  TORCH_CHECK(q.size(0) == k.size(0) && q.size(1) == k.size(1) && q.size(3) == k.size(3), "q and k do not fit each other");
  TORCH_CHECK(v.sizes() == k.sizes(), "k and v do not fit each other");
  TORCH_CHECK(q_scale.numel() * q.size(3) == q.numel() && k_scale.numel() * k.size(3) == k.numel(), "one scale per row expected");
  TORCH_CHECK(q.size(3) == 64 || q.size(3) == 128, "head dimension is ", q.size(3), ", only 64 and 128 are supported");
  TORCH_CHECK(q.numel() > 0 && k.numel() > 0, "empty tensor");
}

inline Shape shape_of(const torch::Tensor& q, const torch::Tensor& k, double softmax_scale) {
  constexpr double kLog2E = 1.4426950408889634;
  return {static_cast<int>(q.size(2)), static_cast<int>(k.size(2)), static_cast<float>(softmax_scale * kLog2E)};
}

inline torch::Tensor output_for(const torch::Tensor& q) { return torch::empty(q.sizes(), q.options().dtype(torch::kHalf)); }

inline dim3 grid_for(const torch::Tensor& q) {
  return dim3(static_cast<unsigned>((q.size(2) + kRowsPerBlock - 1) / kRowsPerBlock), static_cast<unsigned>(q.size(0) * q.size(1)));
}

// v_scale is null for values that are not quantised.
template <class Values>
torch::Tensor launch_attention(const torch::Tensor& q, const torch::Tensor& q_scale, const torch::Tensor& k,
                               const torch::Tensor& k_scale, const torch::Tensor& v, const float* v_scale, bool causal,
                               double softmax_scale, int64_t stream) {
  check_attention_inputs(q, q_scale, k, k_scale, v);
  torch::Tensor out = output_for(q);
  const bool small = q.size(3) == 64;
  auto* kernel = small ? (causal ? attention_kernel<64, true, Values> : attention_kernel<64, false, Values>)
                       : (causal ? attention_kernel<128, true, Values> : attention_kernel<128, false, Values>);
  kernel<<<grid_for(q), kRowsPerBlock * kWarpSize, 0, reinterpret_cast<cudaStream_t>(stream)>>>(
      static_cast<const int8_t*>(q.data_ptr()), static_cast<const float*>(q_scale.data_ptr()),
      static_cast<const int8_t*>(k.data_ptr()), static_cast<const float*>(k_scale.data_ptr()),
      static_cast<const typename Values::Storage*>(v.data_ptr()), v_scale, static_cast<half*>(out.data_ptr()),
      shape_of(q, k, softmax_scale));
  const cudaError_t status = cudaGetLastError();
  TORCH_CHECK(status == cudaSuccess, "attention kernel: ", cudaGetErrorString(status));
  return out;
}
