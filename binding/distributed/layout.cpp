#include "layout.h"

#include <algorithm>
#include <array>

#include "errors.h"

namespace m3l::distributed {

namespace {

/// What a rank is about to do: name, detail, dtype, dimensions, sizes; sizes beyond are not
/// compared.
constexpr int64_t kName = 0;
constexpr int64_t kDetail = 1;
constexpr int64_t kDtype = 2;
constexpr int64_t kDimensions = 3;
constexpr int64_t kSizes = 4;
constexpr int64_t kLength = 16;

const std::array<std::string, 5> kNames = {"allReduce", "broadcast", "allGather", "reduceScatter",
                                           "barrier"};

at::Tensor plain(const at::Tensor& tensor, const std::string& name) {
  if (tensor.layout() != c10::kStrided || tensor.is_quantized()) {
    fail("ARGUMENT", name, ": found a tensor that is sparse or quantized, expected a dense one");
  }
  return tensor.detach().resolve_conj().resolve_neg().contiguous();
}

std::string text_of(const int64_t* row) {
  const auto& name = kNames.at(static_cast<size_t>(row[kName]));
  if (name == "barrier") {
    return name;
  }
  const auto shown = std::min(row[kDimensions], kLength - kSizes);
  const auto dtype = c10::getDtypeNames(static_cast<at::ScalarType>(row[kDtype])).first;
  const std::string detail = name == "broadcast" ? c10::str(" from rank ", row[kDetail])
                             : name == "allGather"
                                 ? ""
                                 : c10::str(" to the ", kOperations.at(row[kDetail]).name);
  return c10::str(name, " of ", dtype, " ",
                  c10::IntArrayRef(row + kSizes, static_cast<size_t>(shown)), detail);
}

}  // namespace

at::Tensor for_reduction(const at::Tensor& tensor, const std::string& name,
                         const std::string& operation) {
  const at::Tensor buffer = plain(tensor, name);
  const auto dtype = buffer.scalar_type();
  const auto refuse = [&](const char* expected) {
    fail("ARGUMENT", name, ": found ", c10::getDtypeNames(dtype).first, " for the operation '",
         operation, "', expected ", expected);
  };
  if (operation == "mean" && !c10::isFloatingType(dtype) && !c10::isComplexType(dtype)) {
    refuse("a dtype of floating-point or complex numbers");
  }
  if (c10::isComplexType(dtype)) {
    if (operation != "sum" && operation != "mean") {
      refuse("'sum' or 'mean'");
    }
    return at::view_as_real(buffer);
  }
  if (dtype == at::kBool) {
    if (operation != "min" && operation != "max") {
      refuse("'min' or 'max'");
    }
    return buffer.view(at::kByte);
  }
  switch (dtype) {
    case at::kFloat:
    case at::kDouble:
    case at::kHalf:
    case at::kBFloat16:
    case at::kByte:
    case at::kChar:
    case at::kInt:
    case at::kLong:
      return buffer;
    default:
      refuse("float32, float64, float16, bfloat16, int8, uint8, int32, int64, bool or complex");
  }
  return buffer;
}

at::Tensor from_reduction(const at::Tensor& buffer, at::ScalarType dtype) {
  if (c10::isComplexType(dtype)) {
    return at::view_as_complex(buffer);
  }
  return dtype == at::kBool ? buffer.view(at::kBool) : buffer;
}

at::Tensor as_bytes(const at::Tensor& tensor, const std::string& name) {
  return plain(tensor, name).view(-1).view(at::kByte);
}

void check_agreement(Group& group, const std::string& name, int64_t detail,
                     const at::Tensor& tensor) {
  const auto place = std::find(kNames.begin(), kNames.end(), name);
  std::vector<int64_t> own(kLength, 0);
  own[kName] = place - kNames.begin();
  own[kDetail] = detail;
  if (tensor.defined()) {
    own[kDtype] = static_cast<int64_t>(tensor.scalar_type());
    own[kDimensions] = tensor.dim();
    const auto compared = std::min<int64_t>(tensor.dim(), kLength - kSizes);
    std::copy_n(tensor.sizes().begin(), compared, own.begin() + kSizes);
  }
  std::vector<at::Tensor> mine = {at::tensor(own, at::kLong)};
  const at::Tensor all = at::empty({group.size(), kLength}, at::kLong);
  std::vector<std::vector<at::Tensor>> rows = {all.unbind(0)};
  const auto backend = group.backend_for(c10::DeviceType::CPU);
  Pending exchange{name, backend->allgather(rows, mine), {}, mine[0], Clock::now()};
  group.wait(exchange);
  const auto* table = all.const_data_ptr<int64_t>();
  for (int64_t rank = 1; rank < group.size(); ++rank) {
    const int64_t* row = table + rank * kLength;
    if (!std::equal(table, table + kLength, row)) {
      fail("MISMATCH", "rank 0 calls ", text_of(table), ", rank ", rank, " ", text_of(row),
           ": expected the same collective of tensors of one dtype and shape in all ranks");
    }
  }
}

}  // namespace m3l::distributed
