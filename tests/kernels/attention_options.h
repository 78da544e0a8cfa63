// Random attention calls: every option of AttentionSpec drawn on or off, in sizes that are odd on
// purpose.
#pragma once

#include <optional>

#include "kernels/harness.h"
#include "lathe/kernels/attention/visibility.h"

namespace lathe::kernels::testing {

struct AttentionSizes {
  int64_t batch, queries, keys, heads, kv_heads, depth, value_depth;
};

// Which of the optional tensors are given; `spec` holds the rest.
struct AttentionOptions {
  AttentionSpec spec;
  bool segments = false, prefix = false;
  int64_t distances = 0;  // R; 0 for none
  int key_bias_rank = 0;
  bool sink_logits = false;
  int64_t shaw_keys = 0, shaw_values = 0;  // 2w+1; 0 for none
};

// Draws of one case, each named.
class Draw {
 public:
  explicit Draw(uint64_t index) : rng_(Rng(2024).fork("attention").fork(index)) {}
  template <class T>
  T of(std::string_view name, std::initializer_list<T> values) const {
    return values.begin()[rng_.fork(name).below(0, values.size())];
  }
  bool maybe(std::string_view name) const { return of(name, {false, true, false}); }

 private:
  Rng rng_;
};

inline BlockPattern random_pattern(const Draw& draw) {
  using Pattern = BlockPattern::Kind;
  BlockPattern p;
  p.kind = draw.of("pattern", {Pattern::kNone, Pattern::kNone, Pattern::kStrided, Pattern::kFixed});
  p.block = draw.of<int64_t>("block", {1, 1, 3, 16, 64});
  p.stride = draw.of<int64_t>("stride", {1, 2, 5, 8});
  p.local = draw.of<int64_t>("local", {1, 2, 6});
  p.summary = std::min(p.stride, draw.of<int64_t>("summary", {1, 2}));
  return p;
}

inline AttentionOptions random_options(const Draw& draw, const AttentionSizes& z) {
  AttentionOptions o;
  AttentionSpec& spec = o.spec;
  spec.scale = draw.of("scale", {0.3f, 0.5f});
  spec.causal = z.keys >= z.queries && draw.of("causal", {true, true, false});
  spec.window = draw.of<int64_t>("window", {0, 0, 1, 5, 40});
  spec.sink_tokens = draw.of<int64_t>("sink_tokens", {0, 0, 1, 3});
  if (spec.causal) spec.pattern = random_pattern(draw);
  spec.softcap = draw.of("softcap", {0.0f, 0.0f, 3.0f});
  spec.dropout = draw.of("dropout", {0.0f, 0.0f, 0.2f});
  spec.dropout_key = Rng(4).fork("weights").key();
  o.segments = draw.maybe("segments");
  o.prefix = draw.maybe("prefix");
  o.distances = draw.of<int64_t>("distances", {0, 0, 1, 7, z.keys, 2 * z.keys + 70});
  spec.distance_offset = draw.of<int64_t>("offset", {0, 3, o.distances / 2, o.distances - 1});
  o.key_bias_rank = draw.of("key_bias", {0, 0, 2, 3});
  o.sink_logits = draw.maybe("sink_logits");
  o.shaw_keys = draw.of<int64_t>("shaw_keys", {0, 0, 1, 5, 33});
  o.shaw_values = draw.of<int64_t>("shaw_values", {0, 0, 5, 19});
  return o;
}

// The shapes of the tables that are given.
inline AttentionTables<std::optional<Shape>> table_shapes(const AttentionOptions& o,
                                                          const AttentionSizes& z) {
  const auto given = [](bool on, const Shape& shape) {
    return on ? std::optional(shape) : std::nullopt;
  };
  const Shape key_bias =
      o.key_bias_rank == 3 ? Shape{z.batch, z.heads, z.keys} : Shape{z.heads, z.keys};
  return {.distance_bias = given(o.distances > 0, {z.heads, o.distances}),
          .key_bias = given(o.key_bias_rank > 0, key_bias),
          .sink_logits = given(o.sink_logits, {z.heads}),
          .shaw_keys = given(o.shaw_keys > 0, {o.shaw_keys, z.depth}),
          .shaw_values = given(o.shaw_values > 0, {o.shaw_values, z.value_depth})};
}

// What a name of the case tells of it.
inline std::string name_of(const AttentionOptions& o, const AttentionSizes& z) {
  std::string name = fmt::format("{}x{}x{}x{}x{}x{}x{}", z.batch, z.queries, z.keys, z.heads,
                                 z.kv_heads, z.depth, z.value_depth);
  const auto add = [&](bool on, const std::string& what) {
    if (on) name += "_" + what;
  };
  add(o.spec.causal, "causal");
  add(o.spec.window > 0, fmt::format("window{}", o.spec.window));
  add(o.spec.sink_tokens > 0, fmt::format("tokens{}", o.spec.sink_tokens));
  add(o.spec.pattern.kind == BlockPattern::Kind::kStrided, "strided");
  add(o.spec.pattern.kind == BlockPattern::Kind::kFixed, "fixed");
  add(o.spec.softcap > 0, "cap");
  add(o.spec.dropout > 0, "dropout");
  add(o.segments, "segments");
  add(o.prefix, "prefix");
  add(o.distances > 0, fmt::format("distances{}", o.distances));
  add(o.key_bias_rank > 0, fmt::format("key_bias{}", o.key_bias_rank));
  add(o.sink_logits, "sink");
  add(o.shaw_keys > 0, fmt::format("shaw_keys{}", o.shaw_keys));
  add(o.shaw_values > 0, fmt::format("shaw_values{}", o.shaw_values));
  return name;
}

// Segment ids in runs of six positions; every fifth query belongs to one that has no keys.
inline double query_segment(const AttentionSizes& z, int64_t i) {
  const int64_t t = i % z.queries;
  return t % 5 == 4 ? 9000.0 : std::floor(static_cast<double>(z.keys - z.queries + t) / 6);
}
inline double key_segment(const AttentionSizes& z, int64_t i) {
  return static_cast<double>(i % z.keys / 6);
}
inline double prefix_length(const AttentionSizes& z, int64_t b) {
  return static_cast<double>((7 * b + 4) % (z.keys + 1));
}

}  // namespace lathe::kernels::testing
