#include "handle-table.h"

#include <ranges>
#include <utility>

#include "errors.h"

namespace m3l {

Handle HandleTable::add(at::Tensor tensor) {
  uint32_t index = 0;
  if (free_slots_.empty()) {
    if (slots_.size() > kSlotMask) {
      throw CoreError("M3L_TOO_MANY_TENSORS", "more than 16 million live tensors");
    }
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.tensor = std::move(tensor);
  slot.generation = slot.generation == kLastGeneration ? 1 : slot.generation + 1;
  slot.scope = current_scope_;
  slot.live = true;
  slot.watched = false;
  const Handle handle = (static_cast<uint64_t>(slot.generation) << kSlotBits) | index;
  if (current_handles_ != nullptr) {
    current_handles_->push_back(handle);
  }
  return handle;
}

void HandleTable::release_slot(uint32_t index) {
  Slot& slot = slots_[index];
  slot.live = false;
  slot.tensor.reset();
  free_slots_.push_back(index);
}

bool HandleTable::release(Handle handle) {
  if (find(handle) == nullptr) {
    return false;
  }
  release_slot(static_cast<uint32_t>(handle & kSlotMask));
  return true;
}

ScopeId HandleTable::open_scope() {
  do {
    ++last_scope_;
  } while (last_scope_ == 0 || scopes_.contains(last_scope_));
  Scope& scope = scopes_[last_scope_];
  scope.parent = current_scope_;
  if (!spare_lists_.empty()) {
    scope.handles = std::move(spare_lists_.back());
    spare_lists_.pop_back();
  }
  current_scope_ = last_scope_;
  current_handles_ = &scope.handles;
  return last_scope_;
}

ScopeId HandleTable::enter_scope(ScopeId id) {
  const ScopeId previous = current_scope_;
  if (id == 0) {
    current_handles_ = nullptr;
  } else {
    const auto scope = scopes_.find(id);
    if (scope == scopes_.end()) {
      throw CoreError("M3L_SCOPE_CLOSED", "scope " + std::to_string(id) + " is closed already");
    }
    current_handles_ = &scope->second.handles;
  }
  current_scope_ = id;
  return previous;
}

void HandleTable::close_scope(ScopeId id) {
  const auto found = scopes_.find(id);
  if (found == scopes_.end()) {
    throw CoreError("M3L_SCOPE_CLOSED", "scope " + std::to_string(id) + " is closed already");
  }
  Scope scope = std::move(found->second);
  scopes_.erase(found);
  if (current_scope_ == id) {
    enter_scope(has_scope(scope.parent) ? scope.parent : 0);
  }
  // Backwards: results die before what they were computed from, as on a stack.
  for (const Handle handle : std::views::reverse(scope.handles)) {
    if (find(handle) != nullptr && scope_of(handle) == id) {
      release_slot(static_cast<uint32_t>(handle & kSlotMask));
    }
  }
  scope.handles.clear();
  if (spare_lists_.size() < 16) {
    spare_lists_.push_back(std::move(scope.handles));
  }
}

void HandleTable::move_to_scope(Handle handle, ScopeId id) {
  Slot& slot = slots_[handle & kSlotMask];
  if (slot.scope == id) {
    return;
  }
  if (id != 0) {
    const auto scope = scopes_.find(id);
    if (scope == scopes_.end()) {
      throw CoreError("M3L_SCOPE_CLOSED", "scope " + std::to_string(id) + " is closed already");
    }
    scope->second.handles.push_back(handle);
  }
  slot.scope = id;
}

}  // namespace m3l
