// Who releases a tensor that no scope owns: its JavaScript object, by being collected. Finalizers
// do not run inside a synchronous loop, but the collector clears native weak references whenever it
// runs: so the references are swept on allocation, and V8 is told of the bytes so that it collects
// in time.
//
// A reference costs as much as a small operator. Tensors of little memory share one, by the page;
// what keeps much alive, large values or the graph behind them, is watched alone.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "handle-table.h"

namespace m3l {

class Tracker {
 public:
  Tracker(Napi::Env env, HandleTable& handles);

  /// Whether a tensor that is added now must be tracked alone: no scope owns it, and it keeps much.
  [[nodiscard]] bool wants_own(const at::Tensor& tensor) const {
    return handles_.current_scope() == 0 && keeps_much(tensor);
  }
  /// Whether one of a page keeps much by now, as a write in place may have given it a graph.
  [[nodiscard]] bool has_outgrown(Handle handle) const;

  /// Ties an unscoped handle to the object that holds it.
  void track(Napi::Object object, Handle handle);
  /// Ties tensors to one object that all of theirs hold: one reference serves them all.
  void track_page(Napi::Object page, std::span<const double> handles);
  /// Releases the handles whose objects are gone; returns how many.
  size_t sweep();
  /// Asks V8 for a full collection, which it begins before it accepts so many bytes of external
  /// memory more, then sweeps.
  void collect(int64_t pressure = int64_t{1} << 30);
  [[nodiscard]] size_t count() const;

 private:
  struct Entry {
    Napi::ObjectReference owner;
    Handle handle;
  };

  struct Page {
    Napi::ObjectReference owner;
    std::vector<Handle> handles;
  };

  [[nodiscard]] static bool keeps_much(const at::Tensor& tensor);
  void sweep_if_due();
  [[nodiscard]] bool is_gone(const Napi::ObjectReference& owner) const;
  /// Whether V8 has collected since the last sweep.
  [[nodiscard]] bool has_collected() const { return is_gone(sentinel_); }
  size_t sweep_entries();
  size_t sweep_pages();
  size_t release(Handle handle);

  Napi::Env env_;
  HandleTable& handles_;
  std::vector<Entry> entries_;
  std::vector<Page> pages_;
  /// An object that nothing else holds.
  Napi::ObjectReference sentinel_;
  uint64_t announced_bytes_ = 0;
  uint64_t bytes_at_sweep_ = 0;
  uint64_t bytes_at_collection_ = 0;
  uint64_t reported_bytes_ = 0;
  size_t count_since_sweep_ = 0;
};

}  // namespace m3l
