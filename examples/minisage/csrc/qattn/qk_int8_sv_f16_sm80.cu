// Any GPU from 8.0 on: int8 scores, fp16 values.

#include "attn_sm80.h"
#include "launch.cuh"

torch::Tensor qk_int8_sv_f16_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale, torch::Tensor v,
                                  bool causal, double softmax_scale, int64_t stream) {
  TORCH_CHECK(v.scalar_type() == torch::kHalf, "v must be float16");
  return launch_attention<HalfValues>(q, q_scale, k, k_scale, v, nullptr, causal, softmax_scale, stream);
}
