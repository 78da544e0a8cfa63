// exp, tanh and erf for activation formulas: the C library's for double, branch-free polynomials
// that the compiler vectorises for float. Errors (tests/kernels/activation_test.cc): exp
// relative 1.5e-7, tanh relative 3e-7, erf absolute 4e-7.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace lathe::kernels::math {

inline double exp(double x) { return std::exp(x); }
inline double tanh(double x) { return std::tanh(x); }
inline double erf(double x) { return std::erf(x); }
inline double max(double a, double b) { return a > b ? a : b; }

inline float max(float a, float b) { return a > b ? a : b; }

// 1 - s for the sigmoid s = 1/(1 + e): e·s where s is near 1 and the difference would cancel.
template <class T>
T complement(T s, T e) {
  return e < T(1) ? e * s : T(1) - s;
}

// x = n · ln 2 + r, |r| <= ln 2 / 2, and e^r by a polynomial with the least relative error among
// those that are exact in value and slope at 0 (3e-9 before rounding). So exp(x) = 2^n · power.
struct ReducedExp {
  uint32_t n;  // in two's complement
  float power;
};
inline ReducedExp reduce_exp(float x) {
  // Added to 1.5·2^23 a number is rounded to an integer, which the low bits of the sum then hold:
  // a conversion from float would be undefined for NaN.
  constexpr float kRound = 12582912.0f;
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693145751953125f) - n * 1.428606765330187e-06f;
  float p = 0.0013814540579915047f;
  p = p * r + 0.00836874544620514f;
  p = p * r + 0.041668388992547989f;
  p = p * r + 0.16666521131992340f;
  p = p * r + 0.49999994039535522f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return {std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound), p};
}
inline float power_of_two(uint32_t n) { return std::bit_cast<float>((n + 127) << 23); }

// exp(x), clamped to [-86.9, 88.7]: below, exp gives 1.8e-38, a little above the smallest normal
// number; above, 3.3e38 instead of infinity; NaN passes through.
inline float exp(float x) {
  const ReducedExp e = reduce_exp(x < -86.9f ? -86.9f : (x > 88.7f ? 88.7f : x));
  // n = 128 would overflow the exponent field, n - 1 does not.
  return (e.power + e.power) * power_of_two(e.n - 1);
}

// exp(x) for an x that is not above 0 by more than rounding, as in a softmax: 0 below -87.3 and for
// -inf; NaN passes through.
inline float exp_nonpositive(float x) {
  const ReducedExp e = reduce_exp(x);
  const float y = e.power * power_of_two(e.n);
  return x < -87.3f ? 0.0f : y;
}

// 1 - 2/(exp(2|x|) + 1) cancels near 0; below 0.6 an odd polynomial (interpolated at Chebyshev
// nodes, relative error 1e-8 before rounding) takes over.
inline float tanh(float x) {
  const float a = x < 0 ? -x : x, z = x * x;
  float p = -0.006269119716587115f;
  p = p * z + 0.021110959047017517f;
  p = p * z - 0.05387394884795081f;
  p = p * z + 0.13332915366980666f;
  p = p * z - 0.3333333033273148f;
  const float small = a + a * z * p;
  const float large = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  const float y = a < 0.6f ? small : large;
  return x < 0 ? -y : y;
}

// 1 - erf(|x|) = t·P(t)·exp(-x²), t = 1/(1 + |x|/2), P a polynomial of degree 9 (Numerical Recipes'
// form of erfc), summed in pairs rather than term by term: loops over this are bound by how long
// one element takes from start to end; absolute error below 4e-7 in f32.
inline float erf(float x) {
  const float a = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.5f * a);
  const float t2 = t * t, t4 = t2 * t2;
  const float p0 = 1.00002368f * t - 1.26551223f, p2 = 0.09678418f * t + 0.37409196f;
  const float p4 = 0.27886807f * t - 0.18628806f, p6 = 1.48851587f * t - 1.13520398f;
  const float p8 = 0.17087277f * t - 0.82215223f;
  const float p = (p0 + t2 * p2) + t4 * ((p4 + t2 * p6) + t4 * p8);
  const float y = 1.0f - t * exp(p - a * a);
  return x < 0 ? -y : y;
}

}  // namespace lathe::kernels::math
