#pragma once
// What the attention kernels share: one warp owns one query row and walks over the keys in chunks of 32, with the running maximum
// and sum of an online softmax. Slow and plain: it is here to be right, and to compile in seconds.

#include <cuda_fp16.h>

#include <cstdint>

#include "../fp8.cuh"
#include "../warp.cuh"

constexpr int kRowsPerBlock = 4;
constexpr int kChunk = kWarpSize;

// Passed to kernels by value.
struct Shape {
  int rows_q;
  int rows_k;
  float softmax_scale;  // times log2(e): probabilities are powers of two
};

// Values in fp16, summed in fp32.
struct HalfValues {
  using Storage = half;
  using Sum = float2;
  static __device__ __forceinline__ void add(Sum& sum, float weight, const Storage* at) {
    const float2 value = __half22float2(*reinterpret_cast<const half2*>(at));
    sum.x += weight * value.x;
    sum.y += weight * value.y;
  }
  static __device__ __forceinline__ float2 result(Sum sum) { return sum; }
};

// Values in e4m3, summed in fp32.
struct Fp8Values {
  using Storage = uint8_t;
  using Sum = float2;
  static __device__ __forceinline__ void add(Sum& sum, float weight, const Storage* at) {
    const float2 value = __half22float2(from_fp8(*reinterpret_cast<const uint16_t*>(at)));
    sum.x += weight * value.x;
    sum.y += weight * value.y;
  }
  static __device__ __forceinline__ float2 result(Sum sum) { return sum; }
};

// Values in e4m3, summed in fp16 within a chunk. 32 values of at most 448 with weights of at most 1 stay below 65504.
struct Fp8ValuesHalfSum {
  using Storage = uint8_t;
  using Sum = half2;
  static __device__ __forceinline__ void add(Sum& sum, float weight, const Storage* at) {
    sum = __hfma2(__float2half2_rn(weight), from_fp8(*reinterpret_cast<const uint16_t*>(at)), sum);
  }
  static __device__ __forceinline__ float2 result(Sum sum) { return __half22float2(sum); }
};

// One query row, spread over the lanes of a warp: lane i holds channels [i * kPerLane, (i + 1) * kPerLane).
template <int kHeadDim, class Values>
class QueryRow {
 public:
  using Storage = typename Values::Storage;
  static constexpr int kPerLane = kHeadDim / kWarpSize;

  __device__ QueryRow(const int8_t* q, float score_scale) : score_scale_(score_scale) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) q_[i] = q[first_channel() + i];
  }

  // `keys` rows (at most kChunk) of k and v; k_scale holds one scale per row.
  __device__ void take_chunk(const int8_t* k, const float* k_scale, const Storage* v, int keys) {
    float score = -INFINITY;  // lane j holds the score of key j
    for (int j = 0; j < keys; ++j) {
      int dot = 0;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) dot += q_[i] * k[j * kHeadDim + first_channel() + i];
      dot = __reduce_add_sync(kAllLanes, dot);
      if (lane() == j) score = static_cast<float>(dot) * score_scale_ * k_scale[j];
    }
    const float maximum = fmaxf(maximum_, warp_max(score));
    const float correction = exp2f(maximum_ - maximum);
    const float weight = exp2f(score - maximum);
    maximum_ = maximum;
    total_ = total_ * correction + warp_sum(weight);

    typename Values::Sum sums[kPerLane / 2] = {};
    for (int j = 0; j < keys; ++j) {
      const float weight_of_key = __shfl_sync(kAllLanes, weight, j);
#pragma unroll
      for (int i = 0; i < kPerLane / 2; ++i) Values::add(sums[i], weight_of_key, v + j * kHeadDim + first_channel() + 2 * i);
    }
#pragma unroll
    for (int i = 0; i < kPerLane / 2; ++i) {
      const float2 sum = Values::result(sums[i]);
      out_[2 * i] = out_[2 * i] * correction + sum.x;
      out_[2 * i + 1] = out_[2 * i + 1] * correction + sum.y;
    }
  }

  // v_scale: one scale per channel, or null where v is not quantised.
  __device__ void store(half* out, const float* v_scale) const {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int channel = first_channel() + i;
      out[channel] = __float2half_rn(out_[i] / total_ * (v_scale ? v_scale[channel] : 1.0f));
    }
  }

 private:
  static __device__ __forceinline__ int lane() { return threadIdx.x % kWarpSize; }
  static __device__ __forceinline__ int first_channel() { return lane() * kPerLane; }

  int q_[kPerLane];
  float out_[kPerLane] = {};
  float score_scale_;
  float maximum_ = -INFINITY;
  float total_ = 0.0f;
};

// Grid: x = groups of kRowsPerBlock query rows, y = batch * heads.
template <int kHeadDim, bool kCausal, class Values>
__global__ void attention_kernel(const int8_t* q, const float* q_scale, const int8_t* k, const float* k_scale,
                                 const typename Values::Storage* v, const float* v_scale, half* out, Shape shape) {
  const int row = blockIdx.x * kRowsPerBlock + threadIdx.x / kWarpSize;
  if (row >= shape.rows_q) return;
  const int64_t head = blockIdx.y;
  const int64_t q_row = head * shape.rows_q + row;
  const int64_t k_row = head * shape.rows_k;
  const int limit = kCausal ? min(row + 1, shape.rows_k) : shape.rows_k;

  QueryRow<kHeadDim, Values> state(q + q_row * kHeadDim, q_scale[q_row] * shape.softmax_scale);
  for (int first = 0; first < limit; first += kChunk)
    state.take_chunk(k + (k_row + first) * kHeadDim, k_scale + k_row + first, v + (k_row + first) * kHeadDim,
                     min(kChunk, limit - first));
  state.store(out + q_row * kHeadDim, v_scale ? v_scale + head * kHeadDim : nullptr);
}
