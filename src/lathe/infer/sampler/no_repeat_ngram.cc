#include "lathe/infer/sampler/no_repeat_ngram.h"

#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/repeats.h"

namespace lathe {

void no_repeat_ngram(std::span<float> logits, const TokenHistory& history, int64_t n) {
  for (const Repeat& r : find_repeats(history, 0))
    if (r.length >= n - 1 && r.next >= 0 && static_cast<size_t>(r.next) < logits.size())
      logits[static_cast<size_t>(r.next)] = kRemoved;
}

}  // namespace lathe
