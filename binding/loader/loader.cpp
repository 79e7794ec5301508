// Opens libtorch by absolute path before the core addon is loaded, so that the core's undefined
// symbols are found in the global scope, whichever folder the user's libtorch lies in.
#include <napi.h>

#include <optional>
#include <string>

#include "../coded-error.h"
#include "../interface-version.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace m3l {

namespace {

#if defined(_WIN32)

/// Why it could not be opened, or nothing. Windows looks a symbol up in the file that it is of.
std::optional<std::string> open_library(const Napi::String& path, bool /*visible*/) {
  const std::u16string name = path.Utf16Value();
  if (LoadLibraryExW(reinterpret_cast<const wchar_t*>(name.c_str()), nullptr,
                     LOAD_WITH_ALTERED_SEARCH_PATH) != nullptr) {
    return std::nullopt;
  }
  return "LoadLibraryEx failed with error " + std::to_string(GetLastError());
}

Napi::Value path_of_libtorch(Napi::Env env) {
  std::u16string path(32768, u'\0');
  const HMODULE library = GetModuleHandleW(L"torch_cpu.dll");
  if (library == nullptr) {
    return env.Null();
  }
  const DWORD length = GetModuleFileNameW(library, reinterpret_cast<wchar_t*>(path.data()),
                                          static_cast<DWORD>(path.size()));
  return Napi::String::New(env, path.data(), length);
}

#else

/// Why it could not be opened, or nothing. Libraries that are opened later find the symbols of a
/// visible one.
std::optional<std::string> open_library(const Napi::String& path, bool visible) {
  if (dlopen(path.Utf8Value().c_str(), RTLD_NOW | (visible ? RTLD_GLOBAL : RTLD_LOCAL)) !=
      nullptr) {
    return std::nullopt;
  }
  const char* reason = dlerror();
  return reason == nullptr ? "dlopen failed" : reason;
}

Napi::Value path_of_libtorch(Napi::Env env) {
  // c10::Dispatcher::realSingleton(): what all operators are registered with.
  const void* symbol = dlsym(RTLD_DEFAULT, "_ZN3c1010Dispatcher13realSingletonEv");
  Dl_info library{};
  if (symbol == nullptr || dladdr(symbol, &library) == 0) {
    return env.Null();
  }
  return Napi::String::New(env, library.dli_fname);
}

#endif

/// open(path, visible).
void open(const Napi::CallbackInfo& info) {
  if (!info[0].IsString() || !info[1].IsBoolean()) {
    throw coded_error<Napi::TypeError>(
        info.Env(), "M3L_ARGUMENT",
        "open(path, visible): expected the path of a library and whether others see its symbols");
  }
  const auto refusal = open_library(info[0].As<Napi::String>(), info[1].As<Napi::Boolean>());
  if (refusal.has_value()) {
    throw coded_error<Napi::Error>(info.Env(), "M3L_LIBTORCH_OPEN", *refusal);
  }
}

/// libtorch(): the file of this process's libtorch_cpu, null where none is opened.
Napi::Value libtorch(const Napi::CallbackInfo& info) { return path_of_libtorch(info.Env()); }

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaceVersion", kInterfaceVersion);
  exports.Set("open", Napi::Function::New<open>(env, "open"));
  exports.Set("libtorch", Napi::Function::New<libtorch>(env, "libtorch"));
  return exports;
}

}  // namespace

NODE_API_MODULE(m3l_loader, initialise)

}  // namespace m3l
