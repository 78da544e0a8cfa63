// Rows of numbers as integers of eight bits, with one scale for each row: the form in which a cache
// may keep keys and values, a row being what one head keeps of one token.
//
//   scale = max |x| / 127        q = x / scale to the nearest whole number, -127 to 127
//   x is read back as scale · q, which differs from it by at most scale / 2
//
// (symmetric absolute-maximum quantisation, as in LLM.int8(), Dettmers et al. 2022,
// arXiv:2208.07339, section 2.1). A row with a NaN or an infinity in it gets a scale of NaN, so that
// all of it is read back as NaN; a row whose scale would be below the smallest normal number
// (1.2e-38) is read back as zeros. A row's result depends on that row alone.
#pragma once

#include "lathe/tensor/tensor.h"

namespace lathe {

// x [N,K,D] of a floating dtype -> codes int8 [N,K,D] and scales f32 [N,K]. The last dimension of
// each is contiguous, earlier ones may be strided. Different rows may be written by several threads.
void quantize_rows(const TensorView& x, const TensorView& codes, const TensorView& scales);

}  // namespace lathe
