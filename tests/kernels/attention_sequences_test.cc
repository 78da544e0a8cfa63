// One attention call over several sequences against one call for each of them: the same bits.
#include "kernels/attention_options.h"
#include "kernels/every_table.h"

namespace lathe::kernels::testing {
namespace {

struct Operands3 {
  Tensor q, k, v, dout;
};

struct Results {
  Tensor out, lse, dq, dk, dv;
};

Results attend(const Kernels& kernels, const Operands3& in, const AttentionSpec& spec) {
  const DType dtype = in.q.dtype();
  const int64_t tokens = in.q.size(0), heads = in.q.size(1);
  const Results r{spoiled(in.dout.shape(), dtype), spoiled({heads, tokens}, wide(dtype)),
                  spoiled(in.q.shape(), dtype), spoiled(in.k.shape(), dtype),
                  spoiled(in.v.shape(), dtype)};
  kernels.attention(in.q, in.k, in.v, r.out, r.lse, spec);
  kernels.attention_backward(in.q, in.k, in.v, r.out, r.lse, in.dout, spec,
                             {.dq = r.dq, .dk = r.dk, .dv = r.dv});
  return r;
}

// The keys of a sequence, one after the other.
Tensor gather(const Tensor& x, const AttentionSequence& sequence) {
  const Tensor y(x.shape().with(0, sequence.keys), x.dtype());
  const auto bytes = static_cast<size_t>(x.size(1) * x.size(2)) * size_of(x.dtype());
  for (int64_t s = 0; s < sequence.keys; ++s)
    std::memcpy(y.narrow(0, s, 1).raw(), x.narrow(0, sequence.key_rows(s), 1).raw(), bytes);
  return y;
}

void spoil_rows(const Tensor& x, const std::vector<bool>& is_key) {
  for (size_t row = 0; row < is_key.size(); ++row)
    if (!is_key[row]) {
      const Tensor to = x.narrow(0, static_cast<int64_t>(row), 1);
      const Tensor nan = spoiled(to.shape(), x.dtype());
      std::memcpy(to.raw(), nan.raw(), nan.bytes());
    }
}

// A random call, and the calls of its sequences.
class SequenceCalls {
 public:
  explicit SequenceCalls(uint64_t index)
      : draw_(7000 + index),
        z_(random_sizes(draw_)),
        layout_(z_),
        o_(random_options(draw_, z_)),
        segments_{Tensor::of<int32_t>(query_segments(z_), {z_.queries()}),
                  Tensor::of<int32_t>(key_segments(z_), {z_.keys()})},
        prefix_(Tensor::of<int32_t>(prefix_lengths(z_), {z_.batch()})) {
    o_.spec.dropout = 0;  // its stream runs over all sequences
  }
  std::string name() const { return name_of(o_, z_); }

  void check(const Kernels& kernels, DType dtype) const {
    const AttentionTables<Tensor> tables = table_shapes(o_, z_).map([&](const auto& shape) {
      return shape ? random_tensor(*shape, fmt::format("{}", *shape), wide(dtype)) : Tensor();
    });
    AttentionSpec spec = o_.spec;
    spec.tables = tables.map([](const Tensor& t) { return t.view(); });
    spec.rows = layout_.view();
    if (o_.segments) spec.query_segments = segments_[0], spec.key_segments = segments_[1];
    if (o_.prefix) spec.prefix = prefix_;
    const Operands3 in = operands(dtype);
    const Results whole = attend(kernels, in, spec);
    for (int64_t b = 0; b < z_.batch(); ++b) {
      SCOPED_TRACE(::testing::Message() << "sequence " << b);
      check_sequence(kernels, in, spec, whole, b);
    }
    check_gaps(whole.dk);
    check_gaps(whole.dv);
  }

 private:
  Operands3 operands(DType dtype) const {
    const int64_t n = z_.queries(), r = layout_.key_rows();
    const Operands3 in{random_tensor({n, z_.heads, z_.depth}, "q", dtype),
                       random_tensor({r, z_.kv_heads, z_.depth}, "k", dtype),
                       random_tensor({r, z_.kv_heads, z_.value_depth}, "v", dtype),
                       random_tensor({n, z_.heads, z_.value_depth}, "dout", dtype)};
    spoil_rows(in.k, layout_.is_key);
    spoil_rows(in.v, layout_.is_key);
    return in;
  }

  void check_sequence(const Kernels& kernels, const Operands3& in, const AttentionSpec& of_all,
                      const Results& whole, int64_t b) const {
    const AttentionSequence mine = of_all.rows.sequence(b);
    const int64_t first = mine.first_query, count = mine.queries;
    const auto rows = [&](const Tensor& x) { return x.narrow(0, first, count); };
    const AttentionLayout alone_layout(AttentionSizes::equal(
        1, count, mine.keys, z_.heads, z_.kv_heads, z_.depth, z_.value_depth));
    AttentionSpec spec = of_all;
    spec.rows = alone_layout.view();
    if (o_.segments) {
      spec.query_segments = rows(segments_[0]);
      spec.key_segments = segments_[1].narrow(0, mine.first_key, mine.keys);
    }
    if (o_.prefix) spec.prefix = prefix_.narrow(0, b, 1);
    const Results alone =
        attend(kernels, {rows(in.q), gather(in.k, mine), gather(in.v, mine), rows(in.dout)}, spec);
    EXPECT_EQ(part(whole.out, 0, first, count), alone.out.to_vector());
    EXPECT_EQ(part(whole.lse, 1, first, count), alone.lse.to_vector());
    EXPECT_EQ(part(whole.dq, 0, first, count), alone.dq.to_vector());
    EXPECT_EQ(gather(whole.dk, mine).to_vector(), alone.dk.to_vector());
    EXPECT_EQ(gather(whole.dv, mine).to_vector(), alone.dv.to_vector());
  }

  // Rows that are nobody's keys have no gradient: nothing is written there.
  void check_gaps(const Tensor& gradient) const {
    for (int64_t row = 0; row < layout_.key_rows(); ++row)
      if (!layout_.is_key[static_cast<size_t>(row)]) {
        for (const double x : part(gradient, 0, row, 1)) ASSERT_TRUE(std::isnan(x)) << row;
      }
  }

  Draw draw_;
  AttentionSizes z_;
  AttentionLayout layout_;
  AttentionOptions o_;
  std::array<Tensor, 2> segments_;
  Tensor prefix_;
};

class AttentionSequences : public ::testing::TestWithParam<uint64_t> {};
TEST_P(AttentionSequences, EqualOneCallForEach) {
  const SequenceCalls calls(GetParam());
  SCOPED_TRACE(calls.name());
  on_every_table([&](const Kernels& kernels, DType dtype) { calls.check(kernels, dtype); });
}
INSTANTIATE_TEST_SUITE_P(, AttentionSequences, ::testing::Range<uint64_t>(0, 64));

// Values that are a row of the unit matrix each show which weights dropout has kept.
TEST(AttentionDropout, DrawsTheElementThatTheHeaderNames) {
  constexpr int64_t kHeads = 2, kMost = 70;
  const AttentionSizes z{{{3, 5}, {0, 9}, {1, kMost}, {40, 33}}, kHeads, 1, 4, kMost, 3};
  const AttentionLayout layout(z);
  AttentionSpec spec{.causal = false, .dropout = 0.3f, .dropout_key = Rng(4).key()};
  spec.rows = layout.view();
  const Rng rng = Rng::from_key(spec.dropout_key);
  on_every_table([&](const Kernels& kernels, DType dtype) {
    const Tensor q = Tensor::zeros({z.queries(), kHeads, 4}, dtype),
                 k = Tensor::zeros({layout.key_rows(), 1, 4}, dtype),
                 unit = Tensor::zeros({layout.key_rows(), 1, kMost}, DType::kF32),
                 out = spoiled({z.queries(), kHeads, kMost}, dtype);
    for (int64_t b = 0; b < z.batch(); ++b) {
      const AttentionSequence mine = spec.rows.sequence(b);
      for (int64_t s = 0; s < mine.keys; ++s)
        unit.data<float>()[mine.key_rows(s) * kMost + s] = 1.0f;
    }
    kernels.attention(q, k, unit.to(dtype), out, TensorView{}, spec);
    const std::vector<double> got = out.to_vector();
    int64_t pairs = 0;
    for (int64_t b = 0; b < z.batch(); ++b) {
      const AttentionSequence mine = spec.rows.sequence(b);
      const int64_t T = mine.queries, S = mine.keys;
      for (int64_t t = 0; t < T; ++t)
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t s = 0; s < S; ++s) {
            const auto element = static_cast<uint64_t>(kHeads * pairs + (h * T + t) * S + s);
            const double weight =
                got[static_cast<size_t>(((mine.first_query + t) * kHeads + h) * kMost + s)];
            ASSERT_EQ(weight > 0, rng.uniform(element) >= spec.dropout)
                << b << " " << t << " " << h << " " << s;
          }
      pairs += T * S;
    }
  });
}

// Sequences that begin with the same tokens may read the same pages.
TEST(AttentionPages, MayBeShared) {
  const AttentionSizes z{{{2, 11}, {1, 9}, {9, 12}}, 2, 2, 8, 8, 4};
  AttentionLayout layout(z);
  layout.blocks = {0, 4, 8, 0, 4, 12, 0, 4, 16};
  layout.is_key.assign(20, true);
  const AttentionSpec spec{.scale = 0.4f, .rows = layout.view()};
  on_every_table([&](const Kernels& kernels, DType dtype) {
    const Tensor q = random_tensor({z.queries(), 2, 8}, "q", dtype),
                 k = random_tensor({20, 2, 8}, "k", dtype),
                 v = random_tensor({20, 2, 8}, "v", dtype), out = spoiled(q.shape(), dtype);
    kernels.attention(q, k, v, out, TensorView{}, spec);
    for (int64_t b = 0; b < z.batch(); ++b) {
      const AttentionSequence mine = spec.rows.sequence(b);
      const Tensor alone = spoiled({mine.queries, 2, 8}, dtype);
      const AttentionLayout packed(AttentionSizes::equal(1, mine.queries, mine.keys, 2, 2, 8, 8));
      kernels.attention(q.narrow(0, mine.first_query, mine.queries), gather(k, mine),
                        gather(v, mine), alone, TensorView{},
                        {.scale = 0.4f, .rows = packed.view()});
      EXPECT_EQ(part(out, 0, mine.first_query, mine.queries), alone.to_vector()) << b;
    }
  });
}

}  // namespace
}  // namespace lathe::kernels::testing
