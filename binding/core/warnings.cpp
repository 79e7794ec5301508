#include "warnings.h"

namespace m3l {

Warnings::Warnings() { c10::WarningUtils::set_warning_handler(this); }

Warnings::~Warnings() {
  if (c10::WarningUtils::get_warning_handler() == this) {
    c10::WarningUtils::set_warning_handler(nullptr);
  }
}

void Warnings::process(const c10::Warning& warning) {
  if (listener.IsEmpty()) {
    c10::WarningHandler::process(warning);
    return;
  }
  try {
    const Napi::HandleScope scope(listener.Env());
    listener.Call({Napi::String::New(listener.Env(), warning.msg())});
  } catch (const Napi::Error&) {
    // An operator goes on whatever becomes of its warning.
  }
}

}  // namespace m3l
