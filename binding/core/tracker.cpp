#include "tracker.h"

#include <algorithm>

#include "bytes-in-use.h"

namespace m3l {

namespace {

/// Storages of up to so many bytes are little.
constexpr size_t kLittle = 1024;
/// After tensors of so many bytes, views counted like their bases, it is asked how many are in use.
constexpr uint64_t kAskBytes = uint64_t{8} << 20;
constexpr uint64_t kSweepBytes = uint64_t{32} << 20;
constexpr size_t kSweepCount = 4096;
/// So many bytes more than after the last collection, or half as many again, and V8 is asked to
/// collect: a collection then costs little beside what was allocated.
constexpr uint64_t kCollectBytes = uint64_t{128} << 20;

}  // namespace

Tracker::Tracker(Napi::Env env, HandleTable& handles) : env_(env), handles_(handles) {
  const Napi::HandleScope scope(env_);
  sentinel_ = Napi::Weak(Napi::Object::New(env_));
}

bool Tracker::keeps_much(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return false;
  }
  // A view keeps all of its base, and a sparse tensor has storages of its own.
  const bool has_much = !tensor.has_storage() || tensor.storage().nbytes() > kLittle;
  return has_much || (tensor.requires_grad() && !tensor.is_leaf());
}

bool Tracker::has_outgrown(Handle handle) const {
  const at::Tensor* tensor = handles_.find(handle);
  return tensor != nullptr && handles_.scope_of(handle) == 0 && !handles_.is_watched(handle) &&
         keeps_much(*tensor);
}

size_t Tracker::count() const {
  size_t total = entries_.size();
  for (const Page& page : pages_) {
    total += page.handles.size();
  }
  return total;
}

void Tracker::sweep_if_due() {
  const size_t watched = entries_.size() + pages_.size();
  ++count_since_sweep_;
  if (announced_bytes_ >= kAskBytes) {
    announced_bytes_ = 0;
    const uint64_t bytes = bytes_in_use();
    if (bytes >= bytes_at_collection_ + std::max(kCollectBytes, bytes_at_collection_ / 2)) {
      collect();
    } else if (bytes >= bytes_at_sweep_ + kSweepBytes) {
      sweep();
    }
  }
  // Each allocation pays for looking at a few entries at most.
  if (count_since_sweep_ >= std::max(kSweepCount, watched / 2) ||
      (16 * count_since_sweep_ >= watched && has_collected())) {
    sweep();
  }
}

void Tracker::track(Napi::Object object, Handle handle) {
  const at::Tensor* tensor = handles_.find(handle);
  if (tensor == nullptr) {
    return;
  }
  if (tensor->has_storage()) {
    announced_bytes_ += tensor->storage().nbytes();
  }
  sweep_if_due();
  handles_.note_watched(handle);
  entries_.push_back({Napi::Weak(object), handle});
}

void Tracker::track_page(Napi::Object page, std::span<const double> handles) {
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
  count_since_sweep_ = 0;
  if (has_collected()) {
    const Napi::HandleScope scope(env_);
    sentinel_ = Napi::Weak(Napi::Object::New(env_));
  }
  const size_t released = sweep_entries() + sweep_pages();
  bytes_at_sweep_ = bytes_in_use();
  bytes_at_collection_ = std::min(bytes_at_collection_, bytes_at_sweep_);
  Napi::MemoryManagement::AdjustExternalMemory(
      env_, static_cast<int64_t>(bytes_at_sweep_) - static_cast<int64_t>(reported_bytes_));
  reported_bytes_ = bytes_at_sweep_;
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
    for (const Handle handle : page.handles) {
      released += release(handle);
    }
    return true;
  });
  return released;
}

void Tracker::collect(int64_t pressure) {
  Napi::MemoryManagement::AdjustExternalMemory(env_, pressure);
  Napi::MemoryManagement::AdjustExternalMemory(env_, -pressure);
  sweep();
  bytes_at_collection_ = bytes_at_sweep_;
}

}  // namespace m3l
