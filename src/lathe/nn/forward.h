// What a forward pass needs beside its input: where on the tape, at which positions, who sees whom,
// and which random stream. One object per call; modules receive it by reference and never keep it.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/base/rng.h"
#include "lathe/nn/attention/cache.h"
#include "lathe/nn/parameter.h"
#include "lathe/ops/attention.h"

namespace lathe {

class RouterStatistics;  // nn/moe/router_statistics.h
struct EncoderMemory;    // nn/attention/memory.h

struct Forward {
  Tape* tape = nullptr;             // nullptr: nothing is recorded
  bool training = false;            // dropout acts
  Rng rng{0};                       // forked by layer and by site, so recomputation draws the same
  Tensor positions;                 // i32 [B,T]: the place of each token in its sequence
  ops::AttentionSegments segments;  // which tokens belong together; undefined: all
  Tensor prefix;                    // i32 [B]: tokens before it are seen by all; undefined: none
  Tensor token_types;               // i32 [B,T], where a model knows kinds; undefined: all 0
  AttentionCache* cache = nullptr;  // keys and values of earlier tokens
  EncoderMemory* memory = nullptr;  // what an encoder made of its text, for cross-attention
  // What a loss that a layer adds by itself (a router's) counts: the share of this micro-batch in
  // the step, so that the shares of a step add up to 1.
  double auxiliary_scale = 1.0;
  RouterStatistics* router_statistics = nullptr;  // where routers report; may be null

  // The parameter as an input of an operation.
  Var use(Parameter& p) const {
    return tape != nullptr && p.trainable ? tape->leaf(p.compute, &p.grad) : Var(p.compute);
  }

  Forward with_rng(const Rng& r) const {
    Forward f = *this;
    f.rng = r;
    return f;
  }
  Forward with_tape(Tape* t) const {
    Forward f = *this;
    f.tape = t;
    return f;
  }
};

}  // namespace lathe
