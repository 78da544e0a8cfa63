// Mix-FFN: a grid through the layer, packed documents and pieces through its causal form.

#include <gtest/gtest.h>

#include "lathe/base/catalogue.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/nn/ffn/ffn.h"
#include "model/contiguous_cache.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

constexpr int64_t kWidth = 3, kInner = 5;

std::unique_ptr<FeedForward> make_layer(std::string_view keys) {
  const FeedForwardComponent& mix = find_in(feed_forwards(), "test", "mix");
  ComponentConfig config = mix.config();
  set_keys(config, keys);
  auto layer = mix.make({.hidden_size = kWidth,
                         .intermediate_size = kInner,
                         .activation = kernels::find_activation("gelu"),
                         .bias = true},
                        config);
  for_each_parameter(*layer, [](const std::string& name, Parameter& p) {
    const Tensor value(p.shape, DType::kF64, Device::kRef);
    p.value = value;
    for (int64_t i = 0; i < value.numel(); ++i)
      value.data<double>()[i] = Rng(3).fork(name).normal(static_cast<uint64_t>(i));
  });
  return layer;
}

Tensor some_input(int64_t tokens) {
  const Tensor x({tokens, kWidth}, DType::kF64, Device::kRef);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<double>()[i] = Rng(4).normal(static_cast<uint64_t>(i));
  return x;
}

Tensor run(const FeedForward& layer, const Tensor& x, Rows rows = {}, const Pass& pass = {}) {
  rows.sequences = Sequences::equal(1, x.size(0));
  return layer.forward({&pass, &rows}, Var(x)).value;
}

// How much the output at each token moves when the input at `token` does.
std::vector<bool> reached_from(FeedForward& layer, int64_t tokens, int64_t token) {
  const Tensor x = some_input(tokens), moved = x.clone();
  moved.data<double>()[token * kWidth] += 0.5;
  const auto a = run(layer, x).to_vector(), b = run(layer, moved).to_vector();
  std::vector<bool> reached;
  for (int64_t t = 0; t < tokens; ++t) {
    bool differs = false;
    for (int64_t c = 0; c < kWidth; ++c)
      differs |= a[static_cast<size_t>(t * kWidth + c)] != b[static_cast<size_t>(t * kWidth + c)];
    reached.push_back(differs);
  }
  return reached;
}

TEST(MixFeedForward, OnAGridATokenReachesItsNeighbours) {
  const auto layer = make_layer(R"({"conv": "grid", "grid_height": 4, "grid_width": 3})");
  for (int64_t token = 0; token < 12; ++token) {
    const auto reached = reached_from(*layer, 12, token);
    for (int64_t t = 0; t < 12; ++t) {
      const bool near = std::abs(t / 3 - token / 3) <= 1 && std::abs(t % 3 - token % 3) <= 1;
      EXPECT_EQ(reached[static_cast<size_t>(t)], near) << token << " to " << t;
    }
  }
}

TEST(MixFeedForward, InTextATokenReachesTheNextOnes) {
  const auto layer = make_layer(R"({"conv_width": 4})");
  for (int64_t token = 0; token < 9; ++token) {
    const auto reached = reached_from(*layer, 9, token);
    for (int64_t t = 0; t < 9; ++t)
      EXPECT_EQ(reached[static_cast<size_t>(t)], t >= token && t < token + 4);
  }
}

TEST(MixFeedForward, PackedDocumentsAreThoseAlone) {
  const auto layer = make_layer(R"({"conv_width": 3})");
  const Tensor x = some_input(7);
  const Tensor segments = Tensor::of<int32_t>(std::vector<int32_t>{0, 0, 0, 0, 1, 1, 2}, {7});
  const Tensor together = run(*layer, x, {.ids = {}, .sequences = {}, .segments = segments});
  for (const auto& [first, length] : {std::pair{0, 4}, {4, 2}, {6, 1}}) {
    const Tensor alone = run(*layer, x.narrow(0, first, length).clone());
    EXPECT_EQ(together.narrow(0, first, length).clone().to_vector(), alone.to_vector());
  }
}

TEST(MixFeedForward, PiecesThroughACacheAreTheWhole) {
  for (const bool packed : {false, true}) {
    const auto layer = make_layer(R"({"conv_width": 4})");
    const Tensor x = some_input(8);
    const Tensor segments = Tensor::of<int32_t>(std::vector<int32_t>{0, 0, 0, 1, 1, 1, 1, 1}, {8});
    Rows whole;
    if (packed) whole.segments = segments;
    const Tensor want = run(*layer, x, whole);
    for (const std::vector<int64_t>& pieces :
         {std::vector<int64_t>(8, 1), {8}, {5, 1, 2}, {1, 7}, {2, 2, 4}}) {
      ContiguousCache cache(1, 8);
      int64_t at = 0;
      for (const int64_t length : pieces) {
        Rows rows{.ids = {}, .sequences = Sequences::equal(1, length), .context = cache.lengths()};
        if (packed) {
          rows.segments = segments.narrow(0, at, length);
          rows.key_segments = segments.narrow(0, 0, at + length);
        }
        const Tensor got = run(*layer, x.narrow(0, at, length).clone(), rows, {.cache = &cache});
        EXPECT_EQ(got.to_vector(), want.narrow(0, at, length).clone().to_vector());
        cache.advance(rows);
        at += length;
      }
      EXPECT_EQ(cache.bytes(), 3u * kInner * sizeof(double));
    }
  }
}

}  // namespace
}  // namespace lathe::testing
