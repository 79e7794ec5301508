// What of a tensor the collectives take, and the check that all ranks bring the same.
#pragma once

#include <array>
#include <string>

#include "group.h"

namespace m3l::distributed {

struct Operation {
  const char* name;
  c10d::ReduceOp::RedOpType kind;
};

/// The mean is a sum of what every rank has divided: so float16 does not overflow on the way.
inline constexpr std::array<Operation, 5> kOperations = {{{"sum", c10d::ReduceOp::SUM},
                                                          {"mean", c10d::ReduceOp::SUM},
                                                          {"min", c10d::ReduceOp::MIN},
                                                          {"max", c10d::ReduceOp::MAX},
                                                          {"product", c10d::ReduceOp::PRODUCT}}};

/// Contiguous and of a dtype that can be reduced; the tensor's own memory where it is so already.
at::Tensor for_reduction(const at::Tensor& tensor, const std::string& name,
                         const std::string& operation);
/// Contiguous, as bytes in one dimension.
at::Tensor as_bytes(const at::Tensor& tensor, const std::string& name);
/// A result as the tensor that for_reduction was given sees it.
at::Tensor from_reduction(const at::Tensor& buffer, at::ScalarType dtype);

/// Throws in every rank where one of them calls another collective, or with another dtype or shape:
/// c10d itself would then wait until the time is up, or take one's bytes for another's. Waits for
/// the other ranks. `detail`: what else must agree.
void check_agreement(Group& group, const std::string& name, int64_t detail,
                     const at::Tensor& tensor);

}  // namespace m3l::distributed
