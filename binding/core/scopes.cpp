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

napi_value scope_open(Call& call) {
  return to_js(call.env(), static_cast<double>(call.state().handles.open_scope()));
}

napi_value scope_enter(Call& call) {
  return to_js(call.env(),
               static_cast<double>(call.state().handles.enter_scope(scope_id(call, 0))));
}

napi_value scope_close(Call& call) {
  call.state().handles.close_scope(scope_id(call, 0));
  return undefined(call.env());
}

napi_value scope_move(Call& call) {
  call.state().handles.move_to_scope(call.live_handle(0), scope_id(call, 1));
  return undefined(call.env());
}

napi_value scope_of(Call& call) {
  return to_js(call.env(), static_cast<double>(call.state().handles.scope_of(call.live_handle(0))));
}

napi_value track(Call& call) {
  if (call.count() < 2) {
    throw CoreError("M3L_ARGUMENT", "track(object, handle): two arguments expected");
  }
  call.state().tracker.track(call[0], call.handle(1));
  return undefined(call.env());
}

/// The numbers of a typed array that JavaScript owns; valid as long as the array is.
void* numbers_of(const Call& call, size_t index, napi_typedarray_type wanted, size_t* length) {
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (index >= call.count() ||
      napi_get_typedarray_info(call.env(), call[index], &type, length, &data, nullptr, nullptr) !=
          napi_ok ||
      type != wanted) {
    throw CoreError("M3L_ARGUMENT",
                    "expected a typed array, found " + describe(call.env(), call[index]));
  }
  return data;
}

napi_value track_page(Call& call) {
  size_t length = 0;
  const auto* handles =
      static_cast<const double*>(numbers_of(call, 1, napi_float64_array, &length));
  const double count = call.number(2, "trackPage: count");
  call.state().tracker.track_page(call[0], handles,
                                  std::min(length, static_cast<size_t>(std::max(0.0, count))));
  return undefined(call.env());
}

napi_value share_large(Call& call) {
  size_t length = 0;
  auto* flag = static_cast<uint32_t*>(numbers_of(call, 0, napi_uint32_array, &length));
  if (length == 0) {
    throw CoreError("M3L_ARGUMENT", "shareLarge: expected a Uint32Array of one element");
  }
  // Kept for the environment's life, so that the memory stays where it is.
  napi_ref kept = nullptr;
  check(call.env(), napi_create_reference(call.env(), call[0], 1, &kept), "shareLarge");
  call.state().handles.note_large_at(flag);
  return undefined(call.env());
}

napi_value sweep(Call& call) {
  return to_js(call.env(), static_cast<double>(call.state().tracker.sweep()));
}

napi_value dispose(Call& call) {
  return to_js(call.env(), call.state().handles.release(call.handle(0)));
}

napi_value is_live(Call& call) {
  return to_js(call.env(), call.state().handles.find(call.handle(0)) != nullptr);
}

}  // namespace

Exports scope_exports() {
  return {{"scopeOpen", entry<scope_open>},
          {"scopeEnter", entry<scope_enter>},
          {"scopeClose", entry<scope_close>},
          {"scopeMove", entry<scope_move>},
          {"scopeOf", entry<scope_of>},
          {"track", entry<track>},
          {"trackPage", entry<track_page>},
          {"shareLarge", entry<share_large>},
          {"sweep", entry<sweep>},
          {"dispose", entry<dispose>},
          {"isLive", entry<is_live>}};
}

}  // namespace m3l
