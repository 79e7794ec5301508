// What is done to every pixel of every picture that is loaded. Without libtorch, so that a loader's
// threads open it in no time; without state, so that all of them can.
#include <napi.h>

#include <array>
#include <span>
#include <type_traits>

#include "../coded-error.h"
#include "../interface-version.h"
#include "arguments.h"
#include "sample.h"
#include "unfilter.h"
#include "values.h"

namespace m3l::image {

namespace {

/// unfilter(rows, count, stride, step, wide): see unfilter.h; in place.
void unfilter_rows(Arguments& arguments) {
  const auto rows = arguments.array<uint8_t>();
  const size_t count = arguments.size();
  const size_t stride = arguments.size();
  const size_t step = arguments.size();
  const bool wide = arguments.flag();
  if (step != 1 && step != 2 && step != 3 && step != 6) {
    throw ArgumentError("expected a step of 1, 2, 3 or 6, found " + std::to_string(step));
  }
  if (rows.size() < count * (stride + 1) || stride % step != 0) {
    throw ArgumentError("the rows are fewer than their count, or do not consist of whole pixels");
  }
  unfilter(rows.data(), count, stride, step, wide);
}

/// Calls `body` with the type of the next argument's values, one of these.
template <class First, class... Others, class Body>
auto by_type(const Arguments& arguments, Body body) {
  if constexpr (sizeof...(Others) > 0) {
    if (!arguments.holds<First>()) {
      return by_type<Others...>(arguments, body);
    }
  }
  return body(std::type_identity<First>{});
}

/// Least and greatest, as JavaScript gets them.
using Range = std::array<double, 2>;

/// extremes(values, hole): [least, greatest]; greatest is -1 where all are holes.
Range extremes_entry(Arguments& arguments) {
  return by_type<uint16_t, uint8_t>(
      arguments, [&]<class Value>(std::type_identity<Value>) -> Range {
        const auto values = arguments.array<Value>();
        const Extremes found = extremes(values.data(), values.size(), arguments.number());
        return {static_cast<double>(found.least), static_cast<double>(found.greatest)};
      });
}

/// measure(values, holes): [least, greatest]; see values.h.
Range measure_entry(Arguments& arguments) {
  return by_type<uint8_t, uint16_t, int16_t, int32_t, uint32_t, float, double>(
      arguments, [&]<class Value>(std::type_identity<Value>) -> Range {
        const std::span<const Value> values = arguments.array<Value>();
        const auto found = measure<Value>(values, arguments.array<double>());
        return {found.least, found.greatest};
      });
}

/// toFloats(values, base, holes, out): see values.h.
void floats_entry(Arguments& arguments) {
  by_type<uint8_t, uint16_t, int16_t, int32_t, uint32_t, float, double>(
      arguments, [&]<class Value>(std::type_identity<Value>) {
        const std::span<const Value> values = arguments.array<Value>();
        const double base = arguments.number();
        const std::span<const double> holes = arguments.array<double>();
        to_floats<Value>(values, base, holes, arguments.array<float>(values.size()).data());
      });
}

/// `end` where it is one of `values`, or -1.
template <class Value>
double index_within(size_t end, std::span<Value> values) {
  return end == values.size() ? -1 : static_cast<double>(end);
}

/// lookUp(values, table, out): the index of the first value that the table has none for, or -1.
double look_up_entry(Arguments& arguments) {
  return by_type<uint16_t, uint8_t>(arguments, [&]<class Value>(std::type_identity<Value>) {
    const auto values = arguments.array<Value>();
    const auto table = arguments.array<uint16_t>();
    const auto out = arguments.array<uint8_t>(values.size());
    return index_within(look_up(values.data(), values.size(), table, out.data()), values);
  });
}

/// toClasses(values, classes, offset, out): the index of the first value that is none, or -1.
double classes_entry(Arguments& arguments) {
  return by_type<uint16_t, uint8_t>(arguments, [&]<class Value>(std::type_identity<Value>) {
    const auto values = arguments.array<Value>();
    const int32_t classes = arguments.integer();
    const int32_t offset = arguments.integer();
    const auto out = arguments.array<uint8_t>(values.size());
    return index_within(to_classes(values.data(), values.size(), classes, offset, out.data()),
                        values);
  });
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
  const auto low = arguments.indices(size);
  const auto high = arguments.indices(size);
  const auto weight = arguments.array<float>(low.size());
  if (high.size() < low.size()) {
    throw ArgumentError("the taps differ in number");
  }
  return {low.size(), low.data(), high.data(), weight.data()};
}

Places places_of(Arguments& arguments, size_t size) {
  const auto index = arguments.indices(size);
  return {index.size(), index.data()};
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
  const auto pixels = arguments.array<Value>();
  const size_t columns = arguments.size();
  if (columns == 0) {
    throw ArgumentError("a picture has columns");
  }
  return {pixels.data(), columns, pixels.size() / columns / channels};
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

/// sampleColour(pixels, columns, low, high, weight (across), low, high, weight (down), left, top,
/// width, height, [3 scales, 3 levels], out): see sample.h.
void colour_entry(Arguments& arguments) {
  by_type<uint8_t, uint16_t, float>(arguments, [&]<class Value>(std::type_identity<Value>) {
    const auto [picture, across, down, window] = mixture_of<Value>(arguments, 3);
    const auto n = arguments.array<float>(6);
    const auto out = arguments.array<float>(3 * window.width * window.height);
    sample_colour(picture.pixels, picture.columns, across, down, window, {n[0], n[1], n[2]},
                  {n[3], n[4], n[5]}, out.data());
  });
}

/// sampleGrey(pixels, columns, low, high, weight (across), low, high, weight (down), left, top,
/// width, height, scale, level, out): see sample.h.
void grey_entry(Arguments& arguments) {
  by_type<uint8_t, uint16_t, float>(arguments, [&]<class Value>(std::type_identity<Value>) {
    const auto [picture, across, down, window] = mixture_of<Value>(arguments, 1);
    const auto scale = static_cast<float>(arguments.number());
    const auto level = static_cast<float>(arguments.number());
    const auto out = arguments.array<float>(window.width * window.height);
    sample_grey(picture.pixels, picture.columns, across, down, window, scale, level, out.data());
  });
}

/// sampleDepth(pixels, columns, across, down, left, top, width, height, offset, divisor, least,
/// greatest, mean, std, hole, out): see sample.h.
void depth_entry(Arguments& arguments) {
  by_type<uint8_t, uint16_t, float>(arguments, [&]<class Value>(std::type_identity<Value>) {
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
    const auto out = arguments.array<float>(window.width * window.height);
    sample_depth(picture.pixels, picture.columns, across, down, window, reading, out.data());
  });
}

/// sampleLabels(pixels, columns, across, down, left, top, width, height, padding, out).
void labels_entry(Arguments& arguments) {
  const auto [picture, across, down, window] = crossings_of<uint8_t>(arguments);
  const auto padding = static_cast<uint8_t>(arguments.size());
  const auto out = arguments.array<uint8_t>(window.width * window.height);
  sample_labels(picture.pixels, picture.columns, across, down, window, padding, out.data());
}

Napi::Value to_js(Napi::Env env, double value) { return Napi::Number::New(env, value); }

Napi::Value to_js(Napi::Env env, const Range& range) {
  const Napi::Array pair = Napi::Array::New(env, range.size());
  pair.Set(0U, range[0]);
  pair.Set(1U, range[1]);
  return pair;
}

/// One call from JavaScript.
template <auto body>
Napi::Value entry(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  try {
    if constexpr (std::is_void_v<decltype(body(arguments))>) {
      body(arguments);
      return info.Env().Undefined();
    } else {
      return to_js(info.Env(), body(arguments));
    }
  } catch (const std::invalid_argument& error) {
    throw coded_error<Napi::TypeError>(info.Env(), "M3L_ARGUMENT", error.what());
  }
}

template <auto body>
void define(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<entry<body>>(exports.Env(), name));
}

Napi::Object initialise(Napi::Env /*env*/, Napi::Object exports) {
  exports.Set("interfaceVersion", kInterfaceVersion);
  define<unfilter_rows>(exports, "unfilter");
  define<extremes_entry>(exports, "extremes");
  define<measure_entry>(exports, "measure");
  define<floats_entry>(exports, "toFloats");
  define<look_up_entry>(exports, "lookUp");
  define<classes_entry>(exports, "toClasses");
  define<colour_entry>(exports, "sampleColour");
  define<grey_entry>(exports, "sampleGrey");
  define<depth_entry>(exports, "sampleDepth");
  define<labels_entry>(exports, "sampleLabels");
  return exports;
}

}  // namespace

NODE_API_MODULE(m3l_image, initialise)

}  // namespace m3l::image
