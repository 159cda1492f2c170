#pragma once
// What the facade asks of torch on the host. It is compiled against no torch, so the same text serves every version;
// bridge/torch_bridge.cpp answers with the real torch's own functions and is compiled once per torch. A `tensor` is the
// address of an at::Tensor: one pointer, in every torch.

#include <cstddef>
#include <cstdint>

#define SAGEBUILD_HIDDEN __attribute__((visibility("hidden")))
#define SAGEBUILD_INLINE __attribute__((always_inline)) inline

namespace sagebuild_bridge {

struct Options {
  std::int8_t dtype;  // c10::ScalarType
  std::int8_t device_type;
  std::int8_t device_index;
  bool has_dtype;
  bool has_device;
};

struct Numbers {
  const std::int64_t* data;
  std::size_t size;
};

SAGEBUILD_HIDDEN void init(void* tensor) noexcept;
SAGEBUILD_HIDDEN void copy(void* tensor, const void* from) noexcept;
SAGEBUILD_HIDDEN void move(void* tensor, void* from) noexcept;
SAGEBUILD_HIDDEN void assign(void* tensor, const void* from);
SAGEBUILD_HIDDEN void assign_moved(void* tensor, void* from);
SAGEBUILD_HIDDEN void destroy(void* tensor) noexcept;

SAGEBUILD_HIDDEN bool defined(const void* tensor);
SAGEBUILD_HIDDEN bool is_cuda(const void* tensor);
SAGEBUILD_HIDDEN bool is_contiguous(const void* tensor);
SAGEBUILD_HIDDEN std::int64_t dim(const void* tensor);
SAGEBUILD_HIDDEN std::int64_t numel(const void* tensor);
SAGEBUILD_HIDDEN std::int64_t size(const void* tensor, std::int64_t dimension);
SAGEBUILD_HIDDEN std::int64_t stride(const void* tensor, std::int64_t dimension);
SAGEBUILD_HIDDEN Numbers sizes(const void* tensor);
SAGEBUILD_HIDDEN Numbers strides(const void* tensor);
SAGEBUILD_HIDDEN std::int8_t scalar_type(const void* tensor);
SAGEBUILD_HIDDEN std::int8_t dtype(const void* tensor);  // -1: none that is a ScalarType
SAGEBUILD_HIDDEN Options options(const void* tensor);     // throws for what is not strided: Options cannot say it
SAGEBUILD_HIDDEN std::int8_t get_device(const void* tensor);
SAGEBUILD_HIDDEN void contiguous(void* result, const void* tensor);  // `result`: no tensor yet
SAGEBUILD_HIDDEN void* data_ptr(const void* tensor);
SAGEBUILD_HIDDEN void* data_ptr_as(const void* tensor, std::int8_t dtype);  // throws if the tensor has another

SAGEBUILD_HIDDEN void empty(void* result, Numbers sizes, Options options);
SAGEBUILD_HIDDEN const char* name_of(std::int8_t dtype);

// Throws c10::Error, as TORCH_CHECK does.
[[noreturn]] SAGEBUILD_HIDDEN void check_failed(const char* function, const char* file, std::uint32_t line,
                                                const char* text);

SAGEBUILD_HIDDEN void* current_stream(int device);
SAGEBUILD_HIDDEN void* current_device_properties();
SAGEBUILD_HIDDEN void check_cuda(int error, const char* file, const char* function, int line);
SAGEBUILD_HIDDEN void guard(void* storage, std::int8_t device_type, std::int8_t device_index);  // 16 bytes
SAGEBUILD_HIDDEN void unguard(void* storage) noexcept;

}  // namespace sagebuild_bridge
