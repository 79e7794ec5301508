// Tensors by handle. A handle is slot + generation in one double-exact integer, so that a stale
// handle is an error and never another tensor. Every tensor belongs to one scope; scope 0 is none.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "torch.h"

namespace m3l {

using Handle = uint64_t;
using ScopeId = uint32_t;

inline constexpr int kSlotBits = 24;
inline constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;
inline constexpr uint32_t kLastGeneration = (uint32_t{1} << 29) - 1;

class HandleTable {
 public:
  /// Takes the tensor into the current scope.
  Handle add(at::Tensor tensor);

  /// The tensor, or nullptr where the handle is stale or was never given out.
  [[nodiscard]] const at::Tensor* find(Handle handle) const {
    const uint64_t index = handle & kSlotMask;
    if (index >= slots_.size()) {
      return nullptr;
    }
    const Slot& slot = slots_[index];
    return slot.live && slot.generation == (handle >> kSlotBits) ? &slot.tensor : nullptr;
  }

  /// False where the handle is stale already.
  bool release(Handle handle);

  /// A new scope within the current one; it becomes the current one.
  ScopeId open_scope();
  /// Makes an open scope (or 0) the current one; returns the one before.
  ScopeId enter_scope(ScopeId id);
  /// Releases what the scope still owns.
  void close_scope(ScopeId id);
  [[nodiscard]] bool has_scope(ScopeId id) const { return id == 0 || scopes_.contains(id); }
  void move_to_scope(Handle handle, ScopeId id);
  [[nodiscard]] ScopeId scope_of(Handle handle) const { return slots_[handle & kSlotMask].scope; }
  [[nodiscard]] ScopeId current_scope() const { return current_scope_; }

  /// Whether a JavaScript object is watched for this tensor alone; of a live handle.
  [[nodiscard]] bool is_watched(Handle handle) const { return slots_[handle & kSlotMask].watched; }
  void note_watched(Handle handle) { slots_[handle & kSlotMask].watched = true; }

  [[nodiscard]] size_t live_count() const { return slots_.size() - free_slots_.size(); }
  [[nodiscard]] size_t scope_count() const { return scopes_.size(); }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.live) {
        visit(slot.tensor);
      }
    }
  }

 private:
  struct Slot {
    at::Tensor tensor;
    uint32_t generation = 0;
    ScopeId scope = 0;
    bool live = false;
    bool watched = false;
  };
  struct Scope {
    ScopeId parent = 0;
    std::vector<Handle> handles;
  };

  void release_slot(uint32_t index);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  // Node-based, so current_handles_ stays valid while other scopes come and go.
  std::unordered_map<ScopeId, Scope> scopes_;
  std::vector<std::vector<Handle>> spare_lists_;
  std::vector<Handle>* current_handles_ = nullptr;
  ScopeId current_scope_ = 0;
  ScopeId last_scope_ = 0;
};

}  // namespace m3l
