// The collectives, each begun by one operator, which gives a number to wait for.
#include "errors.h"
#include "group.h"
#include "layout.h"

namespace m3l::distributed {

namespace {

int64_t place_of(const std::string& operation, const std::string& where) {
  int64_t place = 0;
  for (const Operation& known : kOperations) {
    if (operation == known.name) {
      return place;
    }
    ++place;
  }
  fail("ARGUMENT", where, ": found the operation '", operation,
       "', expected sum, mean, min, max or product");
}

/// c10d writes behind autograd's back: a backward that needs the old values must say so.
void written(const at::Tensor& tensor) {
  if (!tensor.is_inference()) {
    tensor.unsafeGetTensorImpl()->bump_version();
  }
}

int64_t begin(Group& group, Pending pending, const at::Tensor& target) {
  written(target);
  pending.target = target;
  return group.begin(std::move(pending));
}

int64_t all_reduce(const at::Tensor& tensor, const std::string& operation, bool check) {
  const at::NoGradGuard no_grad;
  const std::string name = "allReduce";
  const auto group = distributed::group();
  const int64_t place = place_of(operation, name);
  const at::Tensor buffer = for_reduction(tensor, name, operation);
  const auto backend = group->backend_for(tensor.device().type());
  if (check) {
    check_agreement(*group, name, place, tensor);
  }
  if (operation == "mean") {
    buffer.div_(group->size());
  }
  c10d::AllreduceOptions options;
  options.reduceOp = kOperations[place].kind;
  std::vector<at::Tensor> tensors = {buffer};
  const auto began = Clock::now();
  const auto work = buffer.numel() == 0 ? nullptr : backend->allreduce(tensors, options);
  Pending pending{name, work, {}, from_reduction(buffer, tensor.scalar_type()), began};
  return begin(*group, std::move(pending), tensor);
}

int64_t broadcast(const at::Tensor& tensor, int64_t source, bool check) {
  const at::NoGradGuard no_grad;
  const std::string name = "broadcast";
  const auto group = distributed::group();
  if (source < 0 || source >= group->size()) {
    fail("ARGUMENT", name, ": found the source ", source, ", expected a rank of ", group->size());
  }
  const at::Tensor bytes = as_bytes(tensor, name);
  const auto backend = group->backend_for(tensor.device().type());
  if (check) {
    check_agreement(*group, name, source, tensor);
  }
  c10d::BroadcastOptions options;
  options.rootRank = source;
  std::vector<at::Tensor> tensors = {bytes};
  const auto began = Clock::now();
  const auto work = bytes.numel() == 0 ? nullptr : backend->broadcast(tensors, options);
  const at::Tensor result = bytes.view(tensor.scalar_type()).view(tensor.sizes());
  return begin(*group, {name, work, {}, result, began}, tensor);
}

int64_t all_gather(const at::Tensor& tensor, const at::Tensor& output, bool check) {
  const at::NoGradGuard no_grad;
  const std::string name = "allGather";
  const auto group = distributed::group();
  std::vector<at::Tensor> inputs = {as_bytes(tensor, name)};
  const auto backend = group->backend_for(tensor.device().type());
  if (check) {
    check_agreement(*group, name, 0, tensor);
  }
  // The output is contiguous: lib/ made it.
  std::vector<std::vector<at::Tensor>> outputs = {
      output.view({group->size(), -1}).view(at::kByte).unbind(0)};
  const auto began = Clock::now();
  const auto work = tensor.numel() == 0 ? nullptr : backend->allgather(outputs, inputs);
  return begin(*group, {name, work, {}, output, began}, output);
}

int64_t reduce_scatter(const at::Tensor& tensor, const at::Tensor& output,
                       const std::string& operation, bool check) {
  const at::NoGradGuard no_grad;
  const std::string name = "reduceScatter";
  const auto group = distributed::group();
  const int64_t place = place_of(operation, name);
  at::Tensor buffer = for_reduction(tensor, name, operation);
  const auto backend = group->backend_for(tensor.device().type());
  if (check) {
    check_agreement(*group, name, place, tensor);
  }
  if (operation == "mean") {
    buffer = buffer.div(group->size());
  }
  const at::Tensor own = c10::isComplexType(output.scalar_type()) ? at::view_as_real(output)
                         : output.scalar_type() == at::kBool      ? output.view(at::kByte)
                                                                  : output;
  c10d::ReduceScatterOptions options;
  options.reduceOp = kOperations[place].kind;
  std::vector<at::Tensor> outputs = {own};
  std::vector<std::vector<at::Tensor>> inputs = {buffer.chunk(group->size(), 0)};
  const auto began = Clock::now();
  const auto work =
      buffer.numel() == 0 ? nullptr : backend->reduce_scatter(outputs, inputs, options);
  return begin(*group, {name, work, {}, output, began}, output);
}

/// That all have come is what the exchange of the check says.
void barrier() {
  const auto group = distributed::group();
  check_agreement(*group, "barrier", 0, {});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(m3l_distributed, library) {
  library.def("all_reduce_(Tensor(a!) tensor, str operation, bool check) -> int", all_reduce);
  library.def("broadcast_(Tensor(a!) tensor, int source, bool check) -> int", broadcast);
  library.def("all_gather(Tensor tensor, Tensor(a!) output, bool check) -> int", all_gather);
  library.def("reduce_scatter(Tensor tensor, Tensor(a!) output, str operation, bool check) -> int",
              reduce_scatter);
  library.def("barrier() -> ()", barrier);
  library.def("wait(int work) -> ()", [](int64_t work) { group()->wait(work); });
  library.def("done(int work) -> bool", [](int64_t work) { return group()->done(work); });
}

}  // namespace m3l::distributed
