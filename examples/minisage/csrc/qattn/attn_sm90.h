#pragma once

#include <torch/extension.h>

// As qk_int8_sv_f8_accum_f32_attn of attn_sm89.h, with the keys brought in by the tensor memory accelerator.
torch::Tensor qk_int8_sv_f8_hopper_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale,
                                        torch::Tensor v, torch::Tensor v_scale, bool causal, double softmax_scale, int64_t stream);
