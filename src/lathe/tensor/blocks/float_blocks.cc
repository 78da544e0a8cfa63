// F32, F16 and BF16: one element is a block.

#include "lathe/tensor/blocks/codecs.h"

namespace lathe::blocks {
namespace {

template <class T>
T rounded(float x) {
  return from_double<T>(x);
}

template <class T>
void decode(ConstBytes in, Elements out) {
  for_each_block<T, 1>(in, out, [](T x, float* y) { *y = to_float(x); });
}

template <class T>
void encode(ConstElements in, Bytes out) {
  make_each_block<T, 1>(in, {}, out, [](const float* x, const float*) { return rounded<T>(*x); });
}

}  // namespace

void decode_f32(ConstBytes in, Elements out) { decode<float>(in, out); }
void decode_f16(ConstBytes in, Elements out) { decode<F16>(in, out); }
void decode_bf16(ConstBytes in, Elements out) { decode<BF16>(in, out); }
void encode_f32(ConstElements in, ConstElements, Bytes out) { encode<float>(in, out); }
void encode_f16(ConstElements in, ConstElements, Bytes out) { encode<F16>(in, out); }
void encode_bf16(ConstElements in, ConstElements, Bytes out) { encode<BF16>(in, out); }

}  // namespace lathe::blocks
