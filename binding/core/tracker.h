// Tensors outside any scope live as long as the JavaScript object that holds them. Finalizers do
// not run inside a synchronous loop, but the collector clears native weak references whenever it
// runs: so the references are swept on allocation, triggered by count and by bytes, and V8 is told
// of the bytes so that it collects in time. A reference costs as much as a small operator: tensors
// of up to kSmallBytes share one, by the page.
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
  Tracker(Napi::Env env, HandleTable& handles) : env_(env), handles_(handles) {}

  /// Ties an unscoped handle to the object that holds it.
  void track(Napi::Object object, Handle handle);
  /// Ties small tensors to one object that all of theirs hold: one reference serves them all.
  void track_page(Napi::Object page, std::span<const double> handles);
  /// Releases the handles whose objects are gone; returns how many.
  size_t sweep();
  /// Asks V8 for a full collection, then sweeps: the last resort before an out-of-memory error.
  void collect();
  [[nodiscard]] size_t count() const;

 private:
  struct Entry {
    Napi::ObjectReference owner;
    Handle handle;
    uint64_t bytes;
  };

  struct Page {
    Napi::ObjectReference owner;
    std::vector<Handle> handles;
  };

  void sweep_if_due();
  [[nodiscard]] bool is_gone(const Napi::ObjectReference& owner) const;
  size_t sweep_entries();
  size_t sweep_pages();
  size_t release(Handle handle);
  void report_bytes();

  Napi::Env env_;
  HandleTable& handles_;
  std::vector<Entry> entries_;
  std::vector<Page> pages_;
  uint64_t live_bytes_ = 0;
  uint64_t reported_bytes_ = 0;
  uint64_t bytes_since_sweep_ = 0;
  size_t count_since_sweep_ = 0;
};

}  // namespace m3l
