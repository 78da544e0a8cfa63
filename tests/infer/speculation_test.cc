// What drafters guess and how deep; that guesses change no token is shown in engine_test.cc.
#include <gtest/gtest.h>

#include "infer/oracle.h"
#include "lathe/base/error.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/sampler/temperature.h"
#include "lathe/infer/speculation/draft_depth.h"
#include "lathe/infer/speculation/draft_model.h"
#include "lathe/infer/speculation/extra_heads.h"
#include "lathe/infer/speculation/ngram_table.h"
#include "lathe/infer/speculation/prompt_lookup.h"

namespace lathe::testing {
namespace {

class OneDraft {
 public:
  std::vector<int32_t> of(Drafter&& drafter, std::vector<int32_t> text, int64_t most) {
    return of(drafter, std::move(text), most);
  }
  std::vector<int32_t> of(Drafter& drafter, std::vector<int32_t> text, int64_t most,
                          std::span<const int32_t> encoder_text = {}) {
    Draft draft{.text = std::move(text),
                .encoder_text = encoder_text,
                .most = most,
                .chooser = TokenChooser(request_, chain_, 0)};
    drafter.guess({&draft, 1});
    drafter.forget(draft.sequence, {});
    return draft.guesses;
  }

 private:
  Request request_;
  SamplerChain chain_{GenerationConfig{}};
};

using Ids = std::vector<int32_t>;

TEST(PromptLookup, GoesOnAsTheTextDidBefore) {
  OneDraft draft;
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 4, 5, 1, 2}, 2), (Ids{3, 4}));
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 4, 5, 1, 2}, 9), (Ids{3, 4, 5, 1, 2}));
  // The longest run counts, and of equal ones the last.
  EXPECT_EQ(draft.of(PromptLookup(), {7, 1, 2, 3, 9, 1, 2, 4, 7, 1, 2}, 1), (Ids{3}));
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 9, 1, 2, 4, 8, 1, 2}, 1), (Ids{4}));
  // What repeats itself overlaps itself.
  EXPECT_EQ(draft.of(PromptLookup(), {5, 6, 6, 6}, 3), (Ids{6}));
}

TEST(PromptLookup, IsSilentWhereTheRunIsTooShort) {
  OneDraft draft;
  EXPECT_TRUE(draft.of(PromptLookup(), {1, 2, 3, 9, 2}, 4).empty());
  EXPECT_EQ(draft.of(PromptLookup(1), {1, 2, 3, 9, 2}, 4), (Ids{3, 9, 2}));
  EXPECT_TRUE(draft.of(PromptLookup(), {}, 4).empty());
  EXPECT_TRUE(draft.of(PromptLookup(), {1}, 4).empty());
}

TEST(PromptLookup, QuotesTheTextOfAnEncoder) {
  OneDraft draft;
  PromptLookup lookup;
  const Ids source = {3, 4, 5, 6, 7};
  EXPECT_EQ(draft.of(lookup, {0, 4, 5}, 8, source), (Ids{6, 7}));
}

// The rate that the formula of the header gives.
double rate(double acceptance, double cost, int64_t k) {
  double tokens = 1, chance = 1;
  for (int64_t i = 0; i < k; ++i) tokens += chance *= acceptance;
  return tokens / (1 + cost * static_cast<double>(k));
}

DraftDepth measured(int64_t most, double first, double row) {
  DraftDepth depth(most);
  for (int i = 0; i < 200; ++i)
    for (const int64_t rows : {1, 2, 5, 9})
      depth.passed(rows, first + row * static_cast<double>(rows));
  return depth;
}

TEST(DraftDepth, FindsTheCostOfARowInTheTimesOfPasses) {
  const DraftDepth::Cost cost = measured(8, 9e-3, 1e-3).cost();
  EXPECT_NEAR(cost.first, 9e-3, 1e-5);
  EXPECT_NEAR(cost.row, 1e-3, 1e-5);
}

TEST(DraftDepth, IsWhereTheRateIsLargest) {
  const DraftDepth depth = measured(12, 9e-3, 1e-3);
  for (const double acceptance : {0.2, 0.5, 0.8, 0.95}) {
    DraftRecord record{.right = acceptance, .wrong = 1 - acceptance};
    int64_t best = 0;
    for (int64_t k = 1; k <= 12; ++k)
      if (rate(acceptance, 0.1, k) > rate(acceptance, 0.1, best)) best = k;
    EXPECT_EQ(depth.choose(record, 1), best) << acceptance;
  }
}

TEST(DraftDepth, IsSmallerWhereManyDecodeTogether) {
  const DraftDepth depth = measured(12, 9e-3, 1e-3);
  DraftRecord record{.right = 0.9, .wrong = 0.1};
  EXPECT_GT(depth.choose(record, 1), depth.choose(record, 16));
}

TEST(DraftDepth, IsOffWhereGuessesLoseButTriesAgain) {
  const DraftDepth depth = measured(8, 5e-3, 5e-3);
  DraftRecord record;
  for (int i = 0; i < 20; ++i) DraftDepth::record(record, 2, 0);
  EXPECT_LT(record.acceptance(), 0.05);
  int64_t tries = 0;
  for (int i = 0; i < 10 * DraftDepth::kTrial; ++i) tries += depth.choose(record, 1);
  EXPECT_EQ(tries, 10);
  for (int i = 0; i < 40; ++i) DraftDepth::record(record, 1, 1);
  EXPECT_GT(depth.choose(record, 1), 0);
}

TEST(DraftDepth, CountsTheTimeOfTheDrafter) {
  DraftDepth depth = measured(8, 9e-3, 1e-3);
  DraftRecord record{.right = 0.8, .wrong = 0.2};
  const int64_t cheap = depth.choose(record, 1);
  for (int i = 0; i < 50; ++i) depth.drafted(4, 4 * 9e-3);
  EXPECT_LT(depth.choose(record, 1), cheap);
}

TEST(PagedCache, TakesTokensBack) {
  const CacheGroup group{.layers = {{.layer = {}, .k = Shape({1, 2}), .v = Shape()}}};
  PagedCache cache({group}, {.block_size = 4, .blocks = {8}});
  const auto id = cache.open();
  const auto grow = [&](int64_t count) {
    ASSERT_TRUE(cache.reserve(id, count));
    Rows rows = Rows::of(IdRows{std::vector<int32_t>(static_cast<size_t>(count), 1)});
    rows.context = {cache.length(id)};
    cache.begin_pass({id});
    cache.end_pass(rows);
  };
  grow(6);
  cache.publish(id, std::vector<int32_t>(5, 1));
  EXPECT_EQ(cache.index().size(), 1u);
  grow(8);
  EXPECT_EQ(cache.pool(0).held(), 4);
  cache.truncate(id, 7);
  EXPECT_EQ(cache.length(id), 7);
  EXPECT_EQ(cache.pool(0).held(), 2);
  EXPECT_THROW(cache.truncate(id, 8), Error);
  EXPECT_THROW(cache.truncate(id, 3), Error);  // its block can be found
  cache.close(id);
  EXPECT_EQ(cache.pool(0).held(), 0);
}

// --- models that guess ------------------------------------------------------------------------

std::vector<std::vector<int32_t>> texts_of(const Transformer& model,
                                           std::unique_ptr<Drafter> drafter, double temperature,
                                           EngineStatistics* statistics) {
  Engine engine(model, {.block_size = 4, .cache_tokens = 400, .draft_tokens = 4},
                std::move(drafter));
  std::vector<std::vector<int32_t>> texts(5);
  for (size_t i = 0; i < texts.size(); ++i) {
    Request r{.prompt = Ids(3 + 2 * i, static_cast<int32_t>(i + 1))};
    r.sampling.max_new_tokens = 30;
    r.sampling.temperature = temperature;
    r.sampling.ignore_eos = true;
    r.stream = i;
    r.on_token = [&texts, i](const NewToken& t) {
      texts[i].push_back(t.token);
      return true;
    };
    EXPECT_FALSE(engine.submit(std::move(r)).refusal);
    if (i % 2 == 0) engine.step();
  }
  engine.run();
  EXPECT_EQ(engine.cache().sequences(), 0);
  *statistics = engine.statistics();
  return texts;
}

// Its own draft: it draws what it will draw itself, at any temperature.
TEST(DraftModel, ThatIsTheModelIsAlwaysRight) {
  for (const bool window : {false, true}) {
    ModelConfig c = tiny_config();
    c.max_position_embeddings = 200;
    if (window) c.sliding_window = 5;
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    for (const double temperature : {0.0, 1.2}) {
      EngineStatistics plain, guessed;
      const auto want = texts_of(*model, nullptr, temperature, &plain);
      const auto got =
          texts_of(*model, std::make_unique<DraftModel>(*model, EngineOptions{.block_size = 4}),
                   temperature, &guessed);
      EXPECT_EQ(got, want);
      EXPECT_GT(guessed.accepted_tokens, 5);
      EXPECT_EQ(guessed.accepted_tokens, guessed.guessed_tokens);
      EXPECT_LT(guessed.steps, plain.steps);
    }
  }
}

TEST(DraftModel, ThatIsAnotherChangesNothing) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  ModelConfig other = tiny_config();
  other.num_hidden_layers = 1;
  const auto draft = make_model(other, DType::kF32, Device::kCpu);
  EngineStatistics plain, guessed;
  const auto want = texts_of(*model, nullptr, 1.0, &plain);
  EXPECT_EQ(texts_of(*model, std::make_unique<DraftModel>(*draft, EngineOptions()), 1.0, &guessed),
            want);
  EXPECT_GT(guessed.guessed_tokens, guessed.accepted_tokens);
}

TEST(DraftModel, SaysWhyItCannotGuess) {
  ModelConfig c = tiny_config();
  c.body = "prefix_decoder";
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_THROW(DraftModel(*model, {}), Error);
  const std::vector<std::string> a = {"x", "y"}, b = {"x", "z"}, longer = {"x", "y", "q"};
  EXPECT_EQ(why_not_a_draft(a, a), "");
  EXPECT_EQ(why_not_a_draft(a, b), "token 1 is y in its vocabulary and z in the model's");
  EXPECT_EQ(why_not_a_draft(longer, a), "its vocabulary has 3 tokens and the model's 2");
}

// The chain of modules over a whole text, without a cache.
Ids guesses_at_once(const Transformer& model, const Ids& text, int64_t modules) {
  Ids all = text, guesses;
  const int64_t rows = std::ssize(text) - 1;
  ModelPass pass(model, {});
  Var hidden = pass.hidden({.rows = Rows::of(IdRows{Ids(text.begin(), text.end() - 1)})});
  for (int64_t depth = 1; depth <= modules; ++depth) {
    const Ids ahead(all.begin() + depth, all.begin() + depth + rows);
    hidden = pass.mtp_hidden(depth, hidden, Tensor::of<int32_t>(ahead, {rows}));
    const Tensor last = hidden.value.narrow(0, rows - 1, 1).clone();
    const Tensor logits = pass.logits(Var(last)).value.to(DType::kF32);
    guesses.push_back(greedy_choice(logits.span<float>()));
    all.push_back(guesses.back());
  }
  return guesses;
}

std::unique_ptr<Transformer> model_with_heads() {
  ModelConfig c = tiny_config();
  c.num_nextn_predict_layers = 3;
  c.max_position_embeddings = 200;
  return make_model(c, DType::kF32, Device::kCpu);
}

// A text that grows, as an engine that knows it would show it to its drafter.
class Growing {
 public:
  Growing(const Transformer& model, int64_t number, int64_t first)
      : model_(model), number_(number), seen_(first) {}
  void grow(int64_t count) {
    for (; count > 0; --count)
      text_.push_back(static_cast<int32_t>(
          Rng(5).fork(static_cast<uint64_t>(number_)).below(text_.size(), 11)));
  }
  void show(Drafter& drafter) {
    const Ids computed(text_.begin(), text_.end() - 1);
    const Tensor hidden = ModelPass(model_, {}).hidden({.rows = Rows::of(IdRows{computed})}).value;
    drafter.see(number_, seen_, hidden.narrow(0, seen_, hidden.size(0) - seen_));
    seen_ = hidden.size(0);
  }
  void see_again() { seen_ = std::max<int64_t>(0, seen_ - 3); }
  Draft draft(int64_t most) const {
    return {.sequence = number_,
            .text = text_,
            .most = most,
            .chooser = TokenChooser(request_, chain_, 0)};
  }

 private:
  const Transformer& model_;
  int64_t number_, seen_;
  Ids text_;
  Request request_ = {.prompt = {}, .sampling = {.temperature = 0}};
  SamplerChain chain_{GenerationConfig{.temperature = 0}};
};

TEST(ExtraHeads, GuessWhatTheChainOfModulesSays) {
  const auto model = model_with_heads();
  ExtraHeads heads(*model, {.block_size = 4});
  Growing one(*model, 1, 0), two(*model, 2, 0);
  one.grow(2), two.grow(9);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    for (Growing* each : {&one, &two}) each->show(heads);
    std::vector<Draft> drafts = {one.draft(1 + round % 3), two.draft(3)};
    heads.guess(drafts);
    for (const Draft& draft : drafts) {
      Ids want = guesses_at_once(*model, draft.text, 3);
      want.resize(static_cast<size_t>(draft.most));
      EXPECT_EQ(draft.guesses, want);
    }
    one.grow(1 + round % 4), two.grow(1);
    if (round == 6) one.see_again();
  }
  heads.forget(1, {}), heads.forget(2, {});
}

TEST(ExtraHeads, AreSilentAboutTextsThatTheyHaveNotSeen) {
  const auto model = model_with_heads();
  ExtraHeads heads(*model, {.block_size = 4});
  Growing text(*model, 1, 4);  // the beginning was found in a cache
  text.grow(8);
  std::vector<Draft> drafts = {text.draft(2)};
  heads.guess(drafts);
  EXPECT_TRUE(drafts[0].guesses.empty());
  text.show(heads);
  heads.guess(drafts);
  EXPECT_EQ(drafts[0].guesses.size(), 2u);
}

TEST(ExtraHeads, ChangeNothing) {
  const auto model = model_with_heads();
  EngineStatistics plain, guessed;
  const auto want = texts_of(*model, nullptr, 1.0, &plain);
  EXPECT_EQ(texts_of(*model, std::make_unique<ExtraHeads>(*model, EngineOptions()), 1.0, &guessed),
            want);
  EXPECT_GT(guessed.guessed_tokens, 5);
}

TEST(ExtraHeads, AreRefusedWhereThereAreNone) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  EXPECT_THROW(ExtraHeads(*model, {}), Error);
}

TEST(NgramTable, RemembersEarlierTexts) {
  NgramTable table(2, 3, 1 << 10);
  table.forget(1, Ids{1, 2, 3, 4, 5});
  OneDraft draft;
  EXPECT_EQ(draft.of(table, {9, 2, 3}, 2), (Ids{4, 5}));
  EXPECT_TRUE(draft.of(table, {9, 3, 2}, 2).empty());
  // Newer ones replace older ones, and what the text itself says is newest.
  table.forget(2, Ids{2, 3, 7});
  EXPECT_EQ(draft.of(table, {9, 2, 3}, 1), (Ids{7}));
  EXPECT_EQ(draft.of(table, {2, 3, 8, 2, 3}, 1), (Ids{8}));
  EXPECT_THROW(NgramTable(3, 2), Error);
}

}  // namespace
}  // namespace lathe::testing
