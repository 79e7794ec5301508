// Operators by id: the dispatcher's handle, and for each argument a plan of how a JavaScript value
// becomes what its schema asks for.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "torch.h"

namespace m3l {

enum class Kind : uint8_t {
  kTensor,
  kInt,
  kFloat,
  kBool,
  kScalar,
  kString,
  kDevice,
  kGenerator,
  kUnsupported
};

struct ArgumentPlan {
  std::string name;
  Kind kind = Kind::kUnsupported;
  bool list = false;
  bool optional = false;
  bool element_optional = false;
  std::optional<int32_t> fixed_size;
  std::optional<c10::IValue> default_value;
  std::string type;
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<ArgumentPlan> arguments;
  // For an in-place or out= result: the argument it aliases, whose handle is given back.
  std::vector<std::optional<size_t>> aliased_argument;
  /// One of libtorch's own: the same below autograd where nothing asks for a gradient.
  bool native = false;
  /// It writes in one of its arguments.
  bool writes = false;
};

/// How an argument of a schema is read.
ArgumentPlan plan_of(const c10::Argument& argument);

class OperatorTable {
 public:
  /// The operator's id; throws CoreError M3L_UNKNOWN_OPERATOR.
  uint32_t resolve(const std::string& name, const std::string& overload);
  [[nodiscard]] const Operator& at(uint32_t id) const;

 private:
  /// Does not move what a call is under way of, where the call leads to another operator's first.
  std::deque<Operator> operators_;
  std::unordered_map<std::string, uint32_t> ids_;
};

}  // namespace m3l
