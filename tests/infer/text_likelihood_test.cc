// Texts of a tree, in passes and a cache that are too small for it: each gets what it gets alone, to the bit, and what
// one pass over the whole text says.
#include "lathe/infer/text_likelihood.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/model/load_model.h"
#include "lathe/model/model_pass.h"
#include "model/adapter_testing.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe::testing {
namespace {

// Some are beginnings of others, some are equal, and some differ in what is scored alone.
std::vector<ScoredText> random_texts(const Rng& draw, int64_t vocabulary, int64_t longest) {
  std::vector<ScoredText> all(24);
  for (size_t i = 0; i < all.size(); ++i) {
    const Rng own = draw.fork(i);
    auto& tokens = all[i].tokens;
    if (i > 0) {
      tokens = all[own.below(0, i)].tokens;
      tokens.resize(own.below(1, tokens.size() + 1));
    }
    const auto length = 2 + own.below(2, static_cast<uint64_t>(longest) - 1);
    for (uint64_t t = 0; tokens.size() < length; ++t)
      tokens.push_back(
          static_cast<int32_t>(own.fork("ids").below(t, static_cast<uint64_t>(vocabulary))));
    if (tokens.size() < 2) tokens.push_back(1);
    all[i].context = 1 + static_cast<int64_t>(own.below(3, tokens.size() - 1));
  }
  return all;
}

// log p of a scored token, and the likeliest one, from one pass over the whole text.
TextLikelihood in_one_pass(const Transformer& model, const ScoredText& text,
                           const Adaptation& adaptation = {}) {
  const Body body = model.config().body_traits();
  std::vector<int32_t> read(text.tokens.begin(), text.tokens.end() - 1);
  ModelInputs inputs;
  const int64_t skipped = body.encoder ? text.context - 1 : 0;
  if (body.encoder) {
    inputs.text = Rows::of(IdRows{{read.begin(), read.begin() + text.context}});
    read.erase(read.begin(), read.begin() + skipped);
    read[0] = static_cast<int32_t>(*model.config().decoder_start());
  }
  inputs.rows = Rows::of(IdRows{read});
  if (body.prefix)
    inputs.rows.prefix = Tensor::of<int32_t>(std::vector{static_cast<int32_t>(text.context)}, {1});
  const Tensor logits =
      (adaptation.empty() ? logits_of(model, inputs) : logits_with(model, inputs, adaptation))
          .to(DType::kF32);
  TextLikelihood result;
  for (int64_t t = text.context; t < std::ssize(text.tokens); ++t) {
    const float* row = logits.data<float>() + (t - 1 - skipped) * model.config().vocab_size;
    double sum = 0;
    for (int64_t v = 0; v < model.config().vocab_size; ++v)
      sum += std::exp(static_cast<double>(row[v]));
    const int32_t id = text.tokens[static_cast<size_t>(t)];
    result.logprobs.push_back(static_cast<float>(row[id] - std::log(sum)));
    for (int32_t v = 0; v < model.config().vocab_size; ++v)
      if (row[v] > row[id] || (row[v] == row[id] && v < id)) result.greedy = false;
  }
  return result;
}

void check(const Transformer& model, int64_t longest = 14) {
  const auto texts = random_texts(Rng(5), model.config().vocab_size, longest);
  TextLikelihoods together(model, {.pass_tokens = 7, .cache_tokens = 150});
  const auto got = together.of(texts);
  const auto again = together.of(texts);  // their beginnings are known now
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(i);
    const auto alone = TextLikelihoods(model).of(std::span(&texts[i], 1))[0];
    EXPECT_EQ(got[i].logprobs, alone.logprobs);
    EXPECT_EQ(got[i].greedy, alone.greedy);
    EXPECT_EQ(again[i].logprobs, alone.logprobs);
    const TextLikelihood want = in_one_pass(model, texts[i]);
    ASSERT_EQ(got[i].logprobs.size(), want.logprobs.size());
    for (size_t t = 0; t < want.logprobs.size(); ++t)
      EXPECT_NEAR(got[i].logprobs[t], want.logprobs[t], 2e-4);
    EXPECT_EQ(got[i].greedy, want.greedy);
  }
}

// Each text gets what it gets alone, and what a pass with all of it says, with adapters of embedding, layers and head.
TEST(TextLikelihood, AdaptersActOnEveryText) {
  for (const char* family : {"llama", "t5"}) {
    SCOPED_TRACE(family);
    const auto model = load_model(tests_folder() / "model" / "goldens" / family / "model", {});
    const Adaptation adaptation{
        .loras = {random_lora(*model, Rng(1)), random_lora(*model, Rng(2))}};
    const auto texts = random_texts(Rng(6), model->config().vocab_size, 9);
    const auto got =
        TextLikelihoods(*model, {.pass_tokens = 7, .cache_tokens = 150, .adaptation = adaptation})
            .of(texts);
    double differ = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto alone =
          TextLikelihoods(*model, {.adaptation = adaptation}).of(std::span(&texts[i], 1))[0];
      EXPECT_EQ(got[i].logprobs, alone.logprobs);
      const TextLikelihood want = in_one_pass(*model, texts[i], adaptation);
      for (size_t t = 0; t < want.logprobs.size(); ++t)
        EXPECT_NEAR(got[i].logprobs[t], want.logprobs[t], 5e-4);
      differ = std::max(differ, std::abs(want.sum() - in_one_pass(*model, texts[i]).sum()));
    }
    EXPECT_GT(differ, 0.1);
  }
}

class EveryFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryFamily, GivesATextWhatItGivesItAlone) {
  const auto folder = tests_folder() / "model" / "goldens" / GetParam() / "model";
  check(*load_model(folder, {}), 9);
}

INSTANTIATE_TEST_SUITE_P(TextLikelihood, EveryFamily,
                         ::testing::Values("llama", "qwen3", "gemma2", "gemma3_text", "mistral",
                                           "deepseek_v2", "deepseek_v3", "mixtral", "qwen2_moe",
                                           "switch_transformers", "t5", "ul2", "chatglm", "bloom",
                                           "gpt2", "falcon", "phi3", "olmo2"),
                         [](const auto& each) { return each.param; });

std::unique_ptr<Transformer> model_with(const std::function<void(ModelConfig&)>& change = {}) {
  ModelConfig c = tiny_config();
  if (change) change(c);
  return make_model(c, DType::kF32, Device::kCpu);
}

TEST(TextLikelihood, IsTheSameWithWindowsPrefixesEncodersAndScalingByLength) {
  check(*model_with([](ModelConfig& c) {
    c.sliding_window = 4;
    c.layer_types = {"sliding_attention", "full_attention"};
  }));
  check(*model_with([](ModelConfig& c) { set_keys(c.ffn, R"({"kind": "mix"})"); }));
  check(*model_with([](ModelConfig& c) { c.body = "prefix_decoder"; }));
  check(*model_with([](ModelConfig& c) {
    c.body = "encoder_decoder";
    c.position.kind = "t5";
    c.decoder_start_token_id = 2;
  }));
  check(*model_with([](ModelConfig& c) {
    c.position.get<RopeConfig>().scaling.kind = "dynamic";
    c.position.get<RopeConfig>().scaling.factor = 4.0;
    c.max_position_embeddings = 8;
  }),
        7);
}

TEST(TextLikelihood, IsTheSameWithAnyNumberOfThreads) {
  const auto model = model_with();
  const auto texts = random_texts(Rng(9), kVocabulary, 14);
  const int threads = thread_count();
  set_thread_count(1);
  const auto one = TextLikelihoods(*model).of(texts);
  set_thread_count(3);
  const auto three = TextLikelihoods(*model).of(texts);
  set_thread_count(threads);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(one[i].logprobs, three[i].logprobs);
}

// Four answers of one token to a question of ten: eleven rows at most, not forty-four.
TEST(TextLikelihood, ComputesWhatTextsShareOnce) {
  const auto model = model_with();
  std::vector<ScoredText> texts;
  for (int32_t answer = 1; answer <= 4; ++answer)
    texts.push_back({.tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, answer}, .context = 10});
  TextLikelihoods likelihoods(*model);
  likelihoods.of(texts);
  EXPECT_EQ(likelihoods.computed_tokens(), 10);
  texts.push_back({.tokens = {1, 2, 3, 4, 5, 0, 0, 0}, .context = 5});
  TextLikelihoods others(*model);
  others.of(texts);
  EXPECT_EQ(others.computed_tokens(), 10 + 2);
}

// A cache of prefixes of 16 tokens a block has what the next texts begin with.
TEST(TextLikelihood, FindsTheExamplesOfEarlierTexts) {
  ModelConfig c = tiny_config();
  c.max_position_embeddings = 100;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  ScoredText text;
  for (int32_t i = 0; i < 40; ++i) text.tokens.push_back(i % 7);
  text.context = 38;
  TextLikelihoods likelihoods(*model);
  likelihoods.of(std::span(&text, 1));
  EXPECT_EQ(likelihoods.computed_tokens(), 39);
  text.tokens[36] = 9;
  likelihoods.of(std::span(&text, 1));
  EXPECT_EQ(likelihoods.computed_tokens(), 39 + 39 - 32);
}

TEST(TextLikelihood, AnErrorBetweenPassesLeavesItUsable) {
  const auto model = model_with();
  const auto texts = random_texts(Rng(5), kVocabulary, 14);
  TextLikelihoods likelihoods(*model, {.pass_tokens = 5});
  int passes = 0;
  EXPECT_THROW(likelihoods.of(texts,
                              [&] {
                                if (++passes == 4) throw std::runtime_error("stop");
                              }),
               std::runtime_error);
  const auto got = likelihoods.of(texts), want = TextLikelihoods(*model).of(texts);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(got[i].logprobs, want[i].logprobs);
}

TEST(TextLikelihood, RefusesWhatItCannotScore) {
  const auto model = model_with([](ModelConfig& c) {
    c.position.kind = "learned";
    c.max_position_embeddings = 4;
  });
  TextLikelihoods likelihoods(*model);
  const auto refusal = [&](ScoredText text) {
    return error_text([&] { likelihoods.of(std::span(&text, 1)); });
  };
  EXPECT_NE(refusal({.tokens = {1, 2}, .context = 2}).find("at least one token before"),
            std::string::npos);
  EXPECT_NE(refusal({.tokens = {1, 2}, .context = 0}).find("at least one token before"),
            std::string::npos);
  EXPECT_NE(refusal({.tokens = {1, 99}}).find("token 99 is outside the vocabulary"),
            std::string::npos);
  EXPECT_NE(refusal({.tokens = {1, 2, 3, 4, 5, 6}}).find("reads at most 4"), std::string::npos);
  EXPECT_EQ(refusal({.tokens = {1, 2, 3, 4, 5}}), "no error");
  const auto encoder = model_with([](ModelConfig& c) { c.body = "encoder"; });
  EXPECT_NE(error_text([&] { TextLikelihoods{*encoder}; }).find("take a decoder"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
