#include "lathe/infer/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "io/temp_folder.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

GenerationConfig asking(int64_t tokens, double temperature) {
  GenerationConfig config;
  config.max_new_tokens = tokens;
  config.temperature = temperature;
  return config;
}

// Greedy decoding by whole forward passes, without a cache.
std::vector<int32_t> greedy_by_hand(Transformer& model, std::vector<int32_t> ids, int64_t count) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i < count; ++i) {
    const auto length = static_cast<int64_t>(ids.size());
    const auto logits = logits_of(model, Tensor::of<int32_t>(ids, {1, length})).to_vector();
    const auto last = logits.end() - kVocabulary;
    out.push_back(static_cast<int32_t>(std::max_element(last, logits.end()) - last));
    ids.push_back(out.back());
  }
  return out;
}

const IdRows kPrompts = {{1, 2, 3}, {4}, {5, 6, 7}, {9, 9}};

TEST(Generate, GreedyTextIsThatOfWholeForwardPasses) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const IdRows got = generate(*model, asking(8, 0), {kPrompts, {}});
  ASSERT_EQ(got.size(), kPrompts.size());
  for (size_t row = 0; row < got.size(); ++row)
    EXPECT_EQ(got[row], greedy_by_hand(*model, kPrompts[row], 8)) << row;
}

// An encoder reads the prompt, and the decoder begins with its own first token.
TEST(Generate, AnEncoderDecoderAnswersItsPrompt) {
  for (const char* position : {"rope", "t5"}) {
    ModelConfig c = tiny_config();
    c.body = "encoder_decoder";
    c.position.kind = position;
    c.decoder_start_token_id = 2;
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    const IdRows got = generate(*model, asking(8, 0), {kPrompts, {}});
    for (size_t row = 0; row < got.size(); ++row) {
      const auto& prompt = kPrompts[row];
      std::vector<int32_t> said = {2};
      for (int i = 0; i < 8; ++i) {
        const auto logits = logits_of(*model, {Rows::of({said}), Rows::of({prompt})}).to_vector();
        const auto last = logits.end() - kVocabulary;
        said.push_back(static_cast<int32_t>(std::max_element(last, logits.end()) - last));
      }
      EXPECT_EQ(got[row], std::vector<int32_t>(said.begin() + 1, said.end())) << row;
    }
    c.decoder_start_token_id.reset();
    const auto headless = make_model(c, DType::kF32, Device::kCpu);
    EXPECT_NE(error_text([&] {
                generate(*headless, asking(1, 0), {kPrompts, {}});
              }).find("[decoder_start_token_id]"),
              std::string::npos);
  }
}

TEST(Generate, APrefixDecoderSeesItsWholePrompt) {
  ModelConfig c = tiny_config();
  c.body = "prefix_decoder";
  const std::vector<int32_t>& prompt = kPrompts[0];
  for (const bool begun : {false, true}) {  // by the token that begins an answer
    if (begun) c.bos_token_id = prompt.back();
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    const IdRows got = generate(*model, asking(8, 0), {{prompt}, {}});
    std::vector<int32_t> ids = prompt;
    for (int i = 0; i < 8; ++i) {
      ModelInputs inputs{.rows = Rows::of({ids})};
      inputs.rows.prefix = Tensor::of<int32_t>(std::vector<int32_t>{begun ? 2 : 3}, {1});
      const auto logits = logits_of(*model, inputs).to_vector();
      const auto last = logits.end() - kVocabulary;
      ids.push_back(static_cast<int32_t>(std::max_element(last, logits.end()) - last));
    }
    EXPECT_EQ(got[0], std::vector<int32_t>(ids.begin() + 3, ids.end()));
  }
}

TEST(Generate, AnEncoderCannotContinue) {
  ModelConfig c = tiny_config();
  c.body = "encoder";
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_EQ(
      error_text([&] {
        generate(*model, asking(1, 0), {kPrompts, {}});
      }),
      "[generate] body \"encoder\" predicts hidden tokens in place and cannot continue a text");
}

TEST(Generate, ARowIsTheSameWhateverStandsBesideIt) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const auto texts = [&](const IdRows& prompts) {
    return generate(*model, asking(8, 1.0), {prompts, {}});
  };
  const IdRows together = texts(kPrompts);
  EXPECT_EQ(together, texts(kPrompts));
  IdRows others = kPrompts;
  for (size_t row = 1; row < others.size(); ++row) others[row].push_back(2);
  EXPECT_EQ(texts(others)[0], together[0]);
}

TEST(Generate, StopsWhereItShould) {
  ModelConfig c = tiny_config();
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  const auto free = generate(*model, asking(8, 0), {{{1, 2, 3}}, {}})[0];
  c.eos_token_id = free[3];
  const auto ending = make_model(c, DType::kF32, Device::kCpu);
  const auto first = std::find(free.begin(), free.end(), free[3]) - free.begin();
  const std::vector<int32_t> until(free.begin(), free.begin() + first + 1);
  EXPECT_EQ(generate(*ending, asking(8, 0), {{{1, 2, 3}}, {}})[0], until);
  GenerationConfig on = asking(8, 0);
  on.ignore_eos = true;
  EXPECT_EQ(generate(*ending, on, {{{1, 2, 3}}, {}})[0], free);
  // Ids in the configuration take the place of the model's, and each ends a row.
  GenerationConfig listed = asking(8, 0);
  listed.eos_token_id = {99, free[3]};
  EXPECT_EQ(generate(*model, listed, {{{1, 2, 3}}, {}})[0], until);
  listed.eos_token_id = {99};
  EXPECT_EQ(generate(*ending, listed, {{{1, 2, 3}}, {}})[0], free);
  int seen = 0;
  const auto stop = [&](size_t, int32_t) { return ++seen < 2; };
  EXPECT_EQ(generate(*model, asking(8, 0), {{{1, 2, 3}}, stop})[0].size(), 2u);
  EXPECT_TRUE(generate(*model, asking(0, 0), {{{1}}, {}})[0].empty());
}

TEST(Generate, EveryEndIdOfTheModelEndsARow) {
  ModelConfig c = tiny_config();
  const auto free =
      generate(*make_model(c, DType::kF32, Device::kCpu), asking(8, 0), {{{1, 2, 3}}, {}})[0];
  c.eos_token_id = free[5];
  c.other_eos_token_ids = {free[2]};
  const auto first = std::find_if(free.begin(), free.end(),
                                  [&](int32_t id) { return id == free[5] || id == free[2]; });
  EXPECT_EQ(generate(*make_model(c, DType::kF32, Device::kCpu), asking(8, 0), {{{1, 2, 3}}, {}})[0],
            std::vector<int32_t>(free.begin(), first + 1));
}

// Rotary scaling by the length of the text moves its first tokens when it grows beyond the first
// length, once (longrope) or at every token (dynamic).
TEST(Generate, ATextThatOutgrowsTheFirstLengthIsThatOfWholeForwardPasses) {
  for (const char* kind : {"longrope", "dynamic"}) {
    SCOPED_TRACE(kind);
    ModelConfig c = tiny_config();
    c.position.get<RopeConfig>().scaling.kind = kind;
    if (c.position.get<RopeConfig>().scaling.kind == "longrope") {
      c.position.get<RopeConfig>().scaling.original_max_position_embeddings = 6;
      c.position.get<RopeConfig>().scaling.short_factor = {1.0, 1.2};
      c.position.get<RopeConfig>().scaling.long_factor = {3.0, 8.0};
    } else {
      c.max_position_embeddings = 6;
      c.position.get<RopeConfig>().scaling.factor = 4.0;
    }
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    const IdRows prompts = {
        {1, 2, 3}, {4}, {5, 6, 7}, {9, 9, 2, 1, 3, 8}, {1, 2, 3, 4, 5, 6, 7, 8}};
    const IdRows got = generate(*model, asking(12, 0), {prompts, {}});
    for (size_t row = 0; row < got.size(); ++row)
      EXPECT_EQ(got[row], greedy_by_hand(*model, prompts[row], 12)) << row;
  }
}

TEST(Cache, ThatTakesMostOfTheMachinesMemoryIsRefused) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const std::string why = error_text([&] {
    require_memory(*model, {.cache_tokens = int64_t{1} << 44}, "make the context smaller");
  });
  EXPECT_TRUE(why.starts_with("[cache] 17592186044416 tokens in the cache take ")) << why;
  EXPECT_TRUE(why.ends_with("; make the context smaller")) << why;
  EXPECT_NO_THROW(require_memory(*model, {.cache_tokens = 64}, ""));
}

TEST(Generate, SaysAtTheStartWhatDoesNotFit) {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  c.max_position_embeddings = 16;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  int made = 0;
  const GenerateRequest request = {{{1, 2}, std::vector<int32_t>(12, 1)},
                                   [&](size_t, int32_t) { return ++made > 0; }};
  EXPECT_EQ(error_text([&] { generate(*model, asking(6, 0), request); }),
            "[max_new_tokens] 6 new tokens do not fit after a prompt of 12: 16 positions were "
            "trained; ask for at most 5");
  EXPECT_EQ(made, 0);
  EXPECT_EQ(generate(*model, asking(5, 0), request)[1].size(), 5u);
  EXPECT_EQ(room_after(*model, 16), 1);
  EXPECT_EQ(error_text([&] { room_after(*model, 17); }),
            "[prompt] the prompt has 17 tokens, but only 16 positions were trained; shorten it to "
            "at most 16");
  // Without a table of positions the memory is the limit.
  const auto rope = make_model(tiny_config(), DType::kF32, Device::kCpu);
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const std::string huge = error_text([&] {
    generate(*rope, asking(kHuge, 0), {{{1, 2, 3}}, {}});
  });
  const int64_t room = room_after(*rope, 3);
  for (const std::string& part :
       {std::to_string(kHuge), std::string("memory"), fmt::format("at most {}", room)})
    EXPECT_NE(huge.find(part), std::string::npos) << huge;
  EXPECT_GT(room, 1000);
}

TEST(Generate, RefusesPromptsThatCannotBe) {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  const auto ask = [&](const IdRows& prompts) { generate(*model, asking(8, 0), {prompts, {}}); };
  EXPECT_EQ(error_text([&] {
              ask({{1}, {}});
            }),
            "[generate] prompt 1 has no tokens; give at least one (a beginning-of-text token will "
            "do)");
  EXPECT_NE(error_text([&] { ask({{1, 13}}); }).find("id 13 is outside"), std::string::npos);
  EXPECT_NE(error_text([&] { ask({std::vector<int32_t>(20, 1)}); }).find("ask for at most 5"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
