// What the model knew before a run: the loss of the next token on data.replay_valid, which a run measures
// before its first step and after its last.
#pragma once

#include <vector>

#include "lathe/train/task.h"
#include "lathe/train/validation.h"

namespace lathe {

// Const members are thread-safe.
class OldMixture {
 public:
  // Errors: kIo, kFormat, kData.
  explicit OldMixture(const Recipe& recipe);

  // By the sets' names; empty without any. `adapters` act on the model, if given.
  NamedNumbers losses(Transformer& model, const Adapters* adapters,
                      const StopCheck& stop_if_asked) const;
  // Names the shards after checking that the model has a row for each id.
  void add_inputs(Manifest& manifest) const;

 private:
  const int64_t vocab_size_;
  std::vector<ValidationSet> sets_;
};

}  // namespace lathe
