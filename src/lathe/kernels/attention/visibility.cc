#include "lathe/kernels/attention/visibility.h"

namespace lathe::kernels {

// In a rectangle every distance between the smallest and the largest occurs, so comparing those two
// with the allowed ones is exact.
Visibility::Found Visibility::in_band(Range positions, Range keys, Distances allowed) const {
  if (positions.size() <= 0 || keys.size() <= 0) return {};
  const int64_t least = positions.begin - (keys.end - 1), most = positions.end - 1 - keys.begin;
  return {.visible = most >= allowed.least && least <= allowed.most,
          .hidden = least < allowed.least || most > allowed.most};
}

// All positions of a block have the same runs of keys: one step per block.
Visibility::Found Visibility::in_pattern_and_band(Range positions, Range keys) const {
  if (spec_->pattern.kind == BlockPattern::Kind::kNone)
    return in_band(positions, keys, distances());
  Found found;
  const int64_t block = spec_->pattern.block;
  for (int64_t p = positions.begin; p < positions.end && !found.both();) {
    const int64_t next = std::min(positions.end, (p / block + 1) * block);
    int64_t at = keys.begin;
    for_each_pattern_run(p, keys, [&](Range run) {
      found.hidden |= run.begin > at;
      found.add(in_band({p, next}, run, distances()));
      at = run.end;
    });
    found.hidden |= at < keys.end;
    p = next;
  }
  return found;
}

Visibility::Found Visibility::in_rectangle(Range positions, Range keys) const {
  Found found;
  const int64_t rest = std::clamp(prefix(), keys.begin, keys.end);
  found.visible = rest > keys.begin;
  const int64_t limited = std::clamp(spec_->sink_tokens, rest, keys.end);
  found.add(in_band(positions, {rest, limited}, {spec_->causal ? 0 : -kFar, kFar}));
  if (limited < keys.end && !found.both())
    found.add(in_pattern_and_band(positions, {limited, keys.end}));
  return found;
}

// By the smallest and largest segment on each side: packed documents are told apart, and a
// rectangle inside one document is known to be.
Coverage Visibility::of_segments(Range queries, Range keys) const {
  if (!spec_->query_segments) return Coverage::kAll;
  const int32_t *q = query_segments(), *k = key_segments();
  const auto [q_least, q_most] = std::minmax_element(q + queries.begin, q + queries.end);
  const auto [k_least, k_most] = std::minmax_element(k + keys.begin, k + keys.end);
  if (*q_most < *k_least || *k_most < *q_least) return Coverage::kNone;
  const bool equal = *q_least == *q_most && *k_least == *k_most;
  return equal ? Coverage::kAll : Coverage::kSome;
}

Coverage Visibility::coverage(Range queries, Range keys) const {
  const Found found = in_rectangle({position(queries.begin), position(queries.end - 1) + 1}, keys);
  if (!found.visible) return Coverage::kNone;
  const Coverage segments = of_segments(queries, keys);
  if (segments == Coverage::kAll && found.hidden) return Coverage::kSome;
  return segments;
}

Range Visibility::hull(Range queries) const {
  const Distances allowed = distances();
  int64_t begin = position(queries.begin) - allowed.most;
  int64_t end = position(queries.end - 1) - allowed.least + 1;
  if (prefix() > 0 || spec_->sink_tokens > 0) begin = 0;
  end = std::max(end, prefix());
  if (!spec_->causal) end = std::max(end, spec_->sink_tokens);
  end = std::clamp<int64_t>(end, 0, sequence_.keys);
  return {std::clamp<int64_t>(begin, 0, end), end};
}

int64_t Visibility::pairs() const {
  int64_t sum = 0;
  for (int64_t t = 0; t < sequence_.queries; ++t)
    for_each_run(t, {0, sequence_.keys}, [&](Range run) {
      if (!spec_->query_segments) {
        sum += run.size();
        return;
      }
      for (int64_t s = run.begin; s < run.end; ++s) sum += same_segment(t, s);
    });
  return sum;
}

}  // namespace lathe::kernels
