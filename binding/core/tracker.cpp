#include "tracker.h"

#include <algorithm>
#include <utility>

#include "errors.h"

namespace m3l {

namespace {

constexpr uint64_t kSweepBytes = uint64_t{32} << 20;
constexpr size_t kSweepCount = 4096;
// What a small tensor takes: its TensorImpl, storage and elements. V8 counts it, to collect in
// time.
constexpr uint64_t kSmallTensorBytes = 512;
// V8 collects before it accepts this much external memory more.
constexpr int64_t kPressureBytes = int64_t{1} << 30;

uint64_t owned_bytes(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) {
    return 0;
  }
  const c10::Storage& storage = tensor.storage();
  // A view adds nothing to what its base has been counted for.
  return storage.use_count() == 1 ? storage.nbytes() : 0;
}

}  // namespace

size_t Tracker::count() const {
  size_t total = entries_.size();
  for (const Page& page : pages_) {
    total += page.handles.size();
  }
  return total;
}

napi_ref Tracker::weak_reference(napi_value object) {
  napi_ref reference = nullptr;
  if (napi_create_reference(env_, object, 0, &reference) != napi_ok) {
    throw CoreError("M3L_ARGUMENT", "track(object, …): expected an object");
  }
  return reference;
}

void Tracker::sweep_if_due() {
  // As many new ones as there were: each allocation then pays for looking at two entries at most.
  if (bytes_since_sweep_ >= kSweepBytes ||
      count_since_sweep_ >= std::max(kSweepCount, (entries_.size() + pages_.size()) / 2)) {
    sweep();
  }
}

void Tracker::track(napi_value object, Handle handle) {
  const at::Tensor* tensor = handles_.find(handle);
  if (tensor == nullptr) {
    return;
  }
  const uint64_t bytes = owned_bytes(*tensor);
  bytes_since_sweep_ += bytes;
  ++count_since_sweep_;
  sweep_if_due();
  entries_.push_back({weak_reference(object), handle, bytes});
  live_bytes_ += bytes;
}

void Tracker::track_page(napi_value page, const double* handles, size_t count) {
  bytes_since_sweep_ += count * kSmallTensorBytes;
  live_bytes_ += count * kSmallTensorBytes;
  sweep_if_due();
  pages_.push_back({weak_reference(page), {}});
  std::vector<Handle>& own = pages_.back().handles;
  own.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    own.push_back(static_cast<Handle>(handles[i]));
  }
}

size_t Tracker::release(Handle handle) {
  // A tensor that has moved into a scope is that scope's to release.
  if (handles_.find(handle) == nullptr || handles_.scope_of(handle) != 0) {
    return 0;
  }
  return handles_.release(handle) ? 1 : 0;
}

size_t Tracker::sweep() {
  bytes_since_sweep_ = 0;
  count_since_sweep_ = 0;
  size_t released = 0;
  size_t kept = 0;
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env_, &scope);
  for (size_t index = 0; index < entries_.size(); ++index) {
    const Entry entry = entries_[index];
    napi_value object = nullptr;
    if (handles_.find(entry.handle) != nullptr) {
      napi_get_reference_value(env_, entry.reference, &object);
    }
    if (object == nullptr) {
      napi_delete_reference(env_, entry.reference);
      released += release(entry.handle);
      live_bytes_ -= entry.bytes;
    } else {
      entries_[kept++] = entry;
    }
    if (index % 1024 == 1023) {
      napi_close_handle_scope(env_, scope);
      napi_open_handle_scope(env_, &scope);
    }
  }
  napi_close_handle_scope(env_, scope);
  entries_.resize(kept);
  released += sweep_pages();
  report_bytes();
  return released;
}

size_t Tracker::sweep_pages() {
  size_t released = 0;
  size_t kept = 0;
  for (Page& page : pages_) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env_, &scope);
    napi_value object = nullptr;
    napi_get_reference_value(env_, page.reference, &object);
    napi_close_handle_scope(env_, scope);
    if (object != nullptr) {
      std::swap(pages_[kept++], page);
      continue;
    }
    napi_delete_reference(env_, page.reference);
    live_bytes_ -= page.handles.size() * kSmallTensorBytes;
    for (const Handle handle : page.handles) {
      released += release(handle);
    }
  }
  pages_.resize(kept);
  return released;
}

void Tracker::report_bytes() {
  const auto change = static_cast<int64_t>(live_bytes_) - static_cast<int64_t>(reported_bytes_);
  int64_t total = 0;
  napi_adjust_external_memory(env_, change, &total);
  reported_bytes_ = live_bytes_;
}

void Tracker::collect() {
  int64_t total = 0;
  napi_adjust_external_memory(env_, kPressureBytes, &total);
  napi_adjust_external_memory(env_, -kPressureBytes, &total);
  sweep();
}

}  // namespace m3l
