// Random attention calls: every option of AttentionSpec drawn on or off, over sequences of equal
// length and of any, in sizes that are odd on purpose.
#pragma once

#include <algorithm>
#include <numeric>
#include <optional>

#include "kernels/harness.h"
#include "lathe/kernels/attention/visibility.h"

namespace lathe::kernels::testing {

struct SequenceSizes {
  int64_t queries, keys;
};

struct AttentionSizes {
  std::vector<SequenceSizes> sequences;
  int64_t heads, kv_heads, depth, value_depth;
  int64_t block_size = 0;  // tokens of a page of keys; 0: keys are packed
  bool gaps = true;        // whether rows that are nobody's keys lie between the pages

  static AttentionSizes equal(int64_t batch, int64_t queries, int64_t keys, int64_t heads,
                              int64_t kv_heads, int64_t depth, int64_t value_depth) {
    return {std::vector(static_cast<size_t>(batch), SequenceSizes{queries, keys}), heads, kv_heads,
            depth, value_depth};
  }

  int64_t batch() const { return static_cast<int64_t>(sequences.size()); }
  int64_t queries() const { return sum(&SequenceSizes::queries); }  // N
  int64_t keys() const { return sum(&SequenceSizes::keys); }        // M
  int64_t most_keys() const {
    int64_t most = 0;
    for (const SequenceSizes& z : sequences) most = std::max(most, z.keys);
    return most;
  }
  bool may_be_causal() const {
    return std::ranges::all_of(sequences, [](auto& z) { return z.keys >= z.queries; });
  }

 private:
  int64_t sum(int64_t SequenceSizes::*member) const {
    int64_t sum = 0;
    for (const SequenceSizes& z : sequences) sum += z.*member;
    return sum;
  }
};

// Where the sequences lie in the operands: AttentionRows, and the memory that it looks at.
struct AttentionLayout {
  std::vector<int32_t> first, first_key;
  std::vector<int32_t> blocks;  // [B,n]; the entries that no key uses are negative
  int64_t block_size = 1;
  std::vector<bool> is_key;  // of each row of k and v

  explicit AttentionLayout(const AttentionSizes& z)
      : first(offsets(z, &SequenceSizes::queries)), first_key(offsets(z, &SequenceSizes::keys)) {
    if (z.block_size > 0) {
      place_pages(z);
      return;
    }
    blocks.assign(first_key.begin(), first_key.end() - 1);
    block_size = std::max<int64_t>(1, z.most_keys());
    is_key.assign(static_cast<size_t>(z.keys()), true);
  }

  int64_t batch() const { return static_cast<int64_t>(first.size()) - 1; }
  int64_t key_rows() const { return static_cast<int64_t>(is_key.size()); }  // R
  int64_t blocks_each() const {
    return batch() > 0 ? static_cast<int64_t>(blocks.size()) / batch() : 1;
  }
  AttentionRows view() const {
    const auto of = [](const std::vector<int32_t>& values, const Shape& shape) {
      TensorView view;
      view.data = const_cast<int32_t*>(values.data());
      view.dtype = DType::kI32;
      view.rank = shape.rank();
      for (int64_t stride = 1, dim = view.rank - 1; dim >= 0; stride *= shape[dim--])
        view.shape[dim] = shape[dim], view.stride[dim] = stride;
      return view;
    };
    return {of(first, {batch() + 1}), of(first_key, {batch() + 1}),
            of(blocks, {batch(), blocks_each()}), block_size};
  }

 private:
  static std::vector<int32_t> offsets(const AttentionSizes& z, int64_t SequenceSizes::*member) {
    std::vector<int32_t> offsets{0};
    for (const SequenceSizes& each : z.sequences)
      offsets.push_back(offsets.back() + static_cast<int32_t>(each.*member));
    return offsets;
  }

  // Pages in random order. The last of a sequence ends with its keys where there are no gaps.
  void place_pages(const AttentionSizes& z) {
    block_size = z.block_size;
    const int64_t each = z.most_keys() / block_size + 2;
    blocks.assign(static_cast<size_t>(z.batch() * each), -1);
    std::vector<std::pair<size_t, int64_t>> pages;  // its entry of blocks, its keys
    for (int64_t b = 0; b < z.batch(); ++b)
      for (int64_t s = 0; s < z.sequences[static_cast<size_t>(b)].keys; s += block_size)
        pages.emplace_back(b * each + s / block_size,
                           std::min(block_size, z.sequences[static_cast<size_t>(b)].keys - s));
    const Rng rng = Rng(31).fork("pages").fork(pages.size());
    for (size_t i = pages.size(); i > 1; --i) std::swap(pages[i - 1], pages[rng.below(i, i)]);
    for (const auto& [entry, keys] : pages) {
      if (z.gaps) is_key.resize(is_key.size() + rng.fork("gap").below(entry, 3), false);
      blocks[entry] = static_cast<int32_t>(is_key.size());
      is_key.resize(is_key.size() + static_cast<size_t>(keys), true);
      if (z.gaps) is_key.resize(is_key.size() + static_cast<size_t>(block_size - keys), false);
    }
  }
};

// Which of the optional tensors are given; `spec` holds the rest.
struct AttentionOptions {
  AttentionSpec spec;
  bool segments = false, prefix = false;
  bool sink_query = false;
  int64_t distances = 0;   // R; 0 for none
  int64_t key_biases = 0;  // at least every number of keys; 0 for none
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

// Sequences of any length: training, prefill, decoding, and no token at all.
inline AttentionSizes random_sizes(const Draw& draw) {
  struct Heads {
    int64_t query, kv, depth, value_depth;
  };
  const Heads heads =
      draw.of<Heads>("heads", {{1, 1, 8, 8}, {2, 1, 20, 12}, {4, 2, 16, 16}, {3, 3, 7, 24}});
  AttentionSizes z{{}, heads.query, heads.kv, heads.depth, heads.value_depth};
  const auto batch = draw.of<int64_t>("sequences", {1, 2, 3, 5});
  const bool cross = draw.of("cross", {false, false, false, true});
  for (int64_t b = 0; b < batch; ++b) {
    const auto named = [b](const char* name) { return fmt::format("{} {}", name, b); };
    const auto queries = draw.of<int64_t>(named("queries"), {0, 1, 1, 2, 8, 9, 31, 70});
    const auto context = draw.of<int64_t>(named("context"), {0, 0, 3, 40, 130});
    z.sequences.push_back({queries, cross ? context : queries + context});
  }
  z.block_size = draw.of<int64_t>("pages", {0, 0, 1, 3, 16, 37, 200});
  z.gaps = draw.of("gaps", {true, false});
  return z;
}

inline AttentionOptions random_options(const Draw& draw, const AttentionSizes& z) {
  AttentionOptions o;
  AttentionSpec& spec = o.spec;
  spec.scale = draw.of("scale", {0.3f, 0.5f});
  spec.causal = z.may_be_causal() && draw.of("causal", {true, true, false});
  spec.window = draw.of<int64_t>("window", {0, 0, 1, 5, 40});
  spec.sink_tokens = draw.of<int64_t>("sink_tokens", {0, 0, 1, 3});
  if (spec.causal) spec.pattern = random_pattern(draw);
  spec.softcap = draw.of("softcap", {0.0f, 0.0f, 3.0f});
  spec.dropout = draw.of("dropout", {0.0f, 0.0f, 0.2f});
  spec.dropout_key = Rng(4).fork("weights").key();
  o.segments = draw.maybe("segments");
  o.prefix = draw.maybe("prefix");
  o.distances = draw.of<int64_t>("distances", {0, 0, 1, 7, z.most_keys(), 2 * z.most_keys() + 70});
  spec.distance_offset = draw.of<int64_t>("offset", {0, 3, o.distances / 2, o.distances - 1});
  o.key_biases = draw.of<int64_t>("key_bias", {0, 0, z.most_keys(), z.most_keys() + 3});
  o.sink_logits = draw.maybe("sink_logits");
  o.shaw_keys = draw.of<int64_t>("shaw_keys", {0, 0, 1, 5, 33});
  o.shaw_values = draw.of<int64_t>("shaw_values", {0, 0, 5, 19});
  o.sink_query = spec.sink_tokens > 0 && spec.window > 0 && o.shaw_keys + o.shaw_values == 0 &&
                 draw.of("sink_query", {false, true});
  return o;
}

// The shapes of the tables that are given.
inline AttentionTables<std::optional<Shape>> table_shapes(const AttentionOptions& o,
                                                          const AttentionSizes& z) {
  const auto given = [](bool on, const Shape& shape) {
    return on ? std::optional(shape) : std::nullopt;
  };
  return {.distance_bias = given(o.distances > 0, {z.heads, o.distances}),
          .key_bias = given(o.key_biases > 0, {z.heads, o.key_biases}),
          .sink_logits = given(o.sink_logits, {z.heads}),
          .shaw_keys = given(o.shaw_keys > 0, {o.shaw_keys, z.depth}),
          .shaw_values = given(o.shaw_values > 0, {o.shaw_values, z.value_depth})};
}

// What a name of the case tells of it: the queries and keys of each sequence, heads and widths.
inline std::string name_of(const AttentionSizes& z) {
  std::string name;
  for (size_t b = 0; b < z.sequences.size();) {
    const SequenceSizes& one = z.sequences[b];
    size_t same = 1;
    while (b + same < z.sequences.size() && z.sequences[b + same].queries == one.queries &&
           z.sequences[b + same].keys == one.keys)
      ++same;
    name += fmt::format("{}x{}x{}_", same, one.queries, one.keys);
    b += same;
  }
  name += fmt::format("h{}x{}_d{}x{}", z.heads, z.kv_heads, z.depth, z.value_depth);
  if (z.block_size > 0) name += fmt::format("_pages{}{}", z.block_size, z.gaps ? "gaps" : "");
  return name;
}
inline std::string name_of(const AttentionOptions& o, const AttentionSizes& z) {
  std::string name = name_of(z);
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
  add(o.sink_query, "sink_query");
  add(o.segments, "segments");
  add(o.prefix, "prefix");
  add(o.distances > 0, fmt::format("distances{}", o.distances));
  add(o.key_biases > 0, fmt::format("key_bias{}", o.key_biases));
  add(o.sink_logits, "sink");
  add(o.shaw_keys > 0, fmt::format("shaw_keys{}", o.shaw_keys));
  add(o.shaw_values > 0, fmt::format("shaw_values{}", o.shaw_values));
  return name;
}

// Segment ids of all queries and of all keys, in runs of six positions of a sequence; every fifth
// query belongs to one that has no keys.
inline std::vector<int32_t> query_segments(const AttentionSizes& z) {
  std::vector<int32_t> ids;
  for (const SequenceSizes& each : z.sequences)
    for (int64_t t = 0; t < each.queries; ++t)
      ids.push_back(t % 5 == 4 ? 9000
                               : static_cast<int32_t>(std::floor(
                                     static_cast<double>(each.keys - each.queries + t) / 6)));
  return ids;
}
inline std::vector<int32_t> key_segments(const AttentionSizes& z) {
  std::vector<int32_t> ids;
  for (const SequenceSizes& each : z.sequences)
    for (int64_t s = 0; s < each.keys; ++s) ids.push_back(static_cast<int32_t>(s / 6));
  return ids;
}
inline std::vector<int32_t> prefix_lengths(const AttentionSizes& z) {
  std::vector<int32_t> lengths;
  for (const SequenceSizes& each : z.sequences)
    lengths.push_back(
        static_cast<int32_t>((7 * static_cast<int64_t>(lengths.size()) + 4) % (each.keys + 1)));
  return lengths;
}

}  // namespace lathe::kernels::testing
