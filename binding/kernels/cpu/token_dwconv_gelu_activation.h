// GELU and its slope for a strip of columns at once, without error function and exponential: both
// are ½ + x·p(x²), p a minimax polynomial (Remez) in t = 2(x / limit)² − 1, where its coefficients
// are small and cost no digits.
#pragma once

#include <cstdint>

#include "vector.h"

namespace m3l::token_dwconv_gelu {

/** Columns computed side by side: a tap is loaded once for all of them, and the long chains of the
 * polynomials do not wait for each other. */
constexpr std::int64_t kStrip = 4;

/** Written out, since the compiler vectorises over channels, around it. */
template <typename F>
inline void Each(const F& f) {
  static_assert(kStrip == 4);
  f(0);
  f(1);
  f(2);
  f(3);
}

/** x, clamped to ±limit, and p(t), whose coefficients begin with the highest. */
template <typename... Coefficients>
inline void Polynomial(float (&x)[kStrip], float (&p)[kStrip], float limit, float first,
                       Coefficients... coefficients) {
  float t[kStrip];
  // Two selections, of which each is one instruction; NaN passes.
  Each([&](int i) { x[i] = x[i] < -limit ? -limit : x[i]; });
  Each([&](int i) { x[i] = x[i] > limit ? limit : x[i]; });
  Each([&](int i) { t[i] = x[i] * x[i] * (2.0F / (limit * limit)) - 1.0F; });
  Each([&](int i) { p[i] = first; });
  (Each([&](int i) { p[i] = p[i] * t[i] + coefficients; }), ...);
}

/** v ← v · Φ(v); absolute error of Φ below 2e-7. Below −5.5, −1e-7 at most, so it stays. */
inline void GeluStrip(float (&v)[kStrip]) {
  float x[kStrip];
  float p[kStrip];
  Each([&](int i) { x[i] = v[i]; });
  Polynomial(x, p, 5.5F, -2.976768883e-04F, 6.561680348e-04F, -3.117419546e-04F, 6.401432911e-04F,
             -2.726238454e-03F, 4.723248538e-03F, -6.599074230e-03F, 1.016442757e-02F,
             -1.508364081e-02F, 2.038473263e-02F, -2.603171580e-02F, 3.206723556e-02F,
             -3.879420459e-02F, 4.773779586e-02F, -6.417230517e-02F, 1.285519302e-01F);
  Each([&](int i) { v[i] = (v[i] < -5.5F ? -5.5F : v[i]) * (0.5F + x[i] * p[i]); });
}

/** v ← Φ(v) + v · φ(v); absolute error below 3e-7. Beyond ±5.75 it is 0 or 1 but for 2e-7. */
inline void GeluSlopeStrip(float (&v)[kStrip]) {
  float p[kStrip];
  Polynomial(v, p, 5.75F, -3.124987474e-03F, 6.486237049e-03F, -7.882794307e-05F, 5.292975766e-05F,
             -2.080270834e-02F, 3.322338313e-02F, -3.089256026e-02F, 4.196093231e-02F,
             -6.137767807e-02F, 6.990502775e-02F, -7.000747323e-02F, 6.663330644e-02F,
             -5.960971490e-02F, 5.172026530e-02F, -4.728854075e-02F, 4.936663434e-02F,
             -6.228151917e-02F, 1.230718270e-01F);
  Each([&](int i) { v[i] = 0.5F + v[i] * p[i]; });
}

inline void GeluStrip(double (&v)[kStrip]) {
  Each([&](int i) { v[i] = Gelu(v[i]); });
}

inline void GeluSlopeStrip(double (&v)[kStrip]) {
  Each([&](int i) { v[i] = GeluDerivative(v[i]); });
}

}  // namespace m3l::token_dwconv_gelu
