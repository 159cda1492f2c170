// Hopper only. Key chunks come into shared memory by TMA, which needs a driver function (cuTensorMapEncodeTiled), so this module
// links libcuda. The wgmma instructions at the end order nothing here (no wgmma is in flight); they keep the source to 90a, as
// the real kernel's tensor core code does.

#include <cuda.h>

#include "attn_sm90.h"
#include "qk_int8_sv_f8_sm89.cuh"

namespace {

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void start_copy(int8_t* tile, uint64_t* ready, const CUtensorMap* map, int row, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(ready)), "r"(bytes) : "memory");
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared_address(tile)),
      "l"(map), "r"(0), "r"(row), "r"(shared_address(ready))
      : "memory");
}

__device__ __forceinline__ void wait_for(uint64_t* ready, uint32_t phase) {
  uint32_t done = 0;
  while (!done)
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.b32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(shared_address(ready)), "r"(phase)
        : "memory");
}

template <int kHeadDim, bool kCausal>
__global__ void hopper_attention_kernel(const int8_t* q, const float* q_scale, const __grid_constant__ CUtensorMap k_map,
                                        const float* k_scale, const uint8_t* v, const float* v_scale, half* out, Shape shape) {
  __shared__ alignas(128) int8_t tile[kChunk * kHeadDim];
  __shared__ uint64_t ready;
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&ready)));
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // A warp past the last row repeats it, so that all warps meet at the barriers; it stores nothing.
  const int wanted_row = blockIdx.x * kRowsPerBlock + threadIdx.x / kWarpSize;
  const int row = min(wanted_row, shape.rows_q - 1);
  const int block_end = min(static_cast<int>(blockIdx.x + 1) * kRowsPerBlock, shape.rows_q);
  const int64_t head = blockIdx.y;
  const int64_t q_row = head * shape.rows_q + row;
  const int64_t k_row = head * shape.rows_k;
  const int limit = kCausal ? min(row + 1, shape.rows_k) : shape.rows_k;
  const int block_limit = kCausal ? min(block_end, shape.rows_k) : shape.rows_k;

  QueryRow<kHeadDim, Fp8Values> state(q + q_row * kHeadDim, q_scale[q_row] * shape.softmax_scale);
  uint32_t phase = 0;
  for (int first = 0; first < block_limit; first += kChunk) {
    if (threadIdx.x == 0) start_copy(tile, &ready, &k_map, static_cast<int>(k_row) + first, sizeof(tile));
    wait_for(&ready, phase);
    phase ^= 1;
    if (first < limit)
      state.take_chunk(tile, k_scale + k_row + first, v + (k_row + first) * kHeadDim, min(kChunk, limit - first));
    __syncthreads();  // the next copy overwrites the tile
  }
  asm volatile("wgmma.fence.sync.aligned;\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
  if (wanted_row < shape.rows_q) state.store(out + q_row * kHeadDim, v_scale + head * kHeadDim);
}

// Keys of all heads as one matrix of rows, fetched kChunk rows at a time; rows past the end read as zero.
CUtensorMap key_map(const torch::Tensor& k) {
  const auto channels = static_cast<cuuint64_t>(k.size(3));
  const cuuint64_t sizes[2] = {channels, static_cast<cuuint64_t>(k.size(0) * k.size(1) * k.size(2))};
  const cuuint64_t row_bytes[1] = {channels};
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(channels), kChunk};
  const cuuint32_t steps[2] = {1, 1};
  CUtensorMap map;
  const CUresult result = cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, k.data_ptr(), sizes, row_bytes, box, steps,
                                                 CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                                 CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    const char* reason = nullptr;
    cuGetErrorString(result, &reason);
    TORCH_CHECK(false, "cuTensorMapEncodeTiled: ", reason ? reason : "unknown error");
  }
  return map;
}

}  // namespace

torch::Tensor qk_int8_sv_f8_hopper_attn(torch::Tensor q, torch::Tensor q_scale, torch::Tensor k, torch::Tensor k_scale,
                                        torch::Tensor v, torch::Tensor v_scale, bool causal, double softmax_scale, int64_t stream) {
  check_attention_inputs(q, q_scale, k, k_scale, v);
  const float* v_scales = fp8_scales(v, v_scale);
  torch::Tensor out = output_for(q);
  const bool small = q.size(3) == 64;
  auto* kernel = small ? (causal ? hopper_attention_kernel<64, true> : hopper_attention_kernel<64, false>)
                       : (causal ? hopper_attention_kernel<128, true> : hopper_attention_kernel<128, false>);
  kernel<<<grid_for(q), kRowsPerBlock * kWarpSize, 0, reinterpret_cast<cudaStream_t>(stream)>>>(
      static_cast<const int8_t*>(q.data_ptr()), static_cast<const float*>(q_scale.data_ptr()), key_map(k),
      static_cast<const float*>(k_scale.data_ptr()), static_cast<const uint8_t*>(v.data_ptr()), v_scales,
      static_cast<half*>(out.data_ptr()), shape_of(q, k, softmax_scale));
  const cudaError_t status = cudaGetLastError();
  TORCH_CHECK(status == cudaSuccess, "hopper attention kernel: ", cudaGetErrorString(status));
  return out;
}
