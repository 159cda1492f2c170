#pragma once
// What the facade asks of torch on the host. It is compiled against no torch, so the same text
// serves every version; bridge/torch_bridge.cpp answers with the real torch's own functions and is
// compiled once per torch. Objects of torch travel by address: the facade's classes have the size
// and the alignment of torch's (Shape, below), and what is in them is torch's own, made and read by
// the bridge alone.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <type_traits>

#define SAGEBUILD_HIDDEN __attribute__((visibility("hidden")))
#define SAGEBUILD_INLINE __attribute__((always_inline)) inline

namespace sagebuild_bridge {

// How a class lies in memory and how functions hand it on. Name mangling tells nothing of it, so
// both sides assert it: the facade of its classes, the bridge of torch's. Left out is what torch's
// versions disagree on: Tensor's copy constructor and TensorOptions' default constructor are
// noexcept from torch 2.14 on, here they are not; ArrayRef is final until 2.8, here it is not.
struct Shape {
  std::size_t size;
  std::size_t alignment;
  std::size_t size_with_a_byte_behind;  // tells of padding at the end that others may use
  bool trivially_copyable;
  bool trivially_destructible;
  bool standard_layout;
  bool nothrow_copy_assignable;
  bool nothrow_movable;
  bool nothrow_move_assignable;

  friend constexpr bool operator==(const Shape& left, const Shape& right) {
    return left.size == right.size && left.alignment == right.alignment &&
           left.size_with_a_byte_behind == right.size_with_a_byte_behind &&
           left.trivially_copyable == right.trivially_copyable &&
           left.trivially_destructible == right.trivially_destructible &&
           left.standard_layout == right.standard_layout &&
           left.nothrow_copy_assignable == right.nothrow_copy_assignable &&
           left.nothrow_movable == right.nothrow_movable &&
           left.nothrow_move_assignable == right.nothrow_move_assignable;
  }
};

template <class T>
struct ByteBehind {
  [[no_unique_address]] T value;
  char byte;
};

template <class T>
constexpr Shape shape_of() {
  return {sizeof(T),
          alignof(T),
          sizeof(ByteBehind<T>),
          std::is_trivially_copyable<T>::value,
          std::is_trivially_destructible<T>::value,
          std::is_standard_layout<T>::value,
          std::is_nothrow_copy_assignable<T>::value,
          std::is_nothrow_move_constructible<T>::value,
          std::is_nothrow_move_assignable<T>::value};
}

constexpr Shape plain(std::size_t size, std::size_t alignment, std::size_t with_a_byte_behind) {
  return {size, alignment, with_a_byte_behind, true, true, true, true, true, true};
}
constexpr Shape kTensor = {8, 8, 16, false, false, true, true, true, true};
constexpr Shape kArrayRef = plain(16, 8, 24);
constexpr Shape kDevice = plain(2, 1, 3);
constexpr Shape kTypeMeta = plain(2, 2, 4);
constexpr Shape kTensorOptions = plain(8, 2, 8);
constexpr Shape kCUDAStream = plain(16, 8, 24);
constexpr Shape kCUDAGuard = {16, 8, 24, false, false, false, false, false, false};

// A facade's object that the bridge is about to make.
struct Unmade {};

struct Numbers {
  const std::int64_t* data;
  std::size_t size;
};

// Enumerators travel as their numbers, which the bridge asserts. What a question gives comes first;
// it is made there.
SAGEBUILD_HIDDEN void init(void* tensor) noexcept;
SAGEBUILD_HIDDEN void copy(void* tensor, const void* from);
SAGEBUILD_HIDDEN void move(void* tensor, void* from) noexcept;
SAGEBUILD_HIDDEN void assign(void* tensor, const void* from) noexcept;
SAGEBUILD_HIDDEN void assign_moved(void* tensor, void* from) noexcept;
SAGEBUILD_HIDDEN void assign_values(void* tensor, const void* from);  // to what it refers to
SAGEBUILD_HIDDEN void destroy(void* tensor) noexcept;

SAGEBUILD_HIDDEN bool defined(const void* tensor);
SAGEBUILD_HIDDEN bool is_cuda(const void* tensor);
SAGEBUILD_HIDDEN bool is_contiguous(const void* tensor, std::int8_t memory_format);
SAGEBUILD_HIDDEN std::int64_t dim(const void* tensor);
SAGEBUILD_HIDDEN std::int64_t numel(const void* tensor);
SAGEBUILD_HIDDEN std::int64_t size(const void* tensor, std::int64_t dimension);
SAGEBUILD_HIDDEN std::int64_t stride(const void* tensor, std::int64_t dimension);
SAGEBUILD_HIDDEN Numbers sizes(const void* tensor);
SAGEBUILD_HIDDEN Numbers strides(const void* tensor);
SAGEBUILD_HIDDEN std::int8_t scalar_type(const void* tensor);
SAGEBUILD_HIDDEN std::int8_t layout(const void* tensor);
SAGEBUILD_HIDDEN void dtype(void* type_meta, const void* tensor);
SAGEBUILD_HIDDEN void device(void* device, const void* tensor);
SAGEBUILD_HIDDEN void options(void* options, const void* tensor);
SAGEBUILD_HIDDEN std::int8_t get_device(const void* tensor);
SAGEBUILD_HIDDEN void contiguous(void* result, const void* tensor, std::int8_t memory_format);
SAGEBUILD_HIDDEN void* data_ptr(const void* tensor);
// Throws if the tensor has another type.
SAGEBUILD_HIDDEN void* data_ptr_as(const void* tensor, std::int8_t dtype);

SAGEBUILD_HIDDEN void empty(void* result, Numbers sizes, const void* options,
                            const std::int8_t* memory_format);
SAGEBUILD_HIDDEN const char* name_of(std::int8_t dtype);

SAGEBUILD_HIDDEN void make_device(void* device, std::int8_t type, std::int8_t index) noexcept;
SAGEBUILD_HIDDEN void parse_device(void* device, const char* text, std::size_t size);
SAGEBUILD_HIDDEN std::int8_t device_type(const void* device) noexcept;
SAGEBUILD_HIDDEN std::int8_t device_index(const void* device) noexcept;

SAGEBUILD_HIDDEN void make_type_meta(void* type_meta) noexcept;
SAGEBUILD_HIDDEN void make_type_meta_of(void* type_meta, std::int8_t dtype) noexcept;
SAGEBUILD_HIDDEN bool same_type_meta(const void* left, const void* right) noexcept;
SAGEBUILD_HIDDEN bool is_scalar_type(const void* type_meta) noexcept;
SAGEBUILD_HIDDEN std::int8_t scalar_type_of(const void* type_meta);  // throws for what is none
SAGEBUILD_HIDDEN std::size_t item_size(const void* type_meta) noexcept;

// Null clears what is set. An answer is true if it was set; else the value is torch's default, if
// there is one.
SAGEBUILD_HIDDEN void make_options(void* options) noexcept;
SAGEBUILD_HIDDEN void set_device(void* options, const void* device) noexcept;
SAGEBUILD_HIDDEN void set_dtype(void* options, const void* type_meta) noexcept;
SAGEBUILD_HIDDEN void set_layout(void* options, const std::int8_t* layout) noexcept;
SAGEBUILD_HIDDEN void set_memory_format(void* options, const std::int8_t* memory_format) noexcept;
SAGEBUILD_HIDDEN void set_requires_grad(void* options, const bool* requires_grad) noexcept;
SAGEBUILD_HIDDEN void set_pinned_memory(void* options, const bool* pinned_memory) noexcept;
SAGEBUILD_HIDDEN bool device_of(void* device, const void* options) noexcept;
SAGEBUILD_HIDDEN bool dtype_of(void* type_meta, const void* options) noexcept;
SAGEBUILD_HIDDEN bool layout_of(std::int8_t* layout, const void* options) noexcept;
SAGEBUILD_HIDDEN bool memory_format_of(std::int8_t* memory_format, const void* options) noexcept;
SAGEBUILD_HIDDEN bool requires_grad_of(bool* requires_grad, const void* options) noexcept;
SAGEBUILD_HIDDEN bool pinned_memory_of(bool* pinned_memory, const void* options) noexcept;

// Throws c10::Error, as TORCH_CHECK does.
[[noreturn]] SAGEBUILD_HIDDEN void check_failed(const char* function, const char* file,
                                                std::uint32_t line, const char* text);

SAGEBUILD_HIDDEN void current_stream(void* stream, std::int8_t device);
SAGEBUILD_HIDDEN void* handle_of(const void* stream);  // a cudaStream_t
SAGEBUILD_HIDDEN void stream_device(void* device, const void* stream) noexcept;
SAGEBUILD_HIDDEN std::int64_t stream_id(const void* stream) noexcept;
SAGEBUILD_HIDDEN bool same_stream(const void* left, const void* right) noexcept;
SAGEBUILD_HIDDEN void print_stream(std::ostream& out, const void* stream);
SAGEBUILD_HIDDEN void* current_device_properties();
SAGEBUILD_HIDDEN void check_cuda(int error, const char* file, const char* function,
                                 std::uint32_t line);

SAGEBUILD_HIDDEN void make_guard(void* guard, const void* device);
SAGEBUILD_HIDDEN void destroy_guard(void* guard) noexcept;
SAGEBUILD_HIDDEN void set_guard(void* guard, const void* device);
SAGEBUILD_HIDDEN void reset_guard(void* guard, const void* device);
SAGEBUILD_HIDDEN void original_device(void* device, const void* guard) noexcept;
SAGEBUILD_HIDDEN void current_device(void* device, const void* guard) noexcept;

}  // namespace sagebuild_bridge
