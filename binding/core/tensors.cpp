// What a tensor knows of itself.
#include <cctype>
#include <cstdint>

#include "call.h"

namespace m3l {

namespace {

c10::IntArrayRef shape(const Call& call) { return call.tensor(0).sizes(); }
c10::IntArrayRef strides(const Call& call) { return call.tensor(0).strides(); }
int64_t numel(const Call& call) { return call.tensor(0).numel(); }
size_t nbytes(const Call& call) { return call.tensor(0).nbytes(); }
int dtype(const Call& call) { return static_cast<int>(call.tensor(0).scalar_type()); }
std::string device(const Call& call) { return call.tensor(0).device().str(); }
int64_t storage_offset(const Call& call) { return call.tensor(0).storage_offset(); }
/// `strided`, `sparse`, `sparseCsr`, …
std::string layout(const Call& call) {
  std::string name = c10::str(call.tensor(0).layout());
  name[0] = static_cast<char>(std::tolower(name[0]));
  return name;
}
/// Of tensors that share memory the same, of others another as long as both live; 0 without memory.
double storage_key(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  return tensor.has_storage() ? static_cast<double>(reinterpret_cast<uintptr_t>(
                                    tensor.storage().unsafeGetStorageImpl()))
                              : 0;
}
int64_t version(const Call& call) { return call.tensor(0)._version(); }
bool is_leaf(const Call& call) { return call.tensor(0).is_leaf(); }
bool requires_grad(const Call& call) { return call.tensor(0).requires_grad(); }

void set_requires_grad(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  tensor.set_requires_grad(call.boolean(1, "requiresGrad"));
}

at::Tensor grad(const Call& call) { return call.tensor(0).grad(); }

void set_grad(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  if (call.missing(1)) {
    tensor.mutable_grad().reset();
    return;
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
}

at::Tensor alias(const Call& call) { return call.tensor(0); }

bool same_storage(const Call& call) {
  const at::Tensor& one = call.tensor(0);
  const at::Tensor& other = call.tensor(1);
  return one.has_storage() && other.has_storage() && one.storage().is_alias_of(other.storage());
}

}  // namespace

void export_tensors(Exports& exports) {
  exports.add<shape>("shape");
  exports.add<strides>("strides");
  exports.add<numel>("numel");
  exports.add<nbytes>("nbytes");
  exports.add<dtype>("dtype");
  exports.add<device>("device");
  exports.add<storage_offset>("storageOffset");
  exports.add<layout>("layout");
  exports.add<storage_key>("storageKey");
  exports.add<version>("version");
  exports.add<is_leaf>("isLeaf");
  exports.add<requires_grad>("requiresGrad");
  exports.add<set_requires_grad>("setRequiresGrad");
  exports.add<grad>("grad");
  exports.add<set_grad>("setGrad");
  exports.add<alias>("alias");
  exports.add<same_storage>("sameStorage");
}

}  // namespace m3l
