// Typed arrays in and out, always by copy: external array buffers are refused in Electron.
#include "buffers.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "devices.h"
#include "memory-retry.h"

namespace m3l {

View view_of(Napi::Value value) {
  if (value.IsTypedArray()) {
    // Of bytes, whatever the elements: data and length come from the array itself.
    auto array = value.As<Napi::Uint8Array>();
    return {reinterpret_cast<std::byte*>(array.Data()), array.ByteLength()};
  }
  if (value.IsDataView()) {
    const auto view = value.As<Napi::DataView>();
    return {static_cast<std::byte*>(view.Data()), view.ByteLength()};
  }
  throw CoreError("M3L_ARGUMENT", "expected a typed array, found " + describe(value));
}

namespace {

/// A typed array, or an array of them: the parts of what becomes one tensor.
std::vector<View> views_of(Napi::Value value) {
  if (!value.IsArray()) {
    return {view_of(value)};
  }
  // All are read before any is looked at: a getter may change the memory of those before it.
  const auto array = value.As<Napi::Array>();
  std::vector<Napi::Value> parts;
  for (uint32_t k = 0; k < array.Length(); ++k) {
    parts.push_back(array.Get(k));
  }
  std::vector<View> views(parts.size());
  std::ranges::transform(parts, views.begin(), view_of);
  return views;
}

at::Tensor from_buffer(const Call& call) {
  const int64_t code = call.integer(1, "dtype");
  if (code < 0 || code >= static_cast<int64_t>(c10::ScalarType::Undefined)) {
    throw CoreError("M3L_ARGUMENT", "dtype: no ScalarType has the code " + std::to_string(code));
  }
  const auto dtype = static_cast<c10::ScalarType>(code);
  const std::vector<int64_t> shape = call.integers(2, "shape");
  for (const int64_t size : shape) {
    if (size < 0) {
      throw CoreError("M3L_SHAPE", "shape: sizes are not negative, found " + std::to_string(size));
    }
  }
  // Read last: no JavaScript runs between here and the copy.
  const std::vector<View> views = views_of(call[0]);
  const int64_t elements = c10::multiply_integers(shape);
  const size_t expected = static_cast<size_t>(elements) * c10::elementSize(dtype);
  size_t bytes = 0;
  for (const View& view : views) {
    bytes += view.size();
  }
  if (expected != bytes) {
    throw CoreError("M3L_SHAPE", "the data has " + std::to_string(bytes) +
                                     " bytes, but the shape " + c10::str(c10::IntArrayRef(shape)) +
                                     " of " + c10::toString(dtype) + " needs " +
                                     std::to_string(expected));
  }
  at::Tensor tensor =
      retried(call.state(), [&] { return at::empty(shape, at::TensorOptions().dtype(dtype)); });
  auto* to = static_cast<std::byte*>(tensor.mutable_data_ptr());
  for (const View& view : views) {
    to = std::ranges::copy(view, to).out;
  }
  return tensor;
}

/// What JavaScript reads must be there: to page-locked memory a device's copy that nobody waited
/// for may still be under way.
void await_copies(const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.has_storage()) {
    await_copies_to(tensor.storage().data());
  }
}

/// The data as JavaScript may see it: on the CPU, contiguous, conjugation and negation applied.
at::Tensor readable(const at::Tensor& tensor) {
  if (tensor._is_zerotensor()) {
    return at::zeros(tensor.sizes(), tensor.options().device(c10::kCPU));  // it has no memory
  }
  await_copies(tensor);
  return tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
}

template <typename Element>
Napi::Value array_of(Napi::Env env, const at::Tensor& tensor) {
  auto array = Napi::TypedArrayOf<Element>::New(env, tensor.nbytes() / sizeof(Element));
  std::copy_n(static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes(),
              reinterpret_cast<std::byte*>(array.Data()));
  return array;
}

/// Bytes beyond which JavaScript asks for the memory itself: where Node-API does, having none ends
/// the process.
constexpr size_t kLargest = size_t{1} << 26;

/// null for values of more than kLargest bytes: copyTo copies them.
Napi::Value to_buffer(const Call& call) {
  if (call.tensor(0).nbytes() > kLargest) {
    return call.env().Null();
  }
  const at::Tensor tensor = readable(call.tensor(0));
  const c10::ScalarType type = tensor.scalar_type();
  switch (type) {
    case c10::ScalarType::Float:
    case c10::ScalarType::ComplexFloat:
      return array_of<float>(call.env(), tensor);
    case c10::ScalarType::Double:
    case c10::ScalarType::ComplexDouble:
      return array_of<double>(call.env(), tensor);
    case c10::ScalarType::Long:
      return array_of<int64_t>(call.env(), tensor);
    case c10::ScalarType::UInt64:
      return array_of<uint64_t>(call.env(), tensor);
    case c10::ScalarType::Int:
      return array_of<int32_t>(call.env(), tensor);
    case c10::ScalarType::UInt32:
      return array_of<uint32_t>(call.env(), tensor);
    case c10::ScalarType::Short:
      return array_of<int16_t>(call.env(), tensor);
    case c10::ScalarType::Char:
      return array_of<int8_t>(call.env(), tensor);
    default:
      // Raw bits: bool and the 8-bit floats by bytes, the 16-bit floats by uint16.
      if (c10::elementSize(type) == 1) {
        return array_of<uint8_t>(call.env(), tensor);
      }
      if (c10::elementSize(type) == 2 || type == c10::ScalarType::ComplexHalf) {
        return array_of<uint16_t>(call.env(), tensor);
      }
      throw CoreError("M3L_DTYPE", std::string("no typed array holds ") + c10::toString(type) +
                                       "; convert it first");
  }
}

void copy_to(const Call& call) { copy_values(call.tensor(0), view_of(call[1])); }

at::Scalar item(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  if (tensor.numel() != 1) {
    throw CoreError("M3L_SHAPE",
                    "item(): expected one element, found shape " + c10::str(tensor.sizes()));
  }
  await_copies(tensor);
  at::Scalar scalar = tensor.item();
  if (scalar.isComplex()) {
    throw CoreError("M3L_DTYPE",
                    "item(): a complex number has no JavaScript value; use viewAsReal");
  }
  return scalar;
}

}  // namespace

void copy_values(const at::Tensor& source, View view) {
  const at::Tensor tensor = readable(source);
  if (view.size() != tensor.nbytes()) {
    throw CoreError("M3L_SHAPE", "the array has " + std::to_string(view.size()) +
                                     " bytes, the tensor " + std::to_string(tensor.nbytes()));
  }
  std::copy_n(static_cast<const std::byte*>(tensor.const_data_ptr()), view.size(), view.data());
}

void export_buffers(Exports& exports) {
  exports.add<from_buffer>("fromBuffer");
  exports.add<to_buffer>("toBuffer");
  exports.add<copy_to>("copyTo");
  exports.add<item>("item");
}

}  // namespace m3l
