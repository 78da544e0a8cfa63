// A row of a result depends on its own inputs alone, to the bit: not on how many other rows are
// computed with it, nor on the number of threads. The engine's answers are the same in every batch
// because of this.
#include "kernels/attention_options.h"
#include "kernels/every_table.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/tensor/int8_rows.h"

namespace lathe::kernels::testing {
namespace {

std::vector<std::byte> bytes_of(const Tensor& t) {
  const Tensor whole = t.contiguous() ? t : t.clone();
  return {whole.raw(), whole.raw() + whole.bytes()};
}

struct ProductSize {
  int64_t depth, columns;
};

// y = x·Wᵀ + bias of the first `rows` rows of x.
Tensor product(const Kernels& kernels, const Tensor& x, const Tensor& w, const Tensor& bias,
               DType out) {
  const Tensor y = spoiled({x.size(0), w.size(0)}, out);
  kernels.row_matmul(x, w.transpose(0, 1), bias, y, Write::kOverwrite);
  return y;
}

void expect_products_of_rows(const Kernels& kernels, DType dtype, const ProductSize& z,
                             DType weights, DType out) {
  constexpr int64_t kMost = 700;
  const Tensor x = random_tensor({kMost, z.depth}, "x", dtype);
  const Tensor w = random_tensor({z.columns, z.depth}, "w", weights);
  const Tensor bias = random_tensor({z.columns}, "bias", dtype);
  set_thread_count(1);
  const Tensor alone = spoiled({kMost, z.columns}, out);
  for (int64_t row = 0; row < kMost; ++row)
    alone.narrow(0, row, 1).copy_from(product(kernels, x.narrow(0, row, 1), w, bias, out));
  for (const int threads : {1, 2, 3})
    for (const int64_t rows : {2, 3, 5, 8, 12, 13, 16, 17, 31, 64, 97, 200, 300, 700}) {
      set_thread_count(threads);
      const Tensor together = product(kernels, x.narrow(0, 0, rows), w, bias, out);
      if (bytes_of(together) != bytes_of(alone.narrow(0, 0, rows)))
        ADD_FAILURE() << rows << " rows of " << z.depth << " by " << z.columns << " with "
                      << threads << " threads";
    }
}

TEST(RowInvariance, Products) {
  on_every_table([](const Kernels& kernels, DType dtype) {
    if (dtype == DType::kF64 || std::string_view(kernels.name) == "ref") return;
    for (const ProductSize& z :
         {ProductSize{5, 3}, {64, 48}, {131, 70}, {576, 192}, {1536, 40}, {4100, 33}}) {
      expect_products_of_rows(kernels, dtype, z, dtype, dtype);
    }
    expect_products_of_rows(kernels, dtype, {131, 70}, DType::kBF16, DType::kF32);
  });
  expect_products_of_rows(tile_kernels(), DType::kF32, {131, 70}, DType::kBF16, DType::kF32);
}

// What stands in for matrix tiles in tests does what the processor does.
TEST(MatrixTiles, AreEmulatedToTheBit) {
  if (cpu_kernels().level != "amx_bf16") GTEST_SKIP() << "this processor has no matrix tiles";
  const Tensor w = random_tensor({90, 600}, "w", DType::kBF16);
  const Tensor bias = random_tensor({90}, "bias", DType::kBF16);
  for (const DType type : {DType::kBF16, DType::kF32}) {
    const Tensor x = random_tensor({70, 600}, "x", type);
    EXPECT_EQ(bytes_of(product(cpu_kernels(), x, w, bias, DType::kF32)),
              bytes_of(product(tile_kernels(), x, w, bias, DType::kF32)));
  }
}

// One sequence under random options: its queries in one call, and in stretches as a cache gets them,
// each with the keys up to its last query.
class Stretches {
 public:
  Stretches(const Kernels& kernels, DType dtype, uint64_t index, bool int8)
      : kernels_(kernels),
        draw_(9000 + index),
        z_(size_of_one(draw_)),
        o_(options(draw_, z_)),
        q_(random_tensor({z_.queries(), z_.heads, z_.depth}, "q", dtype)),
        sink_query_(random_tensor(q_.shape(), "sink_query", dtype)),
        k_(random_tensor({z_.queries(), z_.kv_heads, z_.depth}, "k", dtype)),
        v_(random_tensor({z_.queries(), z_.kv_heads, z_.value_depth}, "v", dtype)),
        tables_(table_shapes(o_, z_).map([&](const auto& shape) {
          return shape ? random_tensor(*shape, fmt::format("{}", *shape), wide(dtype)) : Tensor();
        })),
        segments_(Tensor::of<int32_t>(key_segments(z_), {z_.keys()})) {
    if (int8) round_to_int8(k_, k_scales_), round_to_int8(v_, v_scales_);
  }

  int64_t tokens() const { return z_.queries(); }
  std::string name() const { return name_of(o_, z_); }

  // out and lse of the queries [begin, end).
  std::array<std::vector<double>, 2> attend(int64_t begin, int64_t end) const {
    const std::vector<int32_t> first{0, static_cast<int32_t>(end - begin)},
        keys{0, static_cast<int32_t>(end)}, blocks{0};
    const auto index = [](const std::vector<int32_t>& values) {
      return Tensor::of<int32_t>(values, {static_cast<int64_t>(values.size())});
    };
    const Tensor of_first = index(first), of_keys = index(keys),
                 of_blocks = index(blocks).reshape({1, 1}),
                 prefix = index({std::min(kPrefix, static_cast<int32_t>(end))});
    AttentionSpec spec = o_.spec;
    spec.rows = {of_first, of_keys, of_blocks, tokens()};
    spec.tables = tables_.map([](const Tensor& t) { return t.view(); });
    const Tensor query_segments = segments_.narrow(0, begin, end - begin);
    if (o_.segments) spec.query_segments = query_segments, spec.key_segments = segments_;
    if (o_.prefix) spec.prefix = prefix;
    spec.key_scales = k_scales_.view(), spec.value_scales = v_scales_.view();
    const Tensor sink_query = sink_query_.narrow(0, begin, end - begin);
    if (o_.sink_query) spec.sink_query = sink_query;
    const DType dtype = q_.dtype();
    const Tensor out = spoiled({end - begin, z_.heads, z_.value_depth}, dtype),
                 lse = spoiled({z_.heads, end - begin}, wide(dtype));
    kernels_.attention(q_.narrow(0, begin, end - begin), k_, v_, out, lse, spec);
    return {out.to_vector(), lse.transpose(0, 1).clone().to_vector()};
  }

  // In stretches of these lengths, over and over.
  std::array<std::vector<double>, 2> in_stretches(const std::vector<int64_t>& lengths) const {
    std::array<std::vector<double>, 2> all;
    size_t turn = 0;
    for (int64_t at = 0; at < tokens();) {
      int64_t length = std::min(lengths[turn++ % lengths.size()], tokens() - at);
      if (o_.prefix && at == 0)
        length = std::min<int64_t>(tokens(), std::max<int64_t>(length, kPrefix));
      const auto part = attend(at, at + length);
      for (size_t i = 0; i < all.size(); ++i)
        all[i].insert(all[i].end(), part[i].begin(), part[i].end());
      at += length;
    }
    return all;
  }

 private:
  static constexpr int32_t kPrefix = 20;
  static AttentionSizes size_of_one(const Draw& draw) {
    AttentionSizes z = random_sizes(draw);
    const auto tokens = draw.of<int64_t>("tokens", {5, 63, 64, 65, 130, 200});
    z.sequences = {{tokens, tokens}};
    z.block_size = 0;
    return z;
  }
  static AttentionOptions options(const Draw& draw, const AttentionSizes& z) {
    AttentionOptions o = random_options(draw, z);
    o.spec.causal = true;
    o.spec.dropout = 0;
    return o;
  }

  const Kernels& kernels_;
  Draw draw_;
  AttentionSizes z_;
  AttentionOptions o_;
  static void round_to_int8(Tensor& x, Tensor& scales) {
    const Tensor codes(x.shape(), DType::kI8);
    scales = Tensor({x.size(0), x.size(1)}, DType::kF32);
    quantize_rows(x, codes, scales);
    x = codes;
  }

  Tensor q_, sink_query_, k_, v_, k_scales_, v_scales_;
  AttentionTables<Tensor> tables_;
  Tensor segments_;
};

TEST(RowInvariance, AttentionInStretches) {
  on_every_table([](const Kernels& kernels, DType dtype) {
    for (uint64_t index = 0; index < 60; ++index) {
      const Stretches one(kernels, dtype, index, /*int8=*/index >= 40);
      SCOPED_TRACE(one.name());
      set_thread_count(1);
      const auto whole = one.attend(0, one.tokens());
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        for (const std::vector<int64_t>& lengths : std::vector<std::vector<int64_t>>{
                 {1}, {7}, {8, 1}, {9, 1, 1}, {64}, {30, 70}, {1, 100}})
          EXPECT_EQ(one.in_stretches(lengths), whole)
              << lengths[0] << "… " << threads << " threads";
      }
    }
  });
}

// f(x) of several rows, and of each alone.
template <class F>
void expect_rows_alone(const Tensor& x, const char* what, F&& f) {
  set_thread_count(3);
  const Tensor together = f(x);
  set_thread_count(1);
  for (int64_t row = 0; row < x.size(0); ++row)
    ASSERT_EQ(bytes_of(f(x.narrow(0, row, 1).clone())), bytes_of(together.narrow(0, row, 1)))
        << what << " of width " << x.size(1) << ", row " << row;
}

TEST(RowInvariance, WhatWorksRowByRow) {
  on_every_table([](const Kernels& k, DType dtype) {
    for (const int64_t width : {2, 6, 34, 100, 576, 1000}) {
      const Tensor x = random_tensor({37, width}, "x", dtype),
                   w = random_tensor({width}, "w", wide(dtype)),
                   b = random_tensor({width}, "b", wide(dtype));
      const auto like = [&](const Tensor& t) { return spoiled(t.shape(), dtype); };
      const auto sums = [&](const Tensor& t) { return spoiled({t.size(0)}, wide(dtype)); };
      const auto expect = [&](const char* what, auto&& f) {
        expect_rows_alone(x, what, [&](const Tensor& in) {
          const Tensor out = like(in);
          f(in, out);
          return out;
        });
      };
      expect("rms_norm", [&](auto& in, auto& out) { k.rms_norm(in, w, b, out, sums(in), 1e-5); });
      expect("layer_norm",
             [&](auto& in, auto& out) { k.layer_norm(in, w, b, out, sums(in), sums(in), 1e-5); });
      expect("crms_norm",
             [&](auto& in, auto& out) { k.crms_norm(in, w, b, out, sums(in), sums(in), 1e-5); });
      expect("softmax", [&](auto& in, auto& out) { k.softmax(in, out, TensorView()); });
      expect("add", [&](auto& in, auto& out) { k.add(in, in, out); });
      expect("scale", [&](auto& in, auto& out) { k.scale(0.3, in, out); });
      for (const std::string& name : activation_names()) {
        const ActivationId f = find_activation(name);
        expect(name.c_str(), [&](auto& in, auto& out) { k.activation(f, in, out); });
        expect_rows_alone(x, name.c_str(), [&](const Tensor& in) {
          const Tensor out = spoiled({in.size(0), width / 2}, dtype);
          k.gated(f, in, out);
          return out;
        });
      }
    }
  });
}

}  // namespace
}  // namespace lathe::kernels::testing
