#pragma once

#include <torch/extension.h>

// int8 q and k with one scale per row, e4m3 v with one scale per channel; otherwise as in attn_sm80.h.
// f32 and f16 name the type in which weighted values are summed within 32 keys.
torch::Tensor qk_int8_sv_f8_accum_f32_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale,
                                           torch::Tensor v, torch::Tensor v_scale, bool causal, double softmax_scale,
                                           int64_t stream);
torch::Tensor qk_int8_sv_f8_accum_f16_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale,
                                           torch::Tensor v, torch::Tensor v_scale, bool causal, double softmax_scale,
                                           int64_t stream);
