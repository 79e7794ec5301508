// Streams and events of a device, by libtorch's interface for any device. A stream is known by its
// device and a number; an event lives as long as its JavaScript object.
#include <c10/core/Event.h>

#include <memory>

#include "async-work.h"
#include "call.h"
#include "devices.h"

namespace m3l {

namespace {

constexpr napi_type_tag kEvent = {0x51e0c2a97b3d4f68, 0x8f2ad63b190c47e5};

/// Of two arguments: the device, and the stream's number there.
c10::Stream stream_at(const Call& call, size_t index) {
  return c10::Stream(c10::Stream::UNSAFE, call.device(index), call.integer(index + 1, "stream"));
}

int64_t current_stream(const Call& call) {
  const c10::Device device = call.device(0);
  return guard_of(device).getStream(device).id();
}

/// newStream(device, priority): one of libtorch's pool; below 0 the device prefers its work.
int64_t new_stream(const Call& call) {
  const c10::Device device = call.device(0);
  const int64_t priority = call.integer(1, "priority");
  if (priority < -8 || priority > 0) {
    throw CoreError("M3L_ARGUMENT", "priority: expected an integer from -8 to 0, found " +
                                        std::to_string(priority));
  }
  return guard_of(device).getNewStream(device, static_cast<int>(priority)).id();
}

/// exchangeStream(device, stream): the one before.
int64_t exchange_stream(const Call& call) {
  const c10::Stream stream = stream_at(call, 0);
  return guard_of(stream.device()).exchangeStream(stream).id();
}

bool query_stream(const Call& call) {
  const c10::Stream stream = stream_at(call, 0);
  return guard_of(stream.device()).queryStream(stream);
}

void synchronize_stream(const Call& call) {
  const c10::Stream stream = stream_at(call, 0);
  guard_of(stream.device()).synchronizeStream(stream);
}

Napi::Value synchronize_stream_async(const Call& call) {
  const c10::Stream stream = stream_at(call, 0);
  return run_async(call.state(), "",
                   [stream] { guard_of(stream.device()).synchronizeStream(stream); });
}

/// recordStream(handle, device, stream): the tensor's memory is not lent anew before the stream has
/// done what it was asked for until the tensor's end.
void record_stream(const Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  const c10::Stream stream = stream_at(call, 1);
  if (!tensor.has_storage() || tensor.device().type() != stream.device_type()) {
    throw CoreError("M3L_DEVICE", "recordStream: the tensor is on '" + tensor.device().str() +
                                      "', expected a dense one on a device as the stream's, '" +
                                      stream.device().str() + "'");
  }
  guard_of(stream.device()).recordDataPtrOnStream(tensor.storage().data_ptr(), stream);
}

using SharedEvent = std::shared_ptr<c10::Event>;

const SharedEvent& event_at(const Call& call, size_t index) {
  const Napi::Value value = call[index];
  if (!value.IsExternal() || !value.As<Napi::External<SharedEvent>>().CheckTypeTag(&kEvent)) {
    throw CoreError("M3L_ARGUMENT", "expected an event, found " + describe(value));
  }
  return *value.As<Napi::External<SharedEvent>>().Data();
}

/// newEvent(device, timing): of whichever device of that type records it first.
Napi::Value new_event(const Call& call) {
  const c10::DeviceType type = device_of(call.text(0, "device")).type();
  // As libtorch names them: its own default is without time.
  const auto flag =
      call.boolean(1, "timing") ? c10::EventFlag::BACKEND_DEFAULT : c10::EventFlag::PYTORCH_DEFAULT;
  auto external = Napi::External<SharedEvent>::New(
      call.env(), new SharedEvent(std::make_shared<c10::Event>(type, flag)),
      [](Napi::Env /*env*/, SharedEvent* gone) { delete gone; });
  external.TypeTag(&kEvent);
  return external;
}

void record_event(const Call& call) { event_at(call, 0)->record(stream_at(call, 1)); }

/// waitEvent(event, device, stream): the stream does what comes next after the event.
void wait_event(const Call& call) { event_at(call, 0)->block(stream_at(call, 1)); }

bool query_event(const Call& call) { return event_at(call, 0)->query(); }

void synchronize_event(const Call& call) { event_at(call, 0)->synchronize(); }

Napi::Value synchronize_event_async(const Call& call) {
  const SharedEvent event = event_at(call, 0);
  // Read here: the event may be recorded anew while the other thread waits.
  const bool recorded = event->was_marked_for_recording();
  void* const native = event->eventId();
  return run_async(call.state(), "", [event, recorded, native] {
    if (recorded) {
      guard_of(event->device_type()).synchronizeEvent(native);
    }
  });
}

/// Milliseconds.
double elapsed_time(const Call& call) { return event_at(call, 0)->elapsedTime(*event_at(call, 1)); }

}  // namespace

void export_streams(Exports& exports) {
  exports.add<current_stream>("currentStream");
  exports.add<new_stream>("newStream");
  exports.add<exchange_stream>("exchangeStream");
  exports.add<query_stream>("queryStream");
  exports.add<synchronize_stream>("synchronizeStream");
  exports.add<synchronize_stream_async>("synchronizeStreamAsync");
  exports.add<record_stream>("recordStream");
  exports.add<new_event>("newEvent");
  exports.add<record_event>("recordEvent");
  exports.add<wait_event>("waitEvent");
  exports.add<query_event>("queryEvent");
  exports.add<synchronize_event>("synchronizeEvent");
  exports.add<synchronize_event_async>("synchronizeEventAsync");
  exports.add<elapsed_time>("elapsedTime");
}

}  // namespace m3l
