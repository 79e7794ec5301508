// Opens libtorch by absolute path before the core addon is loaded, so that one addon binary serves
// every libtorch: the core's undefined symbols are then found in the global scope.
#include <dlfcn.h>
#include <node_api.h>

#include <string>

namespace {

napi_value Open(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr;
  size_t length = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count < 1 ||
      napi_get_value_string_utf8(env, argument, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, "M3L_ARGUMENT", "open(path): the path of libtorch.so is a string");
    return nullptr;
  }
  std::string path(length, '\0');
  napi_get_value_string_utf8(env, argument, path.data(), length + 1, &length);
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    napi_throw_error(env, "M3L_LIBTORCH_OPEN", reason == nullptr ? "dlopen failed" : reason);
  }
  return nullptr;
}

napi_value Initialise(napi_env env, napi_value exports) {
  napi_value function = nullptr;
  if (napi_create_function(env, "open", NAPI_AUTO_LENGTH, Open, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, "open", function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(m3l_loader, Initialise)
