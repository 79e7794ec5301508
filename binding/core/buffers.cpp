// Typed arrays in and out, always by copy: external array buffers are refused in Electron.
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "call.h"

namespace m3l {

namespace {

struct View {
  void* data = nullptr;
  size_t bytes = 0;
};

size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    default:
      return 8;
  }
}

View view_of(napi_env env, napi_value value) {
  View view;
  bool typed = false;
  bool data_view = false;
  if (value != nullptr) {
    napi_is_typedarray(env, value, &typed);
    napi_is_dataview(env, value, &data_view);
  }
  if (typed) {
    napi_typedarray_type type = napi_uint8_array;
    check(env,
          napi_get_typedarray_info(env, value, &type, &view.bytes, &view.data, nullptr, nullptr),
          "typed array");
    view.bytes *= element_bytes(type);
  } else if (data_view) {
    check(env, napi_get_dataview_info(env, value, &view.bytes, &view.data, nullptr, nullptr),
          "data view");
  } else {
    throw CoreError("M3L_ARGUMENT", "expected a typed array, found " + describe(env, value));
  }
  return view;
}

/// A typed array, or an array of them: the parts of what becomes one tensor.
std::vector<View> views_of(napi_env env, napi_value value) {
  bool list = false;
  if (value != nullptr) {
    napi_is_array(env, value, &list);
  }
  if (!list) {
    return {view_of(env, value)};
  }
  uint32_t count = 0;
  check(env, napi_get_array_length(env, value, &count), "the parts");
  std::vector<View> views;
  for (uint32_t k = 0; k < count; ++k) {
    napi_value part = nullptr;
    check(env, napi_get_element(env, value, k, &part), "a part");
    views.push_back(view_of(env, part));
  }
  return views;
}

napi_value from_buffer(Call& call) {
  const std::vector<View> views = views_of(call.env(), call[0]);
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
  const int64_t elements = c10::multiply_integers(shape);
  const size_t expected = static_cast<size_t>(elements) * c10::elementSize(dtype);
  size_t bytes = 0;
  for (const View& view : views) {
    bytes += view.bytes;
  }
  if (expected != bytes) {
    throw CoreError("M3L_SHAPE", "the data has " + std::to_string(bytes) +
                                     " bytes, but the shape " + c10::str(c10::IntArrayRef(shape)) +
                                     " of " + c10::toString(dtype) + " needs " +
                                     std::to_string(expected));
  }
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
  auto* to = static_cast<std::byte*>(tensor.mutable_data_ptr());
  for (const View& view : views) {
    if (view.bytes != 0) {
      std::memcpy(to, view.data, view.bytes);
    }
    to += view.bytes;
  }
  return tensor_to_js(call.state(), std::move(tensor));
}

/// The data as JavaScript may see it: on the CPU, contiguous, conjugation and negation applied.
at::Tensor readable(const at::Tensor& tensor) {
  return tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
}

std::optional<napi_typedarray_type> array_type(c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::Float:
    case c10::ScalarType::ComplexFloat:
      return napi_float32_array;
    case c10::ScalarType::Double:
    case c10::ScalarType::ComplexDouble:
      return napi_float64_array;
    case c10::ScalarType::Long:
      return napi_bigint64_array;
    case c10::ScalarType::UInt64:
      return napi_biguint64_array;
    case c10::ScalarType::Int:
      return napi_int32_array;
    case c10::ScalarType::UInt32:
      return napi_uint32_array;
    case c10::ScalarType::Short:
      return napi_int16_array;
    case c10::ScalarType::Char:
      return napi_int8_array;
    default:
      // Raw bits: bool and the 8-bit floats by bytes, the 16-bit floats by uint16.
      if (c10::elementSize(type) == 1) {
        return napi_uint8_array;
      }
      if (c10::elementSize(type) == 2) {
        return napi_uint16_array;
      }
      if (type == c10::ScalarType::ComplexHalf) {
        return napi_uint16_array;
      }
      return std::nullopt;
  }
}

napi_value to_buffer(Call& call) {
  const at::Tensor tensor = readable(call.tensor(0));
  const auto type = array_type(tensor.scalar_type());
  if (!type.has_value()) {
    throw CoreError("M3L_DTYPE", std::string("no typed array holds ") +
                                     c10::toString(tensor.scalar_type()) + "; convert it first");
  }
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  check(call.env(), napi_create_arraybuffer(call.env(), tensor.nbytes(), &data, &buffer),
        "array buffer");
  if (tensor.nbytes() != 0) {
    std::memcpy(data, tensor.const_data_ptr(), tensor.nbytes());
  }
  check(call.env(),
        napi_create_typedarray(call.env(), *type, tensor.nbytes() / element_bytes(*type), buffer, 0,
                               &array),
        "typed array");
  return array;
}

napi_value copy_to(Call& call) {
  const at::Tensor tensor = readable(call.tensor(0));
  const View view = view_of(call.env(), call[1]);
  if (view.bytes != tensor.nbytes()) {
    throw CoreError("M3L_SHAPE", "the array has " + std::to_string(view.bytes) +
                                     " bytes, the tensor " + std::to_string(tensor.nbytes()));
  }
  if (view.bytes != 0) {
    std::memcpy(view.data, tensor.const_data_ptr(), view.bytes);
  }
  return undefined(call.env());
}

napi_value item(Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  if (tensor.numel() != 1) {
    throw CoreError("M3L_SHAPE",
                    "item(): expected one element, found shape " + c10::str(tensor.sizes()));
  }
  const at::Scalar scalar = tensor.item();
  if (scalar.isComplex()) {
    throw CoreError("M3L_DTYPE",
                    "item(): a complex number has no JavaScript value; use viewAsReal");
  }
  if (scalar.isBoolean()) {
    return to_js(call.env(), scalar.toBool());
  }
  if (scalar.isIntegral(false)) {
    return integer_to_js(call.env(), scalar.toLong());
  }
  return to_js(call.env(), scalar.toDouble());
}

}  // namespace

Exports buffer_exports() {
  return {{"fromBuffer", entry<from_buffer>},
          {"toBuffer", entry<to_buffer>},
          {"copyTo", entry<copy_to>},
          {"item", entry<item>}};
}

}  // namespace m3l
