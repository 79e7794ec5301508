// Work on a thread of libuv's pool, so that the event loop goes on meanwhile.
#pragma once

#include <functional>
#include <string>

#include "environment.h"

namespace m3l {

/// What is done where `work` fails for want of memory: `kOnce` more it is run, when what nobody
/// holds was released; it must have written nothing by then that is seen.
enum class Retry { kNever, kOnce };

/**
 * Runs `work` on another thread, with the gradient, inference and autocast modes of this one, on
 * its device and streams. It must touch nothing of JavaScript's. The promise is of what `finish`
 * gives on this thread after, of undefined without one. `where` names the operator in errors.
 */
Napi::Promise run_async(Environment& state, std::string where, std::function<void()> work,
                        std::function<Napi::Value()> finish = nullptr, Retry retry = Retry::kNever);

}  // namespace m3l
