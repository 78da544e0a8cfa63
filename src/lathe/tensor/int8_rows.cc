#include "lathe/tensor/int8_rows.h"

#include <algorithm>
#include <limits>

namespace lathe {
namespace {

// The largest magnitude; NaN or infinite if an element is. Magnitudes are compared as integers, in
// whose order a NaN is above all.
template <class T>
float largest_magnitude(const T* x, int64_t n) {
  int32_t most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<int32_t>(static_cast<float>(to_float(x[i]))) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  return std::bit_cast<float>(most);
}

template <class T>
float quantize_row(const T* x, int64_t n, int8_t* codes) {
  const float most = largest_magnitude(x, n);
  const bool finite = most <= std::numeric_limits<float>::max();
  const float scale = finite ? most / 127.0f : std::numeric_limits<float>::quiet_NaN();
  // Below the smallest normal scale the quotient would overflow.
  const bool counts = scale >= std::numeric_limits<float>::min();
  if (!counts) {
    std::fill_n(codes, n, int8_t{0});
    return finite ? 0.0f : scale;
  }
  const float inverse = 1.0f / scale;
  for (int64_t i = 0; i < n; ++i) {
    const float quotient = static_cast<float>(to_float(x[i])) * inverse;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(quotient + (quotient < 0 ? -0.5f : 0.5f)));
  }
  return scale;
}

}  // namespace

void quantize_rows(const TensorView& x, const TensorView& codes, const TensorView& scales) {
  visit_floating(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t n = 0; n < x.shape[0]; ++n)
      for (int64_t k = 0; k < x.shape[1]; ++k)
        scales.as<float>()[n * scales.stride[0] + k * scales.stride[1]] =
            quantize_row(x.as<T>() + n * x.stride[0] + k * x.stride[1], x.shape[2],
                         codes.as<int8_t>() + n * codes.stride[0] + k * codes.stride[1]);
  });
}

}  // namespace lathe
