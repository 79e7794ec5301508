#include "tracker.h"

#include <algorithm>

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

void Tracker::sweep_if_due() {
  // As many new ones as there were: each allocation then pays for looking at two entries at most.
  if (bytes_since_sweep_ >= kSweepBytes ||
      count_since_sweep_ >= std::max(kSweepCount, (entries_.size() + pages_.size()) / 2)) {
    sweep();
  }
}

void Tracker::track(Napi::Object object, Handle handle) {
  const at::Tensor* tensor = handles_.find(handle);
  if (tensor == nullptr) {
    return;
  }
  const uint64_t bytes = owned_bytes(*tensor);
  bytes_since_sweep_ += bytes;
  ++count_since_sweep_;
  sweep_if_due();
  entries_.push_back({Napi::Weak(object), handle, bytes});
  live_bytes_ += bytes;
}

void Tracker::track_page(Napi::Object page, std::span<const double> handles) {
  bytes_since_sweep_ += handles.size() * kSmallTensorBytes;
  live_bytes_ += handles.size() * kSmallTensorBytes;
  sweep_if_due();
  pages_.push_back({Napi::Weak(page), {}});
  std::vector<Handle>& own = pages_.back().handles;
  own.reserve(handles.size());
  for (const double handle : handles) {
    own.push_back(static_cast<Handle>(handle));
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
  const size_t released = sweep_entries() + sweep_pages();
  report_bytes();
  return released;
}

/// Reading a weak reference makes a local one, which lives as long as a handle scope.
bool Tracker::is_gone(const Napi::ObjectReference& owner) const {
  const Napi::HandleScope scope(env_);
  return owner.Value().IsEmpty();
}

size_t Tracker::sweep_entries() {
  size_t released = 0;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (handles_.find(entry.handle) != nullptr && !is_gone(entry.owner)) {
      return false;
    }
    released += release(entry.handle);
    live_bytes_ -= entry.bytes;
    return true;
  });
  return released;
}

size_t Tracker::sweep_pages() {
  size_t released = 0;
  std::erase_if(pages_, [&](const Page& page) {
    if (!is_gone(page.owner)) {
      return false;
    }
    live_bytes_ -= page.handles.size() * kSmallTensorBytes;
    for (const Handle handle : page.handles) {
      released += release(handle);
    }
    return true;
  });
  return released;
}

void Tracker::report_bytes() {
  const auto change = static_cast<int64_t>(live_bytes_) - static_cast<int64_t>(reported_bytes_);
  Napi::MemoryManagement::AdjustExternalMemory(env_, change);
  reported_bytes_ = live_bytes_;
}

void Tracker::collect() {
  Napi::MemoryManagement::AdjustExternalMemory(env_, kPressureBytes);
  Napi::MemoryManagement::AdjustExternalMemory(env_, -kPressureBytes);
  sweep();
}

}  // namespace m3l
