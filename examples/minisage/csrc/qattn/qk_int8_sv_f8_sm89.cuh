#pragma once
// The part that both sources of _qattn_sm89 share.

#include "launch.cuh"

inline const float* fp8_scales(const torch::Tensor& v, const torch::Tensor& v_scale) {
  TORCH_CHECK(v.scalar_type() == at::ScalarType::Float8_e4m3fn, "v must be float8_e4m3fn");
  TORCH_CHECK(v_scale.is_cuda() && v_scale.is_contiguous() && v_scale.scalar_type() == torch::kFloat32 &&
                  v_scale.numel() == v.size(0) * v.size(1) * v.size(3),
              "v_scale must hold one float32 per channel");
  return static_cast<const float*>(v_scale.data_ptr());
}

template <class Values>
torch::Tensor launch_fp8_attention(const torch::Tensor& q, const torch::Tensor& q_scale, const torch::Tensor& k,
                                   const torch::Tensor& k_scale, const torch::Tensor& v, const torch::Tensor& v_scale, bool causal,
                                   double softmax_scale, int64_t stream) {
  return launch_attention<Values>(q, q_scale, k, k_scale, v, fp8_scales(v, v_scale), causal, softmax_scale, stream);
}
