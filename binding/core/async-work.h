// Work on a thread of libuv's pool, so that the event loop goes on meanwhile.
#pragma once

#include <functional>
#include <string>

#include "environment.h"

namespace m3l {

/**
 * Runs `work` on another thread, with the gradient, inference and autocast modes of this one. It
 * must touch nothing of JavaScript's. The promise is of what `finish` gives on this thread after.
 * `where` names the operator in errors.
 */
Napi::Promise run_async(Environment& state, std::string where, std::function<void()> work,
                        std::function<Napi::Value()> finish);

}  // namespace m3l
