// Which query sees which key in one sequence under an AttentionSpec: the rule of spec.h as one
// scalar function, and the same rule for a whole rectangle of queries and keys and for the keys of
// one query, with which kernels skip what is hidden. tests/kernels/visibility_test.cc checks the
// latter two against the first.
//
// A new mask is a condition in visible(), and in coverage() and for_each_run() where it can be
// decided for many pairs at once. Thread-safe; the spec must outlive the object.
#pragma once

#include <algorithm>
#include <limits>

#include "lathe/base/parallel.h"
#include "lathe/kernels/attention/spec.h"

namespace lathe::kernels {

// How much of a rectangle of (query, key) pairs is visible.
enum class Coverage : uint8_t { kNone, kSome, kAll };

class Visibility {
 public:
  Visibility(const AttentionSpec& spec, const AttentionSequence& sequence)
      : spec_(&spec), sequence_(sequence) {}

  int64_t position(int64_t t) const { return sequence_.keys - sequence_.queries + t; }

  // Whether query t sees key s: the definition.
  bool visible(int64_t t, int64_t s) const {
    if (!same_segment(t, s)) return false;
    if (s < prefix()) return true;
    const int64_t distance = position(t) - s;
    if (spec_->causal && distance < 0) return false;
    if (s < spec_->sink_tokens) return true;
    return distances().holds(distance) && in_pattern(position(t), s);
  }

  // The coverage of the pairs queries × keys, neither of them empty. It is exact without segments;
  // with segments kSome may be returned instead of either of the others.
  Coverage coverage(Range queries, Range keys) const;

  // The number of visible pairs, which attention multiplies.
  int64_t pairs() const;

  // Keys outside this range are hidden from all the queries (at least one).
  Range hull(Range queries) const;

  // f(Range) for runs of keys in `keys` that query t sees, ascending and disjoint; keys in no run
  // are hidden. The caller checks segments (same_segment).
  template <class F>
  void for_each_run(int64_t t, Range keys, F&& f) const {
    const int64_t p = position(t);
    int64_t at = keys.begin;
    const auto emit = [&](int64_t begin, int64_t end) {
      begin = std::max(begin, at);
      end = std::min(end, keys.end);
      if (begin >= end) return;
      f(Range{begin, end});
      at = end;
    };
    emit(at, std::max(prefix(), std::min(spec_->sink_tokens, last_causal(p) + 1)));
    const Distances band = distances();
    const int64_t begin = std::max(at, p - band.most), end = std::min(keys.end, p - band.least + 1);
    for_each_pattern_run(p, {begin, end}, [&](Range run) { emit(run.begin, run.end); });
  }

  bool same_segment(int64_t t, int64_t s) const {
    return !spec_->query_segments || query_segments()[t] == key_segments()[s];
  }
  // The segments of the sequence; only if the spec has segments.
  const int32_t* query_segments() const {
    return spec_->query_segments.as<int32_t>() + sequence_.first_query;
  }
  const int32_t* key_segments() const {
    return spec_->key_segments.as<int32_t>() + sequence_.first_key;
  }

 private:
  static constexpr int64_t kFar = std::numeric_limits<int64_t>::max() / 4;

  // The distances p - s that the causal mask and the window allow.
  struct Distances {
    int64_t least, most;
    bool holds(int64_t distance) const { return least <= distance && distance <= most; }
  };
  Distances distances() const {
    const int64_t reach = spec_->window > 0 ? std::min(spec_->window - 1, kFar) : kFar;
    return {spec_->causal ? 0 : -reach, reach};
  }
  // The blocks that a query's block sees, both patterns in one form: those from `recent` on, and
  // `length` of every stride from `phase` on.
  struct BlockRow {
    int64_t recent, phase, length;
  };
  BlockRow block_row(int64_t block) const {
    const BlockPattern& pattern = spec_->pattern;
    if (pattern.kind == BlockPattern::Kind::kStrided)
      return {block - pattern.local + 1, block % pattern.stride, 1};
    return {block - block % pattern.stride, pattern.stride - pattern.summary, pattern.summary};
  }
  bool in_pattern(int64_t p, int64_t s) const {
    const BlockPattern& pattern = spec_->pattern;
    if (pattern.kind == BlockPattern::Kind::kNone) return true;
    const BlockRow row = block_row(p / pattern.block);
    const int64_t block = s / pattern.block, phase = block % pattern.stride - row.phase;
    return block >= row.recent || (phase >= 0 && phase < row.length);
  }

  // f(Range) for runs of `keys` that the pattern lets position p see, ascending and disjoint; the
  // same for all positions of a block.
  template <class F>
  void for_each_pattern_run(int64_t p, Range keys, F&& f) const {
    const BlockPattern& pattern = spec_->pattern;
    if (keys.begin >= keys.end) return;
    if (pattern.kind == BlockPattern::Kind::kNone) return f(keys);
    const BlockRow row = block_row(p / pattern.block);
    const int64_t recent = std::clamp(row.recent * pattern.block, keys.begin, keys.end);
    int64_t group = keys.begin / pattern.block / pattern.stride * pattern.stride;
    for (;; group += pattern.stride) {
      const int64_t begin = std::max((group + row.phase) * pattern.block, keys.begin);
      const int64_t end = std::min((group + row.phase + row.length) * pattern.block, recent);
      if (begin >= recent) break;
      if (begin < end) f(Range{begin, end});
    }
    if (recent < keys.end) f(Range{recent, keys.end});
  }

  int64_t prefix() const {
    return spec_->prefix ? spec_->prefix.as<int32_t>()[sequence_.b * spec_->prefix.stride[0]] : 0;
  }
  int64_t last_causal(int64_t p) const { return spec_->causal ? p : sequence_.keys - 1; }

  // What a part of a rectangle contains.
  struct Found {
    bool visible = false, hidden = false;
    void add(const Found& other) {
      visible |= other.visible;
      hidden |= other.hidden;
    }
    bool both() const { return visible && hidden; }
  };
  Found in_band(Range positions, Range keys, Distances allowed) const;
  Found in_pattern_and_band(Range positions, Range keys) const;
  Found in_rectangle(Range positions, Range keys) const;
  Coverage of_segments(Range queries, Range keys) const;

  const AttentionSpec* spec_;
  AttentionSequence sequence_;
};

}  // namespace lathe::kernels
