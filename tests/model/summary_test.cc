// What a model costs, against counts made by hand.

#include "lathe/model/summary.h"

#include <gtest/gtest.h>

#include <functional>

#include "model/folder_testing.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

// Keys that a query sees, on average and summed over the layers, as the FLOPs have it.
double visible_keys_in(const ModelConfig& c, int64_t seq_len) {
  Transformer model(c);
  const ModelCost cost = model_cost(model, {.seq_len = seq_len});
  const AttentionTraits attention = attention_of(c).traits();
  return (cost.forward_flops - 2.0 * static_cast<double>(cost.multiplied)) /
         (2.0 * static_cast<double>(c.num_attention_heads *
                                    (attention.key_width + attention.value_width)));
}

// The same with every pair looked at.
double counted(int64_t seq_len, const std::function<bool(int64_t p, int64_t s)>& sees) {
  int64_t seen = 0;
  for (int64_t p = 0; p < seq_len; ++p)
    for (int64_t s = 0; s <= p; ++s) seen += sees(p, s);
  return static_cast<double>(seen) / static_cast<double>(seq_len);
}

TEST(ModelCost, CountsTheKeysOfSparseLayers) {
  constexpr int64_t kTokens = 37;
  ModelConfig c = tiny_config();
  c.num_hidden_layers = 1;
  c.attention.sparse_stride = 4;
  c.layer_types = {"strided_attention"};
  EXPECT_NEAR(visible_keys_in(c, kTokens),
              counted(kTokens, [](int64_t p, int64_t s) { return p - s < 4 || (p - s) % 4 == 0; }),
              1e-9);
  c.attention.sparse_local = 1;
  EXPECT_NEAR(visible_keys_in(c, kTokens),
              counted(kTokens, [](int64_t p, int64_t s) { return (p - s) % 4 == 0; }), 1e-9);
  c.attention.sink_tokens = 3;
  EXPECT_NEAR(visible_keys_in(c, kTokens),
              counted(kTokens, [](int64_t p, int64_t s) { return s < 3 || (p - s) % 4 == 0; }),
              1e-9);
  c.attention.sink_tokens = 0;
  c.attention.sparse_block = 2;
  c.layer_types = {"fixed_attention"};
  EXPECT_NEAR(
      visible_keys_in(c, kTokens),
      counted(kTokens, [](int64_t p, int64_t s) { return s / 8 == p / 8 || s / 2 % 4 == 3; }),
      1e-9);
}

TEST(ModelCost, CountsSinkTokensBesideTheWindow) {
  constexpr int64_t kTokens = 400;
  ModelConfig c = tiny_config();
  c.num_hidden_layers = 2;
  c.layer_types = {"sliding_attention", "full_attention"};
  c.sliding_window = 10;
  c.attention.sink_tokens = 4;
  const double window = counted(kTokens, [](int64_t p, int64_t s) { return p - s < 10 || s < 4; });
  EXPECT_NEAR(visible_keys_in(c, kTokens), window + kTokens / 2.0, 0.1);
}

// Long sequences are sampled, which must not show.
TEST(ModelCost, CountsLongSequencesToo) {
  ModelConfig c = tiny_config();
  c.num_hidden_layers = 1;
  c.layer_types = {"strided_attention"};
  c.attention.sparse_stride = 128;
  constexpr int64_t kTokens = 1 << 17;
  const double want = 128 - 1 + kTokens / 2.0 / 128;
  EXPECT_NEAR(visible_keys_in(c, kTokens), want, 2e-3 * want);
}

// Of four experts a token reads two; of the table of tokens one row.
TEST(WeightBytes, AreThoseOfTheExpertsThatATokenChooses) {
  ModelConfig c = family_config("mixtral");
  c.tie_word_embeddings = false;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  int64_t all = 0, experts = 0;
  for (const Parameter* p : model->parameters()) {
    if (p->name == "embedding.weight") continue;
    all += 4 * p->shape.numel();
    if (p->name.find("experts") != std::string::npos) experts += 4 * p->shape.numel();
  }
  ASSERT_EQ(c.moe.num_experts, 4);
  ASSERT_EQ(c.moe.num_experts_per_tok, 2);
  EXPECT_EQ(experts, 4 * c.num_hidden_layers * 4 * 3 * c.ffn_width() * c.hidden_size);
  EXPECT_EQ(weight_bytes_per_token(*model), all - experts / 2);
}

}  // namespace
}  // namespace lathe::testing
