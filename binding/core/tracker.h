// Tensors outside any scope live as long as the JavaScript object that holds them. Finalizers do
// not run inside a synchronous loop, but the collector clears native weak references whenever it
// runs: so the references are swept on allocation, triggered by count and by bytes, and V8 is told
// of the bytes so that it collects in time. A reference costs as much as a small operator: tensors
// of up to kSmallBytes share one, by the page.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "handle-table.h"

namespace m3l {

class Tracker {
 public:
  Tracker(napi_env env, HandleTable& handles) : env_(env), handles_(handles) {}

  /// Ties an unscoped handle to the object that holds it.
  void track(napi_value object, Handle handle);
  /// Ties small tensors to one object that all of theirs hold: one reference serves them all.
  void track_page(napi_value page, const double* handles, size_t count);
  /// Releases the handles whose objects are gone; returns how many.
  size_t sweep();
  /// Asks V8 for a full collection, then sweeps: the last resort before an out-of-memory error.
  void collect();
  [[nodiscard]] size_t count() const;

 private:
  struct Entry {
    napi_ref reference;
    Handle handle;
    uint64_t bytes;
  };

  struct Page {
    napi_ref reference;
    std::vector<Handle> handles;
  };

  napi_ref weak_reference(napi_value object);
  void sweep_if_due();
  size_t sweep_pages();
  size_t release(Handle handle);
  void report_bytes();

  napi_env env_;
  HandleTable& handles_;
  std::vector<Entry> entries_;
  std::vector<Page> pages_;
  uint64_t live_bytes_ = 0;
  uint64_t reported_bytes_ = 0;
  uint64_t bytes_since_sweep_ = 0;
  size_t count_since_sweep_ = 0;
};

}  // namespace m3l
