// What is done to every pixel of every picture that is loaded. Without libtorch, so that a loader's
// threads open it in no time; without state, so that all of them can.
#include <node_api.h>

#include <span>
#include <type_traits>

#include "arguments.h"
#include "sample.h"
#include "unfilter.h"
#include "values.h"

namespace m3l::image {

namespace {

napi_value to_js(napi_env env, double value) {
  napi_value out = nullptr;
  napi_create_double(env, value, &out);
  return out;
}

/// unfilter(rows, count, stride, step, wide): see unfilter.h; in place.
napi_value unfilter_rows(napi_env /*env*/, Arguments& arguments) {
  const View<uint8_t> rows = arguments.array<uint8_t>();
  const size_t count = arguments.size();
  const size_t stride = arguments.size();
  const size_t step = arguments.size();
  const bool wide = arguments.flag();
  if (step != 1 && step != 2 && step != 3 && step != 6) {
    throw ArgumentError("expected a step of 1, 2, 3 or 6, found " + std::to_string(step));
  }
  if (rows.count < count * (stride + 1) || stride % step != 0) {
    throw ArgumentError("the rows are fewer than their count, or do not consist of whole pixels");
  }
  unfilter(rows.data, count, stride, step, wide);
  return nullptr;
}

napi_value to_js(napi_env env, double first, double second) {
  napi_value out = nullptr;
  napi_create_array_with_length(env, 2, &out);
  napi_set_element(env, out, 0, to_js(env, first));
  napi_set_element(env, out, 1, to_js(env, second));
  return out;
}

/// Calls `body` with the type of the next argument's values, one of these.
template <class First, class... Others, class Body>
napi_value by_type(const Arguments& arguments, Body body) {
  if constexpr (sizeof...(Others) > 0) {
    if (!arguments.holds<First>()) {
      return by_type<Others...>(arguments, body);
    }
  }
  return body(std::type_identity<First>{});
}

template <class Value>
napi_value extremes_of(napi_env env, Arguments& arguments) {
  const View<Value> values = arguments.array<Value>();
  const Extremes found = extremes(values.data, values.count, arguments.number());
  return to_js(env, found.least, found.greatest);
}

/// extremes(values, hole): [least, greatest]; greatest is -1 where all are holes.
napi_value extremes_entry(napi_env env, Arguments& arguments) {
  return arguments.holds<uint16_t>() ? extremes_of<uint16_t>(env, arguments)
                                     : extremes_of<uint8_t>(env, arguments);
}

template <class Value>
std::span<const Value> span_of(const View<Value>& view) {
  return {view.data, view.count};
}

/// measure(values, holes): [least, greatest]; see values.h.
napi_value measure_entry(napi_env env, Arguments& arguments) {
  return by_type<uint8_t, uint16_t, int16_t, int32_t, uint32_t, float, double>(
      arguments, [&]<class Value>(std::type_identity<Value>) {
        const auto values = span_of(arguments.array<Value>());
        const auto found = measure(values, span_of(arguments.array<double>()));
        return to_js(env, found.least, found.greatest);
      });
}

/// toFloats(values, base, holes, out): see values.h.
napi_value floats_entry(napi_env /*env*/, Arguments& arguments) {
  return by_type<uint8_t, uint16_t, int16_t, int32_t, uint32_t, float, double>(
      arguments, [&]<class Value>(std::type_identity<Value>) -> napi_value {
        const auto values = span_of(arguments.array<Value>());
        const double base = arguments.number();
        const auto holes = span_of(arguments.array<double>());
        to_floats(values, base, holes, arguments.array<float>(values.size()).data);
        return nullptr;
      });
}

/// lookUp(values, table, out): the index of the first value that the table has none for, or -1.
napi_value look_up_entry(napi_env env, Arguments& arguments) {
  return by_type<uint16_t, uint8_t>(arguments, [&]<class Value>(std::type_identity<Value>) {
    const View<Value> values = arguments.array<Value>();
    const auto table = span_of(arguments.array<uint16_t>());
    const View<uint8_t> out = arguments.array<uint8_t>(values.count);
    const size_t end = look_up(values.data, values.count, table, out.data);
    return to_js(env, end == values.count ? -1 : static_cast<double>(end));
  });
}

template <class Value>
napi_value classes_of(napi_env env, Arguments& arguments) {
  const View<Value> values = arguments.array<Value>();
  const int32_t classes = arguments.integer();
  const int32_t offset = arguments.integer();
  const View<uint8_t> out = arguments.array<uint8_t>(values.count);
  const size_t end = to_classes(values.data, values.count, classes, offset, out.data);
  return to_js(env, end == values.count ? -1 : static_cast<double>(end));
}

/// toClasses(values, classes, offset, out): the index of the first value that is none, or -1.
napi_value classes_entry(napi_env env, Arguments& arguments) {
  return arguments.holds<uint16_t>() ? classes_of<uint16_t>(env, arguments)
                                     : classes_of<uint8_t>(env, arguments);
}

/// left, top, width, height; `columns` x `rows` of it are covered.
Window window_of(Arguments& arguments, size_t columns, size_t rows) {
  Window window{};
  window.left = arguments.size();
  window.top = arguments.size();
  window.width = arguments.size();
  window.height = arguments.size();
  if (window.left + columns > window.width || window.top + rows > window.height) {
    throw ArgumentError("the picture reaches beyond its window");
  }
  return window;
}

/// low, high, weight of the taps into `size` rows or columns.
Taps taps_of(Arguments& arguments, size_t size) {
  const View<int32_t> low = arguments.indices(size);
  const View<int32_t> high = arguments.indices(size);
  const View<float> weight = arguments.array<float>(low.count);
  if (high.count < low.count) {
    throw ArgumentError("the taps differ in number");
  }
  return {low.count, low.data, high.data, weight.data};
}

Places places_of(Arguments& arguments, size_t size) {
  const View<int32_t> index = arguments.indices(size);
  return {index.count, index.data};
}

template <class Value>
struct Picture {
  const Value* pixels;
  size_t columns;
  size_t rows;
};

/// pixels, columns: rows of `channels` values a pixel.
template <class Value>
Picture<Value> picture_of(Arguments& arguments, size_t channels) {
  const View<Value> pixels = arguments.array<Value>();
  const size_t columns = arguments.size();
  if (columns == 0) {
    throw ArgumentError("a picture has columns");
  }
  return {pixels.data, columns, pixels.count / columns / channels};
}

/// A picture of one channel, and which of it is taken: across, down, and the window.
template <class Value>
struct Crossings {
  Picture<Value> picture;
  Places across;
  Places down;
  Window window;
};

template <class Value>
Crossings<Value> crossings_of(Arguments& arguments) {
  const auto picture = picture_of<Value>(arguments, 1);
  const Places across = places_of(arguments, picture.columns);
  const Places down = places_of(arguments, picture.rows);
  return {picture, across, down, window_of(arguments, across.count, down.count)};
}

/// A picture of `channels` values a pixel, and what of it is mixed: across, down, and the window.
template <class Value>
struct Mixture {
  Picture<Value> picture;
  Taps across;
  Taps down;
  Window window;
};

template <class Value>
Mixture<Value> mixture_of(Arguments& arguments, size_t channels) {
  const auto picture = picture_of<Value>(arguments, channels);
  const Taps across = taps_of(arguments, picture.columns);
  const Taps down = taps_of(arguments, picture.rows);
  return {picture, across, down, window_of(arguments, across.count, down.count)};
}

template <class Value>
napi_value colour_of(Arguments& arguments) {
  const auto [picture, across, down, window] = mixture_of<Value>(arguments, 3);
  const View<float> normalisation = arguments.array<float>(6);
  const View<float> out = arguments.array<float>(3 * window.width * window.height);
  const float* n = normalisation.data;
  sample_colour(picture.pixels, picture.columns, across, down, window, {n[0], n[1], n[2]},
                {n[3], n[4], n[5]}, out.data);
  return nullptr;
}

/// sampleColour(pixels, columns, low, high, weight (across), low, high, weight (down), left, top,
/// width, height, [3 scales, 3 levels], out): see sample.h.
napi_value colour_entry(napi_env /*env*/, Arguments& arguments) {
  return by_type<uint8_t, uint16_t, float>(arguments, [&]<class Value>(std::type_identity<Value>) {
    return colour_of<Value>(arguments);
  });
}

template <class Value>
napi_value grey_of(Arguments& arguments) {
  const auto [picture, across, down, window] = mixture_of<Value>(arguments, 1);
  const auto scale = static_cast<float>(arguments.number());
  const auto level = static_cast<float>(arguments.number());
  const View<float> out = arguments.array<float>(window.width * window.height);
  sample_grey(picture.pixels, picture.columns, across, down, window, scale, level, out.data);
  return nullptr;
}

/// sampleGrey(pixels, columns, low, high, weight (across), low, high, weight (down), left, top,
/// width, height, scale, level, out): see sample.h.
napi_value grey_entry(napi_env /*env*/, Arguments& arguments) {
  return by_type<uint8_t, uint16_t, float>(
      arguments, [&]<class Value>(std::type_identity<Value>) { return grey_of<Value>(arguments); });
}

template <class Value>
napi_value depth_of(Arguments& arguments) {
  const auto [picture, across, down, window] = crossings_of<Value>(arguments);
  Reading reading{};
  reading.offset = static_cast<float>(arguments.number());
  reading.divisor = static_cast<float>(arguments.number());
  reading.least = static_cast<float>(arguments.number());
  reading.greatest = static_cast<float>(arguments.number());
  if (!(reading.least <= reading.greatest)) {
    throw ArgumentError("the least reading is above the greatest");
  }
  reading.mean = static_cast<float>(arguments.number());
  reading.deviation = static_cast<float>(arguments.number());
  reading.hole = static_cast<float>(arguments.number());
  const View<float> out = arguments.array<float>(window.width * window.height);
  sample_depth(picture.pixels, picture.columns, across, down, window, reading, out.data);
  return nullptr;
}

/// sampleDepth(pixels, columns, across, down, left, top, width, height, offset, divisor, least,
/// greatest, mean, std, hole, out): see sample.h.
napi_value depth_entry(napi_env /*env*/, Arguments& arguments) {
  return by_type<uint8_t, uint16_t, float>(arguments, [&]<class Value>(std::type_identity<Value>) {
    return depth_of<Value>(arguments);
  });
}

/// sampleLabels(pixels, columns, across, down, left, top, width, height, padding, out).
napi_value labels_entry(napi_env /*env*/, Arguments& arguments) {
  const auto [picture, across, down, window] = crossings_of<uint8_t>(arguments);
  const auto padding = static_cast<uint8_t>(arguments.size());
  const View<uint8_t> out = arguments.array<uint8_t>(window.width * window.height);
  sample_labels(picture.pixels, picture.columns, across, down, window, padding, out.data);
  return nullptr;
}

/// The guard through which no C++ exception passes.
template <napi_value (*body)(napi_env, Arguments&)>
napi_value entry(napi_env env, napi_callback_info info) {
  try {
    Arguments arguments(env, info);
    return body(env, arguments);
  } catch (const std::invalid_argument& error) {
    napi_throw_type_error(env, "M3L_ARGUMENT", error.what());
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return nullptr;
}

napi_value initialise(napi_env env, napi_value exports) {
  const auto define = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) ==
        napi_ok) {
      napi_set_named_property(env, exports, name, function);
    }
  };
  define("unfilter", entry<unfilter_rows>);
  define("extremes", entry<extremes_entry>);
  define("measure", entry<measure_entry>);
  define("toFloats", entry<floats_entry>);
  define("lookUp", entry<look_up_entry>);
  define("toClasses", entry<classes_entry>);
  define("sampleColour", entry<colour_entry>);
  define("sampleGrey", entry<grey_entry>);
  define("sampleDepth", entry<depth_entry>);
  define("sampleLabels", entry<labels_entry>);
  return exports;
}

}  // namespace

}  // namespace m3l::image

NAPI_MODULE_INIT() { return m3l::image::initialise(env, exports); }
