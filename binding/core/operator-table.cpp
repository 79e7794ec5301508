#include "operator-table.h"

#include <algorithm>
#include <utility>

#include "errors.h"

namespace m3l {

namespace {

Kind kind_of(const c10::Type& type) {
  switch (type.kind()) {
    case c10::TypeKind::TensorType:
      return Kind::kTensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return Kind::kInt;
    case c10::TypeKind::FloatType:
    case c10::TypeKind::SymFloatType:
      return Kind::kFloat;
    case c10::TypeKind::BoolType:
    case c10::TypeKind::SymBoolType:
      return Kind::kBool;
    case c10::TypeKind::NumberType:
      return Kind::kScalar;
    case c10::TypeKind::StringType:
    // What may be anything is the name of a process group: torch.ops._c10d_functional.
    case c10::TypeKind::AnyType:
      return Kind::kString;
    case c10::TypeKind::DeviceObjType:
      return Kind::kDevice;
    case c10::TypeKind::GeneratorType:
      return Kind::kGenerator;
    default:
      return Kind::kUnsupported;
  }
}

std::optional<size_t> aliased(const c10::FunctionSchema& schema, const c10::Argument& result) {
  const c10::AliasInfo* alias = result.alias_info();
  if (alias == nullptr || !alias->isWrite() || result.type()->kind() != c10::TypeKind::TensorType) {
    return std::nullopt;
  }
  const auto& arguments = schema.arguments();
  const auto found = std::ranges::find_if(arguments, [&](const auto& argument) {
    return argument.alias_info() != nullptr && *argument.alias_info() == *alias;
  });
  if (found == arguments.end()) {
    return std::nullopt;
  }
  return static_cast<size_t>(found - arguments.begin());
}

}  // namespace

ArgumentPlan plan_of(const c10::Argument& argument) {
  ArgumentPlan plan;
  plan.name = argument.name();
  plan.type = argument.real_type()->str();
  plan.fixed_size = argument.N();
  plan.default_value = argument.default_value();
  c10::TypePtr type = argument.type();
  if (const auto optional = type->cast<c10::OptionalType>()) {
    plan.optional = true;
    type = optional->getElementType();
  }
  if (const auto list = type->cast<c10::ListType>()) {
    plan.list = true;
    type = list->getElementType();
    if (const auto optional = type->cast<c10::OptionalType>()) {
      plan.element_optional = true;
      type = optional->getElementType();
    }
  }
  plan.kind = kind_of(*type);
  return plan;
}

uint32_t OperatorTable::resolve(const std::string& name, const std::string& overload) {
  const std::string key = overload.empty() ? name : name + "." + overload;
  if (const auto known = ids_.find(key); known != ids_.end()) {
    return known->second;
  }
  const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle.has_value()) {
    throw CoreError("M3L_UNKNOWN_OPERATOR",
                    "libtorch has no operator '" + key + "'; see docs/operators.md for the names");
  }
  const c10::FunctionSchema& schema = handle->schema();
  Operator entry{*handle,
                 key,
                 {},
                 {},
                 name.starts_with("aten::") && name != "aten::_make_dual",
                 schema.is_mutable()};
  for (const c10::Argument& argument : schema.arguments()) {
    entry.arguments.push_back(plan_of(argument));
  }
  for (const c10::Argument& result : schema.returns()) {
    entry.aliased_argument.push_back(aliased(schema, result));
  }
  operators_.push_back(std::move(entry));
  const auto id = static_cast<uint32_t>(operators_.size() - 1);
  ids_.emplace(key, id);
  return id;
}

const Operator& OperatorTable::at(uint32_t id) const {
  if (id >= operators_.size()) {
    throw CoreError("M3L_UNKNOWN_OPERATOR",
                    "no operator has the id " + std::to_string(id) + "; resolve it first");
  }
  return operators_[id];
}

}  // namespace m3l
