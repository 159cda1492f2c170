#pragma once

#include <torch/extension.h>

// int8 q and k with one scale per row, fp16 v. All tensors [batch, heads, rows, channels], contiguous, on one GPU.
// stream: a cudaStream_t as a number (torch.cuda.current_stream().cuda_stream). Returns fp16.
torch::Tensor qk_int8_sv_f16_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale, torch::Tensor v,
                                  bool causal, double softmax_scale, int64_t stream);
