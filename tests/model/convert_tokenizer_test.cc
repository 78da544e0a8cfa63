// Another tokenizer for a model: rows that move along compute what they did, new ones lie at the mean
// of their pieces.

#include "model/convert_testing.h"

namespace lathe::testing {
namespace {

constexpr int64_t kOld = kVocabulary;

std::vector<ModelConfig> heads_of_all_kinds() {
  std::vector<ModelConfig> all(4, tiny_config());
  all[1].tie_word_embeddings = all[3].tie_word_embeddings = true;
  all[2].lm_head_bias = all[3].lm_head_bias = true;
  return all;
}

TokenSources same_tokens() {
  TokenSources sources(kOld);
  for (size_t id = 0; id < sources.size(); ++id) sources[id] = {static_cast<int32_t>(id)};
  return sources;
}

// Every second token, from the second on.
TokenSources odd_tokens() {
  TokenSources sources;
  for (int32_t id = 1; id < kOld; id += 2) sources.push_back({id});
  return sources;
}

// A row of tokens, and the same in the text of an encoder.
ModelInputs inputs_of(const ModelConfig& c, std::vector<int32_t> ids) {
  Tensor row({1, static_cast<int64_t>(ids.size())}, DType::kI32);
  std::ranges::copy(ids, row.data<int32_t>());
  ModelInputs inputs{.rows = Rows::of(row)};
  if (c.body_traits().encoder) inputs.text = Rows::of(row);
  return inputs;
}

TEST(TokenizerConversion, KeptTokensHaveTheLogitsThatTheyHad) {
  const auto bodies = dimensions().back();
  ASSERT_EQ(bodies.name, "body");
  for (const ModelConfig& head : heads_of_all_kinds())
    for (const Choice& body : bodies.choices) {
      SCOPED_TRACE(body.name);
      ModelConfig c = head;
      body.apply(c);
      const auto model = model_of(c);
      const auto small = converted(*model, {.token_sources = odd_tokens()});
      ASSERT_EQ(small->config().vocab_size, kOld / 2);
      const auto before = logits_of(*model, inputs_of(c, {3, 1, 7, 5, 11, 3})).to_vector();
      const auto after = logits_of(*small, inputs_of(c, {1, 0, 3, 2, 5, 1})).to_vector();
      for (size_t row = 0; row < 6; ++row)
        for (size_t id = 0; id < kOld / 2; ++id)
          EXPECT_EQ(after[row * (kOld / 2) + id], before[row * kOld + 2 * id + 1]);
    }
}

TEST(TokenizerConversion, NewTokensAreTheMeanOfTheirPieces) {
  TokenSources sources = same_tokens();
  sources.insert(sources.end(), {{2, 5}, {7, 7, 1}, {}, {4}});
  for (const ModelConfig& c : heads_of_all_kinds()) {
    const auto model = model_of(c);
    const auto larger = converted(*model, {.token_sources = sources});
    const int64_t rows = larger->config().vocab_size;
    ASSERT_EQ(rows, kOld + 4);
    const auto was = logits_of(*model, some_ids(2, 9)).to_vector();
    const auto now = logits_of(*larger, some_ids(2, 9)).to_vector();
    const auto width = static_cast<size_t>(rows);
    for (size_t at = 0; at < 18; ++at) {
      const auto old = [&](size_t id) { return was[at * kOld + id]; };
      const auto got = [&](size_t id) { return now[at * width + id]; };
      double was_sum = 0, now_sum = 0, most = 0, average = 0;
      for (size_t id = 0; id < kOld; ++id) {
        EXPECT_NEAR(got(id), old(id), 1e-5);
        was_sum += std::exp(old(id));
        average += old(id) / kOld;
      }
      EXPECT_NEAR(got(kOld), (old(2) + old(5)) / 2, 1e-5);
      EXPECT_NEAR(got(kOld + 1), (2 * old(7) + old(1)) / 3, 1e-5);
      EXPECT_NEAR(got(kOld + 2), average, 0.2);
      EXPECT_NEAR(got(kOld + 3), old(4), 1e-5);
      // The bound that the source derives.
      for (size_t id = 0; id < width; ++id) now_sum += std::exp(got(id));
      for (const auto& pieces : {sources[kOld], sources[kOld + 1], sources[kOld + 3]})
        for (const int32_t piece : pieces)
          most += std::exp(old(static_cast<size_t>(piece))) / was_sum /
                  static_cast<double>(pieces.size());
      most += std::exp(got(kOld + 2)) / was_sum;
      EXPECT_LE(std::log(now_sum / was_sum), most + 1e-6);
    }
  }
}

TEST(TokenizerConversion, RowsAreCopiedAndAveragedExactly) {
  ModelConfig c = tiny_config();
  c.lm_head_bias = true;
  const auto model = model_of(c);
  TokenSources sources = same_tokens();
  sources.push_back({2, 5});
  const auto larger = converted(*model, {.pad_vocab_to = 8, .token_sources = sources});
  EXPECT_EQ(larger->config().vocab_size, 16);
  for (const char* name : {"embedding.weight", "head.weight", "head.bias"}) {
    const auto old = parameter(*model, name).value.tensor().to_vector();
    const auto now = parameter(*larger, name).value.tensor().to_vector();
    const size_t width = old.size() / kOld;
    for (size_t i = 0; i < old.size(); ++i) EXPECT_EQ(now[i], old[i]) << name;
    for (size_t i = 0; i < width; ++i)
      EXPECT_EQ(now[kOld * width + i],
                static_cast<float>((old[2 * width + i] + old[5 * width + i]) / 2));
  }
}

TEST(TokenizerConversion, UnknownTokensAreDrawnFromTheTokensThatThereWere) {
  const auto model = model_of(tiny_config());
  Parameter& table = parameter(*model, "embedding.weight");
  for (int64_t i = 10 * 16; i < kOld * 16; ++i) table.value.tensor().data<float>()[i] = 1000.0f;
  const TokenSources sources = {{3}, {}, {}};
  const auto rows = [&](int64_t seed) {
    const auto fresh =
        converted(*model, {.seed = seed, .known_tokens = 10, .token_sources = sources});
    return parameter(*fresh, "embedding.weight").value.tensor().clone();
  };
  EXPECT_LT(largest_magnitude(rows(1)), 3.0);
  EXPECT_EQ(rows(1).to_vector(), rows(1).to_vector());
  EXPECT_NE(rows(1).to_vector(), rows(2).to_vector());
  EXPECT_NE(rows(1).narrow(0, 1, 1).clone().to_vector(),
            rows(1).narrow(0, 2, 1).clone().to_vector());
}

TEST(TokenizerConversion, SpecialIdsAreRenumbered) {
  ModelConfig c = llama_like();
  c.bos_token_id = 1;
  c.eos_token_id = 5;
  c.other_eos_token_ids = {7, 11};
  c.pad_token_id = 9;
  c.decoder_start_token_id = 3;
  const ModelConfig to = converted_config(c, {.token_sources = odd_tokens()});
  EXPECT_EQ(to.bos_token_id, 0);
  EXPECT_EQ(to.eos_token_ids(), (std::vector<int64_t>{2, 3, 5}));
  EXPECT_EQ(to.pad_token_id, 4);
  EXPECT_EQ(to.decoder_start_token_id, 1);
  c.other_eos_token_ids = {4};
  EXPECT_EQ(
      refusal(c, {.token_sources = odd_tokens()}),
      "[eos_token_id] the model's eos_token_id is 4, which the new tokenizer has no token for; "
      "expected a tokenizer that keeps this token, or a config.json without the key");
}

TEST(TokenizerConversion, SourcesOutsideTheModelAreRefused) {
  for (const int32_t id : {-1, static_cast<int32_t>(kOld), INT32_MAX})
    EXPECT_NE(refusal(llama_like(), {.token_sources = TokenSources{{0}, {1, id}}})
                  .find("[--tokenizer] its token 1 is made of the model's token"),
              std::string::npos);
  EXPECT_EQ(refusal(llama_like(), {.token_sources = TokenSources{}}),
            "[--tokenizer] has no tokens");
}

}  // namespace
}  // namespace lathe::testing
