// Random spans are removed from a text, as in T5 (Raffel et al. 2020, arXiv:1910.10683).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/train/row_format/row_format.h"

namespace lathe {

// How many of T tokens are hidden, in how many spans: round(T·rate), at least 1 and at most T - 1,
// and round(hidden / mean), at least 1 and so that every span and every gap has a token. The same
// for every text of that length.
struct SpanCounts {
  int64_t hidden = 0, spans = 0;
};
SpanCounts span_counts(int64_t tokens, double rate, double mean_span);

// `total` cut into `parts` parts of at least 1, every way equally likely.
std::vector<int64_t> random_parts(int64_t total, int64_t parts, const Rng& rng);

// The remaining text with a sentinel for each span, and the spans, each after its sentinel. A text
// begins with a kept token. Sentinels count down from `first_sentinel`.
struct Corrupted {
  std::vector<int32_t> inputs, targets;
};
Corrupted corrupt(std::span<const int32_t> tokens, const SpanCounts& counts, int32_t first_sentinel,
                  const Rng& rng);

// Throws kConfig if `spans` spans need more sentinels than there are, or the vocabulary is too
// small for them.
void require_sentinels(const RowShape& shape, int64_t spans);
// Throws kData if a token of the text is itself a sentinel.
void refuse_sentinels(const RowShape& shape, std::span<const int32_t> tokens);

}  // namespace lathe
