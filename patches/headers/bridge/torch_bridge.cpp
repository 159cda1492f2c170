// The host half of the facade: its questions, answered by the real torch. Compiled once per torch,
// and linked into every module that has objects made with the facade.

#define AT_PER_OPERATOR_HEADERS
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/generated/variable_factories.h>
#undef AT_PER_OPERATOR_HEADERS

#include <c10/core/ScalarType.h>
#include <c10/core/ScalarTypeToTypeMeta.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>

#include <new>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>

#include "../facade/sagebuild/torch_bridge.h"

// Declared by hand: its header wants the headers of CUDA's libraries, which a small toolkit lacks.
namespace at::cuda {
cudaDeviceProp* getCurrentDeviceProperties();
}

namespace sagebuild_bridge {
namespace {

using at::ScalarType;
using at::Tensor;
using at::TensorOptions;
using c10::DeviceType;
using c10::Layout;
using c10::MemoryFormat;
using c10::cuda::CUDAGuard;
using c10::cuda::CUDAStream;
using caffe2::TypeMeta;

// The facade's classes are torch's in memory: its own headers assert the same shapes of them.
static_assert(shape_of<Tensor>() == kTensor);
static_assert(shape_of<at::IntArrayRef>() == kArrayRef);
static_assert(shape_of<c10::Device>() == kDevice);
static_assert(shape_of<caffe2::TypeMeta>() == kTypeMeta);
static_assert(shape_of<at::TensorOptions>() == kTensorOptions);
static_assert(shape_of<c10::cuda::CUDAStream>() == kCUDAStream);
static_assert(shape_of<c10::cuda::CUDAGuard>() == kCUDAGuard);

// And so are its enumerators.
template <class Enum>
constexpr bool is_numbered(Enum value, int number) {
  return std::is_same_v<std::underlying_type_t<Enum>, std::int8_t> &&
         static_cast<int>(value) == number;
}
static_assert(is_numbered(ScalarType::Byte, 0) && is_numbered(ScalarType::Char, 1) &&
              is_numbered(ScalarType::Short, 2) && is_numbered(ScalarType::Int, 3) &&
              is_numbered(ScalarType::Long, 4) && is_numbered(ScalarType::Half, 5) &&
              is_numbered(ScalarType::Float, 6) && is_numbered(ScalarType::Double, 7) &&
              is_numbered(ScalarType::Bool, 11) && is_numbered(ScalarType::BFloat16, 15) &&
              is_numbered(ScalarType::Float8_e5m2, 23) &&
              is_numbered(ScalarType::Float8_e4m3fn, 24));
static_assert(is_numbered(DeviceType::CPU, 0) && is_numbered(DeviceType::CUDA, 1) &&
              is_numbered(DeviceType::Meta, 14));
static_assert(is_numbered(Layout::Strided, 0) && is_numbered(Layout::Sparse, 1) &&
              is_numbered(Layout::SparseCsr, 2) && is_numbered(Layout::Mkldnn, 3) &&
              is_numbered(Layout::SparseCsc, 4) && is_numbered(Layout::SparseBsr, 5) &&
              is_numbered(Layout::SparseBsc, 6) && is_numbered(Layout::Jagged, 7));
static_assert(is_numbered(MemoryFormat::Contiguous, 0) && is_numbered(MemoryFormat::Preserve, 1) &&
              is_numbered(MemoryFormat::ChannelsLast, 2) &&
              is_numbered(MemoryFormat::ChannelsLast3d, 3));

// The facade's signatures are torch's where a call could tell: what converts to what, and what does
// not.
static_assert(!std::is_convertible_v<Tensor, bool> && std::is_assignable_v<Tensor, Tensor>);
static_assert(std::is_convertible_v<std::int64_t, at::IntArrayRef>);
static_assert(std::is_convertible_v<c10::Device, TensorOptions> &&
              std::is_convertible_v<ScalarType, TensorOptions> &&
              std::is_convertible_v<Layout, TensorOptions> &&
              std::is_convertible_v<MemoryFormat, TensorOptions> &&
              std::is_convertible_v<DeviceType, TensorOptions> &&
              std::is_convertible_v<TypeMeta, TensorOptions> &&
              !std::is_convertible_v<bool, TensorOptions>);
static_assert(std::is_convertible_v<DeviceType, c10::Device> &&
              std::is_convertible_v<std::string, c10::Device> &&
              !std::is_constructible_v<c10::Device> &&
              !std::is_constructible_v<TypeMeta, ScalarType>);
static_assert(std::is_convertible_v<CUDAStream, cudaStream_t> &&
              !std::is_constructible_v<CUDAStream, cudaStream_t>);
static_assert(std::is_same_v<c10::DeviceIndex, std::int8_t> &&
              std::is_same_v<c10::StreamId, std::int64_t>);

const Tensor& as_tensor(const void* tensor) { return *static_cast<const Tensor*>(tensor); }
Tensor& as_tensor(void* tensor) { return *static_cast<Tensor*>(tensor); }
const c10::Device& as_device(const void* device) {
  return *static_cast<const c10::Device*>(device);
}
const TypeMeta& as_type_meta(const void* type_meta) {
  return *static_cast<const TypeMeta*>(type_meta);
}
const TensorOptions& as_options(const void* options) {
  return *static_cast<const TensorOptions*>(options);
}
TensorOptions& as_options(void* options) { return *static_cast<TensorOptions*>(options); }
const CUDAStream& as_stream(const void* stream) { return *static_cast<const CUDAStream*>(stream); }
const CUDAGuard& as_guard(const void* guard) { return *static_cast<const CUDAGuard*>(guard); }
CUDAGuard& as_guard(void* guard) { return *static_cast<CUDAGuard*>(guard); }

template <class Enum>
std::optional<Enum> enumerator(const std::int8_t* number) {
  return number == nullptr ? std::nullopt : std::optional(static_cast<Enum>(*number));
}

template <class T>
bool answer(std::int8_t* number, const std::optional<T>& set, T otherwise) {
  *number = static_cast<std::int8_t>(set.value_or(otherwise));
  return set.has_value();
}

bool answer(bool* value, const std::optional<bool>& set) {
  *value = set.value_or(false);
  return set.has_value();
}

}  // namespace

void init(void* tensor) noexcept { new (tensor) Tensor(); }
void copy(void* tensor, const void* from) { new (tensor) Tensor(as_tensor(from)); }
void move(void* tensor, void* from) noexcept { new (tensor) Tensor(std::move(as_tensor(from))); }
void assign(void* tensor, const void* from) noexcept { as_tensor(tensor) = as_tensor(from); }
void assign_moved(void* tensor, void* from) noexcept {
  as_tensor(tensor) = std::move(as_tensor(from));
}
void assign_values(void* tensor, const void* from) {
  std::move(as_tensor(tensor)) = as_tensor(from);
}
void destroy(void* tensor) noexcept { as_tensor(tensor).~Tensor(); }

bool defined(const void* tensor) { return as_tensor(tensor).defined(); }
bool is_cuda(const void* tensor) { return as_tensor(tensor).is_cuda(); }
bool is_contiguous(const void* tensor, std::int8_t memory_format) {
  return as_tensor(tensor).is_contiguous(static_cast<MemoryFormat>(memory_format));
}
std::int64_t dim(const void* tensor) { return as_tensor(tensor).dim(); }
std::int64_t numel(const void* tensor) { return as_tensor(tensor).numel(); }
std::int64_t size(const void* tensor, std::int64_t dimension) {
  return as_tensor(tensor).size(dimension);
}
std::int64_t stride(const void* tensor, std::int64_t dimension) {
  return as_tensor(tensor).stride(dimension);
}

Numbers sizes(const void* tensor) {
  const auto list = as_tensor(tensor).sizes();
  return {list.data(), list.size()};
}

Numbers strides(const void* tensor) {
  const auto list = as_tensor(tensor).strides();
  return {list.data(), list.size()};
}

std::int8_t scalar_type(const void* tensor) {
  return static_cast<std::int8_t>(as_tensor(tensor).scalar_type());
}

std::int8_t layout(const void* tensor) {
  return static_cast<std::int8_t>(as_tensor(tensor).layout());
}
void dtype(void* type_meta, const void* tensor) {
  new (type_meta) TypeMeta(as_tensor(tensor).dtype());
}
void device(void* device, const void* tensor) {
  new (device) c10::Device(as_tensor(tensor).device());
}
void options(void* options, const void* tensor) {
  new (options) TensorOptions(as_tensor(tensor).options());
}
std::int8_t get_device(const void* tensor) { return as_tensor(tensor).get_device(); }

void contiguous(void* result, const void* tensor, std::int8_t memory_format) {
  as_tensor(result) = as_tensor(tensor).contiguous(static_cast<MemoryFormat>(memory_format));
}

void* data_ptr(const void* tensor) { return as_tensor(tensor).data_ptr(); }

void* data_ptr_as(const void* tensor, std::int8_t dtype) {
  const Tensor& self = as_tensor(tensor);
  switch (static_cast<ScalarType>(dtype)) {
    case ScalarType::Byte:
      return self.data_ptr<std::uint8_t>();
    case ScalarType::Char:
      return self.data_ptr<std::int8_t>();
    case ScalarType::Short:
      return self.data_ptr<std::int16_t>();
    case ScalarType::Int:
      return self.data_ptr<std::int32_t>();
    case ScalarType::Long:
      return self.data_ptr<std::int64_t>();
    case ScalarType::Float:
      return self.data_ptr<float>();
    case ScalarType::Double:
      return self.data_ptr<double>();
    case ScalarType::Bool:
      return self.data_ptr<bool>();
    default:
      TORCH_CHECK(false, "no such type in sagebuild's facade: ", static_cast<int>(dtype));
  }
}

void empty(void* result, Numbers sizes, const void* options, const std::int8_t* memory_format) {
  as_tensor(result) = torch::empty(at::IntArrayRef(sizes.data, sizes.size), as_options(options),
                                   enumerator<MemoryFormat>(memory_format));
}

const char* name_of(std::int8_t dtype) { return c10::toString(static_cast<ScalarType>(dtype)); }

void make_device(void* device, std::int8_t type, std::int8_t index) noexcept {
  new (device) c10::Device(static_cast<DeviceType>(type), index);
}
void parse_device(void* device, const char* text, std::size_t size) {
  new (device) c10::Device(std::string(text, size));
}
std::int8_t device_type(const void* device) noexcept {
  return static_cast<std::int8_t>(as_device(device).type());
}
std::int8_t device_index(const void* device) noexcept { return as_device(device).index(); }

void make_type_meta(void* type_meta) noexcept { new (type_meta) TypeMeta(); }
void make_type_meta_of(void* type_meta, std::int8_t dtype) noexcept {
  new (type_meta) TypeMeta(c10::scalarTypeToTypeMeta(static_cast<ScalarType>(dtype)));
}
bool same_type_meta(const void* left, const void* right) noexcept {
  return as_type_meta(left) == as_type_meta(right);
}
bool is_scalar_type(const void* type_meta) noexcept {
  return as_type_meta(type_meta).isScalarType();
}
std::int8_t scalar_type_of(const void* type_meta) {
  return static_cast<std::int8_t>(c10::typeMetaToScalarType(as_type_meta(type_meta)));
}
std::size_t item_size(const void* type_meta) noexcept { return as_type_meta(type_meta).itemsize(); }

void make_options(void* options) noexcept { new (options) TensorOptions(); }
void set_device(void* options, const void* device) noexcept {
  as_options(options) = as_options(options).device(
      device == nullptr ? std::nullopt : std::optional(as_device(device)));
}
void set_dtype(void* options, const void* type_meta) noexcept {
  as_options(options) = as_options(options).dtype(
      type_meta == nullptr ? std::nullopt : std::optional(as_type_meta(type_meta)));
}
void set_layout(void* options, const std::int8_t* layout) noexcept {
  as_options(options) = as_options(options).layout(enumerator<Layout>(layout));
}
void set_memory_format(void* options, const std::int8_t* memory_format) noexcept {
  as_options(options) = as_options(options).memory_format(enumerator<MemoryFormat>(memory_format));
}
void set_requires_grad(void* options, const bool* requires_grad) noexcept {
  as_options(options) = as_options(options).requires_grad(
      requires_grad == nullptr ? std::nullopt : std::optional(*requires_grad));
}
void set_pinned_memory(void* options, const bool* pinned_memory) noexcept {
  as_options(options) = as_options(options).pinned_memory(
      pinned_memory == nullptr ? std::nullopt : std::optional(*pinned_memory));
}

bool device_of(void* device, const void* options) noexcept {
  new (device) c10::Device(as_options(options).device());
  return as_options(options).has_device();
}
bool dtype_of(void* type_meta, const void* options) noexcept {
  new (type_meta) TypeMeta(as_options(options).dtype());
  return as_options(options).has_dtype();
}
bool layout_of(std::int8_t* layout, const void* options) noexcept {
  return answer(layout, as_options(options).layout_opt(), Layout::Strided);
}
bool memory_format_of(std::int8_t* memory_format, const void* options) noexcept {
  return answer(memory_format, as_options(options).memory_format_opt(), MemoryFormat::Contiguous);
}
bool requires_grad_of(bool* requires_grad, const void* options) noexcept {
  return answer(requires_grad, as_options(options).requires_grad_opt());
}
bool pinned_memory_of(bool* pinned_memory, const void* options) noexcept {
  return answer(pinned_memory, as_options(options).pinned_memory_opt());
}

void check_failed(const char* function, const char* file, std::uint32_t line, const char* text) {
  c10::detail::torchCheckFail(function, file, line, text);
}

void current_stream(void* stream, std::int8_t device) {
  new (stream) CUDAStream(c10::cuda::getCurrentCUDAStream(device));
}
void* handle_of(const void* stream) { return as_stream(stream).stream(); }
void stream_device(void* device, const void* stream) noexcept {
  new (device) c10::Device(as_stream(stream).device());
}
std::int64_t stream_id(const void* stream) noexcept { return as_stream(stream).id(); }
bool same_stream(const void* left, const void* right) noexcept {
  return as_stream(left) == as_stream(right);
}
void print_stream(std::ostream& out, const void* stream) { out << as_stream(stream); }
void* current_device_properties() { return at::cuda::getCurrentDeviceProperties(); }

void check_cuda(int error, const char* file, const char* function, std::uint32_t line) {
  c10::cuda::c10_cuda_check_implementation(error, file, function, line, true);
}

void make_guard(void* guard, const void* device) { new (guard) CUDAGuard(as_device(device)); }
void destroy_guard(void* guard) noexcept { as_guard(guard).~CUDAGuard(); }
void set_guard(void* guard, const void* device) { as_guard(guard).set_device(as_device(device)); }
void reset_guard(void* guard, const void* device) {
  as_guard(guard).reset_device(as_device(device));
}
void original_device(void* device, const void* guard) noexcept {
  new (device) c10::Device(as_guard(guard).original_device());
}
void current_device(void* device, const void* guard) noexcept {
  new (device) c10::Device(as_guard(guard).current_device());
}

}  // namespace sagebuild_bridge
