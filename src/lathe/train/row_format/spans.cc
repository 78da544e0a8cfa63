#include "lathe/train/row_format/spans.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"

namespace lathe {

SpanCounts span_counts(int64_t tokens, double rate, double mean_span) {
  SpanCounts c;
  c.hidden = std::clamp<int64_t>(std::llround(static_cast<double>(tokens) * rate), 1, tokens - 1);
  c.spans = std::clamp<int64_t>(std::llround(static_cast<double>(c.hidden) / mean_span), 1,
                                std::min(c.hidden, tokens - c.hidden));
  return c;
}

std::vector<int64_t> random_parts(int64_t total, int64_t parts, const Rng& rng) {
  // Selection sampling (Knuth, TAOCP 2, 3.4.2 S): parts - 1 of the total - 1 places between two
  // elements become borders.
  std::vector<int64_t> lengths;
  int64_t wanted = parts - 1, last = 0;
  for (int64_t place = 1; place < total && wanted > 0; ++place) {
    const auto left = static_cast<uint64_t>(total - place);
    if (rng.below(static_cast<uint64_t>(place), left) >= static_cast<uint64_t>(wanted)) continue;
    lengths.push_back(place - last);
    last = place;
    --wanted;
  }
  lengths.push_back(total - last);
  return lengths;
}

Corrupted corrupt(std::span<const int32_t> tokens, const SpanCounts& counts, int32_t first_sentinel,
                  const Rng& rng) {
  const auto total = static_cast<int64_t>(tokens.size());
  const auto kept = random_parts(total - counts.hidden, counts.spans, rng.fork("kept"));
  const auto hidden = random_parts(counts.hidden, counts.spans, rng.fork("hidden"));
  Corrupted out;
  auto at = tokens.begin();
  for (size_t i = 0; i < kept.size(); ++i) {
    const int32_t sentinel = first_sentinel - static_cast<int32_t>(i);
    out.inputs.insert(out.inputs.end(), at, at + kept[i]);
    at += kept[i];
    out.inputs.push_back(sentinel);
    out.targets.push_back(sentinel);
    out.targets.insert(out.targets.end(), at, at + hidden[i]);
    at += hidden[i];
  }
  return out;
}

void require_sentinels(const RowShape& shape, int64_t spans) {
  require(spans <= shape.hiding.sentinels, ErrorKind::kConfig, "objective.sentinels",
          "{} spans of a text need a sentinel each, but there are only {}; raise this (and "
          "model.vocab_size with it), objective.mean_span, or shorten train.seq_len",
          spans, shape.hiding.sentinels);
  require(shape.hiding.sentinels < shape.vocab_size, ErrorKind::kConfig, "objective.sentinels",
          "{} sentinels use up the vocabulary of {}; raise model.vocab_size by that many",
          shape.hiding.sentinels, shape.vocab_size);
}

void refuse_sentinels(const RowShape& shape, std::span<const int32_t> tokens) {
  const int64_t first = shape.vocab_size - shape.hiding.sentinels;
  for (const int32_t token : tokens)
    require(token < first, ErrorKind::kData, "objective",
            "the text has token {}, but ids from {} on are sentinels; raise model.vocab_size to "
            "the tokenizer's size plus objective.sentinels = {}",
            token, first, shape.hiding.sentinels);
}

}  // namespace lathe
