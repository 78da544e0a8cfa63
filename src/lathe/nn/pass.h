// What one pass through a model is given in addition to its rows, the same for all of them.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/nn/parameter_gradients.h"
#include "lathe/nn/streaming.h"

namespace lathe {

class Adapters;          // nn/adapters.h
class AttentionCache;    // nn/attention/cache.h
class RouterStatistics;  // nn/moe/router_statistics.h

// What a parameter is used for: a matrix in products, a table whose rows are looked up, numbers that
// are taken one by one (gains, biases). A table that is also the output head has two uses.
enum class ParameterUse : uint8_t { kProduct, kLookup, kElements };

// Made by whoever runs the pass and alive until it is over, its backward included. The modules only
// read it; what they report goes to the objects it points to. A pass belongs to one thread, and
// several may run on one model at the same time as long as they do not share a tape, gradients, a
// cache or statistics, and no parameter changes.
struct Pass {
  Tape* tape = nullptr;                           // nullptr: nothing is recorded
  ParameterGradients* gradients = nullptr;        // of parameters; nullptr: they are constants
  bool training = false;                          // dropout acts
  AttentionCache* cache = nullptr;                // keys and values of earlier tokens
  std::optional<Streaming> streaming = {};        // what its tokens see, if not all
  const Adapters* adapters = nullptr;             // what acts beside the weights
  RouterStatistics* router_statistics = nullptr;  // where routers report
  // What a loss that a layer adds by itself (a router's) counts: the share of this micro-batch in
  // the step, so that the shares of a step add up to 1.
  double auxiliary_scale = 1.0;

  // The parameter as an input of an operation that looks its rows up or takes it element by
  // element, or what an adapter has in its place. Products with a weight go through nn/product.h.
  Var use(const Parameter& p, ParameterUse use = ParameterUse::kElements) const;
  // The model's own, whatever adapters there are.
  Var own(const Parameter& p) const;
  // The same in the type of scores, for what is added to them: a model loaded for inference in 16
  // bits has its tables so too.
  Var use_wide(const Parameter& p) const;
  // The same for products with the rows of the encoder's text.
  Pass of_text() const;
};

}  // namespace lathe
