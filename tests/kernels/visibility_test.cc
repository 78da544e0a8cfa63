// What kernels skip by, against the scalar rule, pair by pair.
#include "lathe/kernels/attention/visibility.h"

#include "kernels/attention_options.h"

namespace lathe::kernels::testing {
namespace {

struct Count {
  int64_t visible = 0, all = 0;
};

class RandomSpec {
 public:
  explicit RandomSpec(uint64_t index) : draw(index) {
    const bool ragged = draw.of("ragged", {false, true});
    const auto keys = draw.of<int64_t>("S", {1, 7, 20, 45}),
               queries = draw.of<int64_t>("T", {1, 5, 20, 50});
    const SequenceSizes other{draw.of<int64_t>("other T", {1, 3, 18}),
                              draw.of<int64_t>("other S", {1, 18, 33})};
    z.sequences = {ragged ? other : SequenceSizes{queries, keys}, {queries, keys}};
    if (ragged) z.sequences.insert(z.sequences.begin() + 1, SequenceSizes{0, 4});
    z.heads = z.kv_heads = 1;
    options = random_options(draw, z);
    AttentionSpec& spec = options.spec;
    query_ids = query_segments(z), key_ids = key_segments(z), prefixes = prefix_lengths(z);
    query = Tensor::of<int32_t>(query_ids, {z.queries()});
    key = Tensor::of<int32_t>(key_ids, {z.keys()});
    prefix = Tensor::of<int32_t>(prefixes, {z.batch()});
    layout.emplace(z);
    spec.rows = layout->view();
    if (options.segments) {
      spec.query_segments = query;
      spec.key_segments = key;
    }
    if (options.prefix) spec.prefix = prefix;
  }
  RandomSpec(const RandomSpec&) = delete;
  RandomSpec& operator=(const RandomSpec&) = delete;

  const SequenceSizes& sizes(int64_t b) const { return z.sequences[static_cast<size_t>(b)]; }
  int64_t last() const { return z.batch() - 1; }
  Visibility visibility(int64_t b) const { return {options.spec, options.spec.rows.sequence(b)}; }

  // A range of at least one of [0, n).
  Range range(std::string_view name, int64_t n) const {
    const Rng rng = Rng(5).fork(name).fork(static_cast<uint64_t>(n));
    const auto begin = static_cast<int64_t>(rng.below(0, static_cast<uint64_t>(n)));
    const auto size = static_cast<int64_t>(rng.below(1, static_cast<uint64_t>(n - begin)));
    return {begin, begin + size + 1};
  }
  Count count(int64_t b, Range queries, Range keys) const {
    Count c;
    for (int64_t t = queries.begin; t < queries.end; ++t)
      for (int64_t s = keys.begin; s < keys.end; ++s, ++c.all)
        c.visible += visibility(b).visible(t, s);
    return c;
  }

  Draw draw;
  AttentionSizes z{};
  AttentionOptions options;
  std::vector<int32_t> query_ids, key_ids, prefixes;
  Tensor query, key, prefix;
  std::optional<AttentionLayout> layout;
};

constexpr uint64_t kSpecs = 400;

TEST(Visibility, OfRectanglesIsThatOfTheirPairs) {
  int64_t seen[3] = {};
  for (uint64_t i = 0; i < kSpecs; ++i) {
    const RandomSpec r(i);
    SCOPED_TRACE(name_of(r.options, r.z));
    for (uint64_t j = 0; j < 12; ++j) {
      const int64_t b = j % 2 == 0 ? 0 : r.last();
      const Range queries = r.range(fmt::format("q{} {}", i, j), r.sizes(b).queries),
                  keys = r.range(fmt::format("k{} {}", i, j), r.sizes(b).keys);
      const Count c = r.count(b, queries, keys);
      const Coverage got = r.visibility(b).coverage(queries, keys);
      ++seen[static_cast<int>(got)];
      if (got == Coverage::kNone) {
        ASSERT_EQ(c.visible, 0);
      }
      if (got == Coverage::kAll) {
        ASSERT_EQ(c.visible, c.all);
      }
      if (got == Coverage::kSome && !r.options.segments) {
        ASSERT_GT(c.visible, 0);
        ASSERT_LT(c.visible, c.all);
      }
    }
  }
  for (int64_t n : seen) EXPECT_GT(n, 100);
}

TEST(Visibility, HullHoldsEveryVisibleKey) {
  for (uint64_t i = 0; i < kSpecs; ++i) {
    const RandomSpec r(i);
    SCOPED_TRACE(name_of(r.options, r.z));
    const int64_t b = r.last(), keys = r.sizes(b).keys;
    const Range queries = r.range(fmt::format("q{}", i), r.sizes(b).queries);
    const Range hull = r.visibility(b).hull(queries);
    ASSERT_LE(0, hull.begin);
    ASSERT_LE(hull.end, keys);
    EXPECT_EQ(r.count(b, queries, {0, hull.begin}).visible, 0);
    EXPECT_EQ(r.count(b, queries, {hull.end, keys}).visible, 0);
  }
}

TEST(Visibility, PairsAreCounted) {
  for (uint64_t i = 0; i < kSpecs; ++i) {
    const RandomSpec r(i);
    SCOPED_TRACE(name_of(r.options, r.z));
    for (int64_t b = 0; b < r.z.batch(); ++b)
      ASSERT_EQ(r.visibility(b).pairs(),
                r.count(b, {0, r.sizes(b).queries}, {0, r.sizes(b).keys}).visible);
  }
}

TEST(Visibility, RunsAreTheVisibleKeys) {
  for (uint64_t i = 0; i < kSpecs; ++i) {
    const RandomSpec r(i);
    SCOPED_TRACE(name_of(r.options, r.z));
    const int64_t b = r.last();
    const Visibility visibility = r.visibility(b);
    const Range keys = r.range(fmt::format("k{}", i), r.sizes(b).keys);
    for (int64_t t = 0; t < r.sizes(b).queries; ++t) {
      std::vector<bool> got(static_cast<size_t>(r.sizes(b).keys), false);
      int64_t at = keys.begin;
      visibility.for_each_run(t, keys, [&](Range run) {
        ASSERT_LE(at, run.begin);
        ASSERT_LT(run.begin, run.end);
        at = run.end;
        for (int64_t s = run.begin; s < run.end; ++s)
          got[static_cast<size_t>(s)] = visibility.same_segment(t, s);
      });
      ASSERT_LE(at, keys.end);
      for (int64_t s = keys.begin; s < keys.end; ++s)
        ASSERT_EQ(got[static_cast<size_t>(s)], visibility.visible(t, s)) << t << " " << s;
    }
  }
}

// The rule itself, written out: '1' where query t (row) sees key s (column).
std::string picture(const AttentionSpec& spec, int64_t queries, int64_t keys) {
  const Visibility v(spec, {.queries = queries, .keys = keys});
  std::string text;
  for (int64_t t = 0; t < queries; ++t, text += ' ')
    for (int64_t s = 0; s < keys; ++s) text += v.visible(t, s) ? '1' : '0';
  return text;
}

TEST(Visibility, LooksLikeThePapers) {
  using Pattern = BlockPattern::Kind;
  EXPECT_EQ(picture({}, 3, 4), "1100 1110 1111 ");
  EXPECT_EQ(picture({.causal = false}, 2, 3), "111 111 ");
  EXPECT_EQ(picture({.window = 2}, 4, 4), "1000 1100 0110 0011 ");
  EXPECT_EQ(picture({.causal = false, .window = 2}, 4, 4), "1100 1110 0111 0011 ");
  EXPECT_EQ(picture({.window = 2, .sink_tokens = 1}, 4, 4), "1000 1100 1110 1011 ");
  EXPECT_EQ(picture({.pattern = {.kind = Pattern::kStrided, .stride = 3}}, 7, 7),
            "1000000 0100000 0010000 1001000 0100100 0010010 1001001 ");
  EXPECT_EQ(picture({.pattern = {.kind = Pattern::kStrided, .stride = 3, .local = 2}}, 5, 5),
            "10000 11000 01100 10110 01011 ");
  EXPECT_EQ(picture({.pattern = {.kind = Pattern::kFixed, .stride = 3}}, 7, 7),
            "1000000 1100000 1110000 0011000 0011100 0011110 0010011 ");
  EXPECT_EQ(picture({.pattern = {.kind = Pattern::kStrided, .block = 2, .stride = 2}}, 6, 6),
            "100000 110000 001000 001100 110010 110011 ");
  const Tensor two = Tensor::of<int32_t>(std::vector<int32_t>{2}, {1});
  EXPECT_EQ(picture({.prefix = two}, 4, 4), "1100 1100 1110 1111 ");
  EXPECT_EQ(picture({.window = 1, .prefix = two}, 4, 4), "1100 1100 1110 1101 ");
}

}  // namespace
}  // namespace lathe::kernels::testing
