// The host half of the facade: its questions, answered by the real torch. Compiled once per torch, and linked into every
// module that has objects made with the facade.

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

#include "../facade/sagebuild/torch_bridge.h"

// Declared by hand: its header wants the headers of CUDA's libraries, which a small toolkit lacks.
namespace at::cuda {
cudaDeviceProp* getCurrentDeviceProperties();
}

namespace sagebuild_bridge {
namespace {

using at::ScalarType;
using at::Tensor;

// What the facade lays out as torch does.
static_assert(sizeof(Tensor) == sizeof(void*) && alignof(Tensor) == alignof(void*));
static_assert(sizeof(at::IntArrayRef) == 2 * sizeof(void*));
static_assert(sizeof(ScalarType) == 1 && sizeof(c10::DeviceType) == 1);
static_assert(static_cast<int>(ScalarType::Byte) == 0 && static_cast<int>(ScalarType::Char) == 1 &&
              static_cast<int>(ScalarType::Short) == 2 && static_cast<int>(ScalarType::Int) == 3 &&
              static_cast<int>(ScalarType::Long) == 4 && static_cast<int>(ScalarType::Half) == 5 &&
              static_cast<int>(ScalarType::Float) == 6 && static_cast<int>(ScalarType::Double) == 7 &&
              static_cast<int>(ScalarType::Bool) == 11 && static_cast<int>(ScalarType::BFloat16) == 15 &&
              static_cast<int>(ScalarType::Float8_e5m2) == 23 && static_cast<int>(ScalarType::Float8_e4m3fn) == 24);
static_assert(static_cast<int>(c10::DeviceType::CUDA) == 1);
static_assert(sizeof(c10::cuda::CUDAGuard) <= 16 && alignof(c10::cuda::CUDAGuard) <= 8);

const Tensor& as_tensor(const void* tensor) { return *static_cast<const Tensor*>(tensor); }
Tensor& as_tensor(void* tensor) { return *static_cast<Tensor*>(tensor); }

}  // namespace

void init(void* tensor) noexcept { new (tensor) Tensor(); }
void copy(void* tensor, const void* from) noexcept { new (tensor) Tensor(as_tensor(from)); }
void move(void* tensor, void* from) noexcept { new (tensor) Tensor(std::move(as_tensor(from))); }
void assign(void* tensor, const void* from) { as_tensor(tensor) = as_tensor(from); }
void assign_moved(void* tensor, void* from) { as_tensor(tensor) = std::move(as_tensor(from)); }
void destroy(void* tensor) noexcept { as_tensor(tensor).~Tensor(); }

bool defined(const void* tensor) { return as_tensor(tensor).defined(); }
bool is_cuda(const void* tensor) { return as_tensor(tensor).is_cuda(); }
bool is_contiguous(const void* tensor) { return as_tensor(tensor).is_contiguous(); }
std::int64_t dim(const void* tensor) { return as_tensor(tensor).dim(); }
std::int64_t numel(const void* tensor) { return as_tensor(tensor).numel(); }
std::int64_t size(const void* tensor, std::int64_t dimension) { return as_tensor(tensor).size(dimension); }
std::int64_t stride(const void* tensor, std::int64_t dimension) { return as_tensor(tensor).stride(dimension); }

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

std::int8_t dtype(const void* tensor) {
  const auto type = c10::optTypeMetaToScalarType(as_tensor(tensor).dtype());
  return type ? static_cast<std::int8_t>(*type) : static_cast<std::int8_t>(-1);
}

Options options(const void* tensor) {
  const Tensor& self = as_tensor(tensor);
  TORCH_CHECK(self.layout() == at::kStrided, "a launcher built by sagebuild needs a strided tensor");
  const auto device = self.device();
  return {scalar_type(tensor), static_cast<std::int8_t>(device.type()), device.index(), true, true};
}

std::int8_t get_device(const void* tensor) { return as_tensor(tensor).get_device(); }
void contiguous(void* result, const void* tensor) { as_tensor(result) = as_tensor(tensor).contiguous(); }
void* data_ptr(const void* tensor) { return as_tensor(tensor).data_ptr(); }

void* data_ptr_as(const void* tensor, std::int8_t dtype) {
  const Tensor& self = as_tensor(tensor);
  switch (static_cast<ScalarType>(dtype)) {
    case ScalarType::Byte: return self.data_ptr<std::uint8_t>();
    case ScalarType::Char: return self.data_ptr<std::int8_t>();
    case ScalarType::Short: return self.data_ptr<std::int16_t>();
    case ScalarType::Int: return self.data_ptr<std::int32_t>();
    case ScalarType::Long: return self.data_ptr<std::int64_t>();
    case ScalarType::Float: return self.data_ptr<float>();
    case ScalarType::Double: return self.data_ptr<double>();
    case ScalarType::Bool: return self.data_ptr<bool>();
    default: TORCH_CHECK(false, "no such type in sagebuild's facade: ", static_cast<int>(dtype));
  }
}

void empty(void* result, Numbers sizes, Options options) {
  at::TensorOptions wanted;
  if (options.has_dtype) wanted = wanted.dtype(static_cast<ScalarType>(options.dtype));
  if (options.has_device)
    wanted = wanted.device(c10::Device(static_cast<c10::DeviceType>(options.device_type), options.device_index));
  as_tensor(result) = torch::empty(at::IntArrayRef(sizes.data, sizes.size), wanted);
}

const char* name_of(std::int8_t dtype) { return c10::toString(static_cast<ScalarType>(dtype)); }

void check_failed(const char* function, const char* file, std::uint32_t line, const char* text) {
  c10::detail::torchCheckFail(function, file, line, text);
}

void* current_stream(int device) {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device)).stream();
}
void* current_device_properties() { return at::cuda::getCurrentDeviceProperties(); }

void check_cuda(int error, const char* file, const char* function, int line) {
  c10::cuda::c10_cuda_check_implementation(error, file, function, line, true);
}

void guard(void* storage, std::int8_t device_type, std::int8_t device_index) {
  new (storage) c10::cuda::CUDAGuard(c10::Device(static_cast<c10::DeviceType>(device_type), device_index));
}
void unguard(void* storage) noexcept { static_cast<c10::cuda::CUDAGuard*>(storage)->~CUDAGuard(); }

}  // namespace sagebuild_bridge
