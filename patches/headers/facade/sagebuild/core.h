#pragma once
// Stand-ins for what torch's c10 holds: scalar types, devices, lists, options, and the checks. See
// torch/extension.h here.

#include <algorithm>
#include <array>
#include <cassert>  // before anything includes <assert.h> inside a namespace
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "sagebuild/torch_bridge.h"

// As c10/macros/Macros.h does: a using-declaration would add to what an unqualified call finds.
namespace c10 {}
namespace c10::cuda {}
namespace caffe2 {
using namespace c10;
}
namespace at {
using namespace c10;
}
namespace at::cuda {
using namespace c10::cuda;
}

namespace sagebuild_bridge {

[[noreturn]] SAGEBUILD_HIDDEN inline void check_failed(const char* function, const char* file,
                                                       std::uint32_t line,
                                                       const std::string& text) {
  check_failed(function, file, line, text.c_str());
}

SAGEBUILD_HIDDEN inline const char* message(const char* unsaid) { return unsaid; }
SAGEBUILD_HIDDEN inline const char* message(const char*, const char* text) { return text; }
template <class... Parts>
SAGEBUILD_HIDDEN std::string message(const char*, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

}  // namespace sagebuild_bridge

// In device code a failed check ends the path, as torch's does: a host function is called that
// never returns. The text of the device pass shall not hold the number of a line, which is nowhere
// in torch's PTX either.
#ifdef __CUDA_ARCH__
#define SAGEBUILD_HERE __func__, "", 0
#else
#define SAGEBUILD_HERE __func__, __FILE__, static_cast<std::uint32_t>(__LINE__)
#endif
#define TORCH_CHECK(condition, ...)                                                          \
  if (!(condition)) {                                                                        \
    ::sagebuild_bridge::check_failed(                                                        \
        SAGEBUILD_HERE,                                                                      \
        ::sagebuild_bridge::message(                                                         \
            "Expected " #condition " to be true, but got false.  (Could this error message " \
            "be improved?  If so, please report an enhancement request to PyTorch.)",        \
            ##__VA_ARGS__));                                                                 \
  }

namespace c10 {

// The enumerators here have torch's values: they can be template arguments of kernels.
enum class ScalarType : int8_t {
  Byte = 0,
  Char = 1,
  Short = 2,
  Int = 3,
  Long = 4,
  Half = 5,
  Float = 6,
  Double = 7,
  Bool = 11,
  BFloat16 = 15,
  Float8_e5m2 = 23,
  Float8_e4m3fn = 24,
};
enum class DeviceType : int8_t { CPU = 0, CUDA = 1, Meta = 14 };
enum class Layout : int8_t {
  Strided = 0,
  Sparse = 1,
  SparseCsr = 2,
  Mkldnn = 3,
  SparseCsc = 4,
  SparseBsr = 5,
  SparseBsc = 6,
  Jagged = 7
};
enum class MemoryFormat : int8_t {
  Contiguous = 0,
  Preserve = 1,
  ChannelsLast = 2,
  ChannelsLast3d = 3
};

constexpr auto kByte = ScalarType::Byte;
constexpr auto kChar = ScalarType::Char;
constexpr auto kShort = ScalarType::Short;
constexpr auto kInt = ScalarType::Int;
constexpr auto kLong = ScalarType::Long;
constexpr auto kHalf = ScalarType::Half;
constexpr auto kFloat = ScalarType::Float;
constexpr auto kDouble = ScalarType::Double;
constexpr auto kBool = ScalarType::Bool;
constexpr auto kBFloat16 = ScalarType::BFloat16;
constexpr auto kFloat8_e5m2 = ScalarType::Float8_e5m2;
constexpr auto kFloat8_e4m3fn = ScalarType::Float8_e4m3fn;
constexpr auto kCPU = DeviceType::CPU;
constexpr auto kCUDA = DeviceType::CUDA;
constexpr auto kMeta = DeviceType::Meta;
constexpr auto kStrided = Layout::Strided;
constexpr auto kSparse = Layout::Sparse;

SAGEBUILD_INLINE std::ostream& operator<<(std::ostream& stream, ScalarType type) {
  return stream << sagebuild_bridge::name_of(static_cast<int8_t>(type));
}

template <class T>
class ArrayRef {
 public:
  using iterator = const T*;
  using const_iterator = const T*;
  using size_type = size_t;
  using value_type = T;
  using reverse_iterator = std::reverse_iterator<iterator>;

  SAGEBUILD_INLINE constexpr ArrayRef() : data_(nullptr), size_(0) {}
  SAGEBUILD_INLINE constexpr ArrayRef(const T& one) : data_(&one), size_(1) {}
  SAGEBUILD_INLINE constexpr ArrayRef(const T* data, size_t size) : data_(data), size_(size) {}
  SAGEBUILD_INLINE constexpr ArrayRef(const T* begin, const T* end)
      : data_(begin), size_(end - begin) {}
  template <class Container, class U = decltype(std::declval<Container>().data()),
            class = std::enable_if_t<(std::is_same_v<U, T*> || std::is_same_v<U, T const*>)>>
  SAGEBUILD_INLINE ArrayRef(const Container& container)
      : data_(container.data()), size_(container.size()) {}
  template <class A>
  SAGEBUILD_INLINE ArrayRef(const std::vector<T, A>& list)
      : data_(list.data()), size_(list.size()) {
    static_assert(!std::is_same_v<T, bool>);
  }
  template <size_t N>
  SAGEBUILD_INLINE constexpr ArrayRef(const std::array<T, N>& list)
      : data_(list.data()), size_(N) {}
  template <size_t N>
  SAGEBUILD_INLINE constexpr ArrayRef(const T (&list)[N]) : data_(list), size_(N) {}
  SAGEBUILD_INLINE constexpr ArrayRef(const std::initializer_list<T>& list)
      : data_(std::begin(list) == std::end(list) ? static_cast<T*>(nullptr) : std::begin(list)),
        size_(list.size()) {}

  SAGEBUILD_INLINE constexpr const T& operator[](size_t at) const { return data_[at]; }
  SAGEBUILD_INLINE constexpr size_t size() const { return size_; }
  SAGEBUILD_INLINE constexpr bool empty() const { return size_ == 0; }
  SAGEBUILD_INLINE constexpr const T* data() const { return data_; }
  SAGEBUILD_INLINE constexpr iterator begin() const { return data_; }
  SAGEBUILD_INLINE constexpr iterator end() const { return data_ + size_; }
  SAGEBUILD_INLINE constexpr const_iterator cbegin() const { return data_; }
  SAGEBUILD_INLINE constexpr const_iterator cend() const { return data_ + size_; }
  SAGEBUILD_INLINE constexpr reverse_iterator rbegin() const { return reverse_iterator(end()); }
  SAGEBUILD_INLINE constexpr reverse_iterator rend() const { return reverse_iterator(begin()); }
  SAGEBUILD_INLINE std::vector<T> vec() const { return std::vector<T>(begin(), end()); }

  // Torch's own guard against assigning from what is about to end.
  template <class U>
  std::enable_if_t<std::is_same_v<U, T>, ArrayRef<T>>& operator=(U&&) = delete;
  template <class U>
  std::enable_if_t<std::is_same_v<U, T>, ArrayRef<T>>& operator=(std::initializer_list<U>) = delete;

 private:
  const T* data_;
  size_t size_;
};
template <class T>
SAGEBUILD_INLINE bool operator==(ArrayRef<T> left, ArrayRef<T> right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end());
}
template <class T>
SAGEBUILD_INLINE bool operator!=(ArrayRef<T> left, ArrayRef<T> right) {
  return !(left == right);
}
template <class T>
SAGEBUILD_INLINE std::ostream& operator<<(std::ostream& stream, ArrayRef<T> list) {
  stream << "[";
  for (size_t i = 0; i < list.size(); ++i) stream << (i == 0 ? "" : ", ") << list[i];
  return stream << "]";
}
using IntArrayRef = ArrayRef<int64_t>;

using DeviceIndex = int8_t;

class Device final {
 public:
  using Type = DeviceType;

  SAGEBUILD_INLINE explicit Device(sagebuild_bridge::Unmade) {}
  SAGEBUILD_INLINE Device(DeviceType type, DeviceIndex index = -1) {
    sagebuild_bridge::make_device(this, static_cast<int8_t>(type), index);
  }
  SAGEBUILD_INLINE Device(const std::string& text) {
    sagebuild_bridge::parse_device(this, text.data(), text.size());
  }
  SAGEBUILD_INLINE bool operator==(const Device& other) const noexcept {
    return type() == other.type() && index() == other.index();
  }
  SAGEBUILD_INLINE bool operator!=(const Device& other) const noexcept { return !(*this == other); }
  SAGEBUILD_INLINE void set_index(DeviceIndex index) { *this = Device(type(), index); }
  SAGEBUILD_INLINE DeviceType type() const noexcept {
    return static_cast<DeviceType>(sagebuild_bridge::device_type(this));
  }
  SAGEBUILD_INLINE DeviceIndex index() const noexcept {
    return sagebuild_bridge::device_index(this);
  }
  SAGEBUILD_INLINE bool has_index() const noexcept { return index() != -1; }
  SAGEBUILD_INLINE bool is_cuda() const noexcept { return type() == DeviceType::CUDA; }
  SAGEBUILD_INLINE bool is_cpu() const noexcept { return type() == DeviceType::CPU; }
  SAGEBUILD_INLINE bool is_meta() const noexcept { return type() == DeviceType::Meta; }

 private:
  unsigned char torchs_[2];
};

}  // namespace c10

namespace caffe2 {

class TypeMeta final {
 public:
  SAGEBUILD_INLINE explicit TypeMeta(sagebuild_bridge::Unmade) {}
  SAGEBUILD_INLINE TypeMeta() noexcept { sagebuild_bridge::make_type_meta(this); }
  SAGEBUILD_INLINE TypeMeta& operator=(ScalarType type) noexcept {
    sagebuild_bridge::make_type_meta_of(this, static_cast<int8_t>(type));
    return *this;
  }
  SAGEBUILD_INLINE static TypeMeta fromScalarType(ScalarType type) {
    TypeMeta result(sagebuild_bridge::Unmade{});
    result = type;
    return result;
  }
  SAGEBUILD_INLINE bool isScalarType() const noexcept {
    return sagebuild_bridge::is_scalar_type(this);
  }
  SAGEBUILD_INLINE bool isScalarType(ScalarType type) const noexcept {
    const TypeMeta other = fromScalarType(type);
    return sagebuild_bridge::same_type_meta(this, &other);
  }
  SAGEBUILD_INLINE size_t itemsize() const noexcept { return sagebuild_bridge::item_size(this); }
  // Not const in torch 2.6.
  SAGEBUILD_INLINE ScalarType toScalarType() const {
    return static_cast<ScalarType>(sagebuild_bridge::scalar_type_of(this));
  }
  friend SAGEBUILD_INLINE bool operator==(const TypeMeta& left, const TypeMeta& right) noexcept {
    return sagebuild_bridge::same_type_meta(&left, &right);
  }

 private:
  alignas(2) unsigned char torchs_[2];
};
SAGEBUILD_INLINE bool operator!=(const TypeMeta& left, const TypeMeta& right) noexcept {
  return !(left == right);
}

}  // namespace caffe2

namespace sagebuild_bridge {

// The ScalarType that torch has for a C++ type; other types than these need torch's headers.
template <c10::ScalarType Type>
struct Is {
  static constexpr auto value = Type;
};
template <class T>
struct TypeOf;
template <>
struct TypeOf<uint8_t> : Is<c10::kByte> {};
template <>
struct TypeOf<int8_t> : Is<c10::kChar> {};
template <>
struct TypeOf<int16_t> : Is<c10::kShort> {};
template <>
struct TypeOf<int32_t> : Is<c10::kInt> {};
template <>
struct TypeOf<int64_t> : Is<c10::kLong> {};
template <>
struct TypeOf<float> : Is<c10::kFloat> {};
template <>
struct TypeOf<double> : Is<c10::kDouble> {};
template <>
struct TypeOf<bool> : Is<c10::kBool> {};

// The number of an enumerator that may be absent, for the bridge.
template <class T>
struct Number {
  SAGEBUILD_INLINE explicit Number(const std::optional<T>& given)
      : number(given ? static_cast<std::int8_t>(*given) : std::int8_t(0)),
        address(given ? &number : nullptr) {}
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  std::int8_t number;
  const std::int8_t* address;
};

}  // namespace sagebuild_bridge

namespace c10 {

SAGEBUILD_INLINE bool operator==(ScalarType left, caffe2::TypeMeta right) {
  return right.isScalarType(left);
}
SAGEBUILD_INLINE bool operator==(caffe2::TypeMeta left, ScalarType right) { return right == left; }
SAGEBUILD_INLINE bool operator!=(ScalarType left, caffe2::TypeMeta right) {
  return !(left == right);
}
SAGEBUILD_INLINE bool operator!=(caffe2::TypeMeta left, ScalarType right) {
  return !(left == right);
}

struct TensorOptions {
  SAGEBUILD_INLINE TensorOptions() { sagebuild_bridge::make_options(this); }
  SAGEBUILD_INLINE TensorOptions(Layout layout) : TensorOptions() { set_layout(layout); }
  template <class T, class = std::enable_if_t<std::is_same_v<std::decay_t<T>, Device>>>
  SAGEBUILD_INLINE TensorOptions(T&& device) : TensorOptions() {
    sagebuild_bridge::set_device(this, &device);
  }
  template <class... Args, class = std::enable_if_t<std::is_constructible_v<Device, Args&&...>>>
  SAGEBUILD_INLINE TensorOptions(Args&&... args)
      : TensorOptions(Device(std::forward<Args>(args)...)) {}
  SAGEBUILD_INLINE TensorOptions(caffe2::TypeMeta type) : TensorOptions() {
    sagebuild_bridge::set_dtype(this, &type);
  }
  SAGEBUILD_INLINE TensorOptions(ScalarType type)
      : TensorOptions(caffe2::TypeMeta::fromScalarType(type)) {}
  SAGEBUILD_INLINE TensorOptions(MemoryFormat format) : TensorOptions() {
    set_memory_format(format);
  }

  [[nodiscard]] SAGEBUILD_INLINE TensorOptions device(std::optional<Device> device) const noexcept {
    TensorOptions result = *this;
    sagebuild_bridge::set_device(&result, device ? &*device : nullptr);
    return result;
  }
  template <class... Args>
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions device(Args&&... args) const noexcept {
    return device(std::optional<Device>(std::in_place, std::forward<Args>(args)...));
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions
  dtype(std::optional<caffe2::TypeMeta> type) const noexcept {
    TensorOptions result = *this;
    sagebuild_bridge::set_dtype(&result, type ? &*type : nullptr);
    return result;
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions
  dtype(std::optional<ScalarType> type) const noexcept {
    return dtype(type ? std::optional(caffe2::TypeMeta::fromScalarType(*type)) : std::nullopt);
  }
  template <class T>
  SAGEBUILD_INLINE TensorOptions& dtype() {
    const auto type = caffe2::TypeMeta::fromScalarType(sagebuild_bridge::TypeOf<T>::value);
    sagebuild_bridge::set_dtype(this, &type);
    return *this;
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions layout(std::optional<Layout> layout) const noexcept {
    TensorOptions result = *this;
    result.set_layout(layout);
    return result;
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions
  requires_grad(std::optional<bool> requires_grad) const noexcept {
    TensorOptions result = *this;
    sagebuild_bridge::set_requires_grad(&result, requires_grad ? &*requires_grad : nullptr);
    return result;
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions
  pinned_memory(std::optional<bool> pinned_memory) const noexcept {
    TensorOptions result = *this;
    sagebuild_bridge::set_pinned_memory(&result, pinned_memory ? &*pinned_memory : nullptr);
    return result;
  }
  [[nodiscard]] SAGEBUILD_INLINE TensorOptions
  memory_format(std::optional<MemoryFormat> format) const noexcept {
    TensorOptions result = *this;
    result.set_memory_format(format);
    return result;
  }

  SAGEBUILD_INLINE Device device() const noexcept {
    Device result(sagebuild_bridge::Unmade{});
    sagebuild_bridge::device_of(&result, this);
    return result;
  }
  SAGEBUILD_INLINE bool has_device() const noexcept { return device_opt().has_value(); }
  SAGEBUILD_INLINE std::optional<Device> device_opt() const noexcept {
    Device result(sagebuild_bridge::Unmade{});
    return sagebuild_bridge::device_of(&result, this) ? std::optional(result) : std::nullopt;
  }
  SAGEBUILD_INLINE caffe2::TypeMeta dtype() const noexcept {
    caffe2::TypeMeta result(sagebuild_bridge::Unmade{});
    sagebuild_bridge::dtype_of(&result, this);
    return result;
  }
  SAGEBUILD_INLINE bool has_dtype() const noexcept { return dtype_opt().has_value(); }
  SAGEBUILD_INLINE std::optional<caffe2::TypeMeta> dtype_opt() const noexcept {
    caffe2::TypeMeta result(sagebuild_bridge::Unmade{});
    return sagebuild_bridge::dtype_of(&result, this) ? std::optional(result) : std::nullopt;
  }
  SAGEBUILD_INLINE Layout layout() const noexcept {
    int8_t result;
    sagebuild_bridge::layout_of(&result, this);
    return static_cast<Layout>(result);
  }
  SAGEBUILD_INLINE bool has_layout() const noexcept { return layout_opt().has_value(); }
  SAGEBUILD_INLINE std::optional<Layout> layout_opt() const noexcept {
    int8_t result;
    return sagebuild_bridge::layout_of(&result, this) ? std::optional(static_cast<Layout>(result))
                                                      : std::nullopt;
  }
  SAGEBUILD_INLINE bool requires_grad() const noexcept {
    return requires_grad_opt().value_or(false);
  }
  SAGEBUILD_INLINE bool has_requires_grad() const noexcept {
    return requires_grad_opt().has_value();
  }
  SAGEBUILD_INLINE std::optional<bool> requires_grad_opt() const noexcept {
    bool result;
    return sagebuild_bridge::requires_grad_of(&result, this) ? std::optional(result) : std::nullopt;
  }
  SAGEBUILD_INLINE bool pinned_memory() const noexcept {
    return pinned_memory_opt().value_or(false);
  }
  SAGEBUILD_INLINE bool has_pinned_memory() const noexcept {
    return pinned_memory_opt().has_value();
  }
  SAGEBUILD_INLINE std::optional<bool> pinned_memory_opt() const noexcept {
    bool result;
    return sagebuild_bridge::pinned_memory_of(&result, this) ? std::optional(result) : std::nullopt;
  }
  SAGEBUILD_INLINE bool has_memory_format() const noexcept {
    return memory_format_opt().has_value();
  }
  SAGEBUILD_INLINE std::optional<MemoryFormat> memory_format_opt() const noexcept {
    int8_t result;
    return sagebuild_bridge::memory_format_of(&result, this)
               ? std::optional(static_cast<MemoryFormat>(result))
               : std::nullopt;
  }

 private:
  SAGEBUILD_INLINE void set_layout(std::optional<Layout> layout) {
    sagebuild_bridge::set_layout(this, sagebuild_bridge::Number<Layout>(layout).address);
  }
  SAGEBUILD_INLINE void set_memory_format(std::optional<MemoryFormat> format) {
    sagebuild_bridge::set_memory_format(this,
                                        sagebuild_bridge::Number<MemoryFormat>(format).address);
  }

  alignas(2) unsigned char torchs_[7];  // torch's last byte is padding
};

}  // namespace c10

static_assert(sagebuild_bridge::shape_of<c10::IntArrayRef>() == sagebuild_bridge::kArrayRef);
static_assert(sagebuild_bridge::shape_of<c10::Device>() == sagebuild_bridge::kDevice);
static_assert(sagebuild_bridge::shape_of<caffe2::TypeMeta>() == sagebuild_bridge::kTypeMeta);
static_assert(sagebuild_bridge::shape_of<c10::TensorOptions>() == sagebuild_bridge::kTensorOptions);
