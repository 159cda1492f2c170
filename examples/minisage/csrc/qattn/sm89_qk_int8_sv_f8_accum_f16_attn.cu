// From 8.9 on: int8 scores, e4m3 values, summed in f16.

#include "attn_sm89.h"
#include "qk_int8_sv_f8_sm89.cuh"

torch::Tensor qk_int8_sv_f8_accum_f16_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale,
                                           torch::Tensor v, torch::Tensor v_scale, bool causal, double softmax_scale,
                                           int64_t stream) {
  return launch_fp8_attention<Fp8ValuesHalfSum>(q, q_scale, k, k_scale, v, v_scale, causal, softmax_scale, stream);
}
