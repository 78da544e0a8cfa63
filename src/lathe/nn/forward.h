// What a module's forward needs in addition to its input: the pass, its rows, and the random stream
// of the module. It is a small value that is passed down by reference; modules never keep it.
#pragma once

#include "lathe/base/rng.h"
#include "lathe/nn/pass.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/rows.h"

namespace lathe {

struct EncoderMemory;  // nn/attention/memory.h

struct Forward {
  const Pass* pass;
  const Rows* rows;  // with positions
  Rng rng{0};        // forked by layer and by site, so recomputation draws the same
  const EncoderMemory* memory = nullptr;  // the encoder's output, for cross-attention

  bool training() const { return pass->training; }
  Var use(const Parameter& p) const { return pass->use(p); }
  Var use_wide(const Parameter& p) const { return pass->use_wide(p); }

  Forward with_rng(const Rng& r) const {
    Forward f = *this;
    f.rng = r;
    return f;
  }
};

}  // namespace lathe
