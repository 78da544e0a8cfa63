// Texts that never end, with a model that was trained on short ones (StreamingLLM, Xiao et al. 2023,
// arXiv:2309.17453): every token sees the last `window` tokens, itself included, and the first
// `sinks`, on which models put the attention that they do not need elsewhere.
//
// Positions are those within what is kept: for the token at position p a sink is as far away as for
// one at min(p, sinks + window - 1), so no distance is larger than the model was trained for. Keys
// keep the rotation of their own positions; for sinks the query is turned to the nearer one.
#pragma once

#include <cstdint>

namespace lathe {

struct Streaming {
  int64_t window = 0;
  int64_t sinks = 4;

  int64_t position_for_sinks(int64_t p) const {
    return p < sinks + window ? p : sinks + window - 1;
  }
};

}  // namespace lathe
