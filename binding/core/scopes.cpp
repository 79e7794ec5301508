// Scopes and the life of handles.
#include <algorithm>

#include "call.h"

namespace m3l {

namespace {

ScopeId scope_id(const Call& call, size_t index) {
  const int64_t id = call.integer(index, "scope id");
  if (id < 0 || !call.state().handles.has_scope(static_cast<ScopeId>(id))) {
    throw CoreError("M3L_SCOPE_CLOSED", "scope " + std::to_string(id) + " is closed already");
  }
  return static_cast<ScopeId>(id);
}

ScopeId scope_open(const Call& call) { return call.state().handles.open_scope(); }

ScopeId scope_enter(const Call& call) {
  return call.state().handles.enter_scope(scope_id(call, 0));
}

void scope_close(const Call& call) { call.state().handles.close_scope(scope_id(call, 0)); }

void scope_move(const Call& call) {
  call.state().handles.move_to_scope(call.live_handle(0), scope_id(call, 1));
}

ScopeId scope_of(const Call& call) { return call.state().handles.scope_of(call.live_handle(0)); }

Napi::Object object_at(const Call& call, size_t index, const char* what) {
  if (!call[index].IsObject()) {
    throw CoreError("M3L_ARGUMENT",
                    std::string(what) + ": expected an object, found " + describe(call[index]));
  }
  return call[index].As<Napi::Object>();
}

void track(const Call& call) {
  call.state().tracker.track(object_at(call, 0, "track(object, handle)"), call.handle(1));
}

void track_page(const Call& call) {
  const Napi::Value list = call[1];
  if (!list.IsTypedArray() || list.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw CoreError("M3L_ARGUMENT", "trackPage: expected a Float64Array, found " + describe(list));
  }
  auto handles = list.As<Napi::Float64Array>();
  const double count = std::max(0.0, call.number(2, "trackPage: count"));
  call.state().tracker.track_page(
      object_at(call, 0, "trackPage(page, …)"),
      {handles.Data(), std::min(handles.ElementLength(), static_cast<size_t>(count))});
}

size_t sweep(const Call& call) { return call.state().tracker.sweep(); }

bool dispose(const Call& call) { return call.state().handles.release(call.handle(0)); }

bool is_live(const Call& call) { return call.state().handles.find(call.handle(0)) != nullptr; }

}  // namespace

void export_scopes(Exports& exports) {
  exports.add<scope_open>("scopeOpen");
  exports.add<scope_enter>("scopeEnter");
  exports.add<scope_close>("scopeClose");
  exports.add<scope_move>("scopeMove");
  exports.add<scope_of>("scopeOf");
  exports.add<track>("track");
  exports.add<track_page>("trackPage");
  exports.add<sweep>("sweep");
  exports.add<dispose>("dispose");
  exports.add<is_live>("isLive");
}

}  // namespace m3l
