// What an encoder hands to the decoder's cross-attention.
#pragma once

#include <utility>
#include <vector>

#include "lathe/autograd/tape.h"

namespace lathe {

struct EncoderMemory {
  Var states;       // [B,S,C]
  Tensor segments;  // i32 [B,S]: a decoder token sees its own segment; undefined: everything
  // Keys and values of each layer, made when a decoder with a cache first asks for them.
  std::vector<std::pair<Tensor, Tensor>> held = {};
};

}  // namespace lathe
