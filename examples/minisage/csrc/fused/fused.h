#pragma once

#include <torch/extension.h>

#include <tuple>

// x: [batch, heads, rows, 64 or 128], fp16, contiguous. Returns int8 values and one fp32 scale per row ([batch, heads, rows]);
// x is about values * scale.
std::tuple<torch::Tensor, torch::Tensor> quant_per_row_int8(torch::Tensor x);

// v: the same shape. Returns e4m3 values and one fp32 scale per channel ([batch, heads, channels]). Traps on code made below sm_89.
std::tuple<torch::Tensor, torch::Tensor> quant_per_channel_fp8(torch::Tensor v);
