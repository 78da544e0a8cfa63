// What an encoder passes to the decoder's cross-attention.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/rows.h"

namespace lathe {

struct EncoderMemory {
  Var states;           // [M,C]
  Sequences sequences;  // of the text, as many as the decoder's rows have
  Tensor segments;      // i32 [M]: a decoder token sees its own segment; undefined: everything

  // As the rows from which keys and values are computed.
  Rows rows() const { return {.ids = {}, .sequences = sequences}; }
};

}  // namespace lathe
