// JavaScript errors as lib/ knows them: by a code that stays.
#pragma once

#include <napi.h>

#include <string>

namespace m3l {

/// An error of this class (Napi::Error, Napi::TypeError) with the code M3L_….
template <class Error>
Error coded_error(Napi::Env env, const char* code, const std::string& message) {
  Error error = Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

}  // namespace m3l
