// What a tensor knows of itself.
#include "call.h"

namespace m3l {

namespace {

napi_value shape(Call& call) { return integers_to_js(call.env(), call.tensor(0).sizes()); }

napi_value strides(Call& call) { return integers_to_js(call.env(), call.tensor(0).strides()); }

napi_value numel(Call& call) { return integer_to_js(call.env(), call.tensor(0).numel()); }

napi_value nbytes(Call& call) {
  return to_js(call.env(), static_cast<double>(call.tensor(0).nbytes()));
}

napi_value dtype(Call& call) {
  return to_js(call.env(), static_cast<double>(call.tensor(0).scalar_type()));
}

napi_value device(Call& call) { return to_js(call.env(), call.tensor(0).device().str()); }

napi_value storage_offset(Call& call) {
  return integer_to_js(call.env(), call.tensor(0).storage_offset());
}

napi_value version(Call& call) {
  return to_js(call.env(), static_cast<double>(call.tensor(0)._version()));
}

napi_value is_leaf(Call& call) { return to_js(call.env(), call.tensor(0).is_leaf()); }

napi_value requires_grad(Call& call) { return to_js(call.env(), call.tensor(0).requires_grad()); }

napi_value set_requires_grad(Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  tensor.set_requires_grad(call.boolean(1, "requiresGrad"));
  return undefined(call.env());
}

napi_value grad(Call& call) { return tensor_to_js(call.state(), call.tensor(0).grad()); }

napi_value set_grad(Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  if (call.missing(1)) {
    tensor.mutable_grad().reset();
    return undefined(call.env());
  }
  const at::Tensor& gradient = call.tensor(1);
  if (!gradient.sizes().equals(tensor.sizes())) {
    throw CoreError("M3L_SHAPE", "grad: expected the tensor's shape " + c10::str(tensor.sizes()) +
                                     ", found " + c10::str(gradient.sizes()));
  }
  if (gradient.device() != tensor.device() || gradient.scalar_type() != tensor.scalar_type()) {
    throw CoreError("M3L_DTYPE",
                    std::string("grad: expected ") + c10::toString(tensor.scalar_type()) + " on " +
                        tensor.device().str() + ", found " + c10::toString(gradient.scalar_type()) +
                        " on " + gradient.device().str());
  }
  tensor.mutable_grad() = gradient;
  return undefined(call.env());
}

napi_value alias(Call& call) { return tensor_to_js(call.state(), call.tensor(0)); }

napi_value same_storage(Call& call) {
  const at::Tensor& one = call.tensor(0);
  const at::Tensor& other = call.tensor(1);
  return to_js(call.env(), one.has_storage() && other.has_storage() &&
                               one.storage().is_alias_of(other.storage()));
}

}  // namespace

Exports tensor_exports() {
  return {{"shape", entry<shape>},
          {"strides", entry<strides>},
          {"numel", entry<numel>},
          {"nbytes", entry<nbytes>},
          {"dtype", entry<dtype>},
          {"device", entry<device>},
          {"storageOffset", entry<storage_offset>},
          {"version", entry<version>},
          {"isLeaf", entry<is_leaf>},
          {"requiresGrad", entry<requires_grad>},
          {"setRequiresGrad", entry<set_requires_grad>},
          {"grad", entry<grad>},
          {"setGrad", entry<set_grad>},
          {"alias", entry<alias>},
          {"sameStorage", entry<same_storage>}};
}

}  // namespace m3l
