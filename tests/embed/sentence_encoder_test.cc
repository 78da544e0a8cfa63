// Vectors of texts against sentence-transformers and transformers, and what a text's vector does not depend on.
#include "lathe/embed/sentence_encoder.h"

#include <cmath>
#include <numeric>

#include "embed/embed_goldens.h"
#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/model/model_pass.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

// A folder with everything that its vectors need.
struct Loaded {
  explicit Loaded(const fs::path& path, const SentenceEncoderOptions& options = {})
      : tokenizer(load_tokenizer(path.string())),
        model(load_for_inference(path.string(), DType::kF32)),
        encoder(*model, tokenizer, read_sentence_config(path, model->config()), options) {}
  Tensor vectors() const { return encoder.embed(golden_texts()); }

  Tokenizer tokenizer;
  std::unique_ptr<Transformer> model;
  SentenceEncoder encoder;
};

void expect_length_1(const Tensor& vectors) {
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    double sum = 0;
    for (const double x : vectors.narrow(0, i, 1).to_vector()) sum += x * x;
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST(SentenceEncoder, TokensAreThoseOfTransformers) {
  const Loaded loaded(embed_goldens() / "sentence");
  const auto texts = golden_texts();
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(loaded.encoder.tokens(texts[i]), expected_ids(fmt::format("ids.{}", i))) << texts[i];
}

// A folder without a head ("BertModel"), whose tensors have no "bert." before their names.
TEST(SentenceEncoder, StatesAreThoseOfTransformers) {
  const Loaded loaded(embed_goldens() / "sentence");
  IdRows ids;
  for (const std::string& text : golden_texts()) ids.push_back(loaded.encoder.tokens(text));
  const Pass plain;
  const Tensor states = ModelPass(*loaded.model, plain).states(Rows::of(ids)).value;
  expect_near(states, expected("states"), 1e-4);
  EXPECT_NE(error_text([&] { loaded.model->head({}); }).find("no output head"), std::string::npos);
}

TEST(SentenceEncoder, AFolderOfSentenceTransformersGivesItsVectors) {
  const Loaded loaded(embed_goldens() / "sentence");
  EXPECT_EQ(loaded.encoder.width(), 8);
  EXPECT_EQ(loaded.encoder.longest(), 40);
  expect_near(loaded.vectors(), expected("sentence"));
  expect_length_1(loaded.vectors());
}

TEST(SentenceEncoder, WithoutModulesItIsTheMeanOfAllTokens) {
  const SentenceFolder folder;
  fs::remove(folder.path() / "modules.json");
  const Loaded loaded(folder.path());
  EXPECT_EQ(loaded.encoder.width(), 16);
  expect_near(loaded.vectors(), expected("mean"));
}

class EveryPooling : public ::testing::TestWithParam<const char*> {};

// As releases before 6 write it, with a flag for each, and as they write it now.
TEST_P(EveryPooling, IsThatOfSentenceTransformers) {
  const std::string name = GetParam();
  const SentenceFolder folder;
  folder.modules({{"Pooling", "1_Pooling"}});
  folder.write("1_Pooling/config.json", {{"embedding_dimension", 16}, {"pooling_mode", name}});
  expect_near(Loaded(folder.path()).vectors(), expected("pooling." + name));
  const bool of_tokens = name == "max" || name == "mean" || name == "weightedmean";
  const std::string flag = "pooling_mode_" + name +
                           (of_tokens       ? "_tokens"
                            : name == "cls" ? "_token"
                                            : "");
  folder.write(
      "1_Pooling/config.json",
      {{"word_embedding_dimension", 16}, {"pooling_mode_mean_tokens", false}, {flag, true}});
  expect_near(Loaded(folder.path()).vectors(), expected("pooling." + name));
}

INSTANTIATE_TEST_SUITE_P(SentenceEncoder, EveryPooling,
                         ::testing::Values("cls", "max", "mean", "mean_sqrt_len_tokens",
                                           "weightedmean", "lasttoken"),
                         [](const auto& each) { return std::string(each.param); });

TEST(SentenceEncoder, LongTextsAreRefusedOrCutAsSentenceTransformersCutsThem) {
  const SentenceFolder folder;
  folder.change("sentence_bert_config.json", {{"max_seq_length", 6}});
  const Loaded refuses(folder.path());
  EXPECT_EQ(refuses.encoder.longest(), 6);
  EXPECT_NE(error_text([&] {
              refuses.vectors();
            }).find("text 0 has 10 tokens, but this model reads at most 6"),
            std::string::npos)
      << error_text([&] { refuses.vectors(); });
  expect_near(Loaded(folder.path(), {.long_texts = LongTexts::kCut}).vectors(), expected("cut"));
}

// To the bit: alone, together, in other passes, in another order, with other numbers of threads.
TEST(SentenceEncoder, AVectorDoesNotDependOnItsCompany) {
  const auto path = embed_goldens() / "sentence";
  const Loaded loaded(path), small(path, {.pass_tokens = 12});
  const auto texts = golden_texts();
  const auto together = loaded.vectors().to_vector();
  EXPECT_EQ(small.vectors().to_vector(), together);
  const int threads = thread_count();
  for (const int count : {1, 3}) {
    set_thread_count(count);
    EXPECT_EQ(loaded.vectors().to_vector(), together);
  }
  set_thread_count(threads);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto alone = loaded.encoder.embed(std::span(&texts[i], 1)).to_vector();
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                           together.begin() + static_cast<ptrdiff_t>(i * alone.size())))
        << i;
  }
}

// The same for layers whose tokens act on each other, where each text has its own pass.
TEST(SentenceEncoder, NorWhereTokensOfAPassCompete) {
  const Loaded words(embed_goldens() / "sentence");
  ModelConfig c = tiny_config();
  set_keys(c.moe, R"({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 6,
                      "expert_capacity": 3})");
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  const SentenceEncoder encoder(*model, words.tokenizer, {});
  const IdRows ids = {{1, 2, 3, 4, 5}, {3, 3, 3}, {6, 1}};
  const auto together = encoder.embed(ids).to_vector();
  const auto alone = encoder.embed(std::span(&ids[1], 1)).to_vector();
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                         together.begin() + static_cast<ptrdiff_t>(alone.size())));
}

// The states behind the last norm, whatever scales the logits.
TEST(SentenceEncoder, ACausalModelGivesTheMeanOfItsStates) {
  const Loaded words(embed_goldens() / "sentence");
  ModelConfig c = tiny_config();
  c.logit_scale = 0.25;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  const SentenceConfig config = read_sentence_config("/nowhere", c);
  EXPECT_FALSE(config.special_tokens);
  const SentenceEncoder encoder(*model, words.tokenizer, config);
  const IdRows ids = {{1, 2, 3, 4, 5}};
  ModelPass pass(*model, {});
  const auto states = pass.hidden({.rows = Rows::of(ids)}).value.to_vector();
  std::vector<double> mean(static_cast<size_t>(c.hidden_size), 0.0);
  for (size_t i = 0; i < states.size(); ++i) mean[i % mean.size()] += states[i];
  const double length = std::sqrt(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
  const auto got = encoder.embed(ids).to_vector();
  ASSERT_EQ(got.size(), mean.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], mean[i] / length, 1e-5);
}

TEST(SentenceEncoder, SaysWhatIsWrongWithTexts) {
  const Loaded loaded(embed_goldens() / "sentence");
  const auto said = [&](const IdRows& ids) {
    return error_text([&] { loaded.encoder.embed(ids); });
  };
  EXPECT_NE(said({{5}, {}}).find("text 1 has no tokens"), std::string::npos);
  EXPECT_NE(said({{5, 72}}).find("token 72, which is outside the vocabulary of 72"),
            std::string::npos);
  EXPECT_NE(said({{-1}}).find("token -1"), std::string::npos);
  EXPECT_NE(said({std::vector<int32_t>(41, 5)}).find("41 tokens"), std::string::npos);
  EXPECT_EQ(loaded.encoder.embed(IdRows()).size(0), 0);
}

TEST(SentenceEncoder, EndsWhenItIsTold) {
  const Loaded loaded(embed_goldens() / "sentence", {.pass_tokens = 10});
  int passes = 0;
  EXPECT_THROW(loaded.encoder.embed(golden_texts(),
                                    [&] {
                                      if (++passes == 3) throw std::runtime_error("stop");
                                    }),
               std::runtime_error);
  EXPECT_EQ(passes, 3);
}

TEST(SentenceEncoder, SaysWhichModelsHaveNoVectors) {
  const Loaded words(embed_goldens() / "sentence");
  ModelConfig c = tiny_config();
  c.num_labels = 2;
  const auto scores = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_NE(error_text([&] { SentenceEncoder(*scores, words.tokenizer, {}); }).find("2 score(s)"),
            std::string::npos);
  ModelConfig two = tiny_config();
  two.body = "encoder_decoder";
  two.decoder_start_token_id = 2;
  const auto stacks = make_model(two, DType::kF32, Device::kCpu);
  EXPECT_NE(
      error_text([&] { SentenceEncoder(*stacks, words.tokenizer, {}); }).find("encoder_decoder"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
