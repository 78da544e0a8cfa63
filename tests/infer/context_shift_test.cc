// Texts longer than the model sees.
#include <gtest/gtest.h>

#include "infer/oracle.h"
#include "lathe/base/error.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/generate.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Transformer> short_model() {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";  // positions are a table
  c.max_position_embeddings = 16;
  return make_model(c, DType::kF32, Device::kCpu);
}

// Each token from the whole text that is seen, without a cache; the rule of ContextShift.
Ids answer_alone(const Transformer& model, Ids text, const ContextShift& window, int64_t tokens) {
  Ids answer;
  while (std::ssize(answer) < tokens) {
    ModelPass pass(model, {});
    const Tensor hidden = pass.hidden({.rows = Rows::of(IdRows{text})}).value;
    const Tensor last = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
    const Tensor logits = pass.logits(Var(last)).value.to(DType::kF32).clone();
    const auto row = logits.span<float>();
    answer.push_back(static_cast<int32_t>(std::ranges::max_element(row) - row.begin()));
    text.push_back(answer.back());
    if (std::ssize(text) > window.context)
      text.erase(text.begin() + window.keep,
                 text.begin() + window.keep + (std::ssize(text) - window.keep) / 2);
  }
  return answer;
}

GenerationConfig greedy(int64_t tokens) {
  return {.max_new_tokens = tokens, .temperature = 0, .ignore_eos = true};
}

TEST(ContextShift, IsReadAgainAsATextOfItsOwn) {
  const auto model = short_model();
  for (const ContextShift window : {ContextShift{16, 4}, ContextShift{9, 0}, ContextShift{6, 4}}) {
    GenerateRequest request;
    request.prompts = {{1, 2, 3}, {4, 5, 6, 7, 8, 9}};
    request.context_shift = window;
    const IdRows got = generate(*model, greedy(40), request);
    for (size_t row = 0; row < got.size(); ++row)
      EXPECT_EQ(got[row], answer_alone(*model, request.prompts[row], window, 40));
  }
}

TEST(ContextShift, KeepsCountingTokensInSmallCaches) {
  const auto model = short_model();
  Engine engine(*model, {.block_size = 2, .cache_tokens = 20, .token_budget = 3});
  std::vector<Ids> got(4);
  for (size_t i = 0; i < got.size(); ++i) {
    Request r{.prompt = {1, static_cast<int32_t>(i), 3}, .sampling = greedy(25)};
    r.context_shift = ContextShift{10, 2};
    r.on_token = [&got, i](const NewToken& t) {
      EXPECT_EQ(t.index, std::ssize(got[i]));
      got[i].push_back(t.token);
      return true;
    };
    r.on_finish = [](const Finished& end) {
      EXPECT_EQ(end.new_tokens, 25);
      EXPECT_EQ(end.reason, FinishReason::kLength);
    };
    ASSERT_FALSE(engine.submit(std::move(r)).refusal);
  }
  engine.run();
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(got[i], answer_alone(*model, {1, static_cast<int32_t>(i), 3}, {10, 2}, 25));
  EXPECT_EQ(engine.cache().sequences(), 0);
}

TEST(ContextShift, OnlyWhenAskedAndOnlyWhereItCanBe) {
  const auto model = short_model();
  Engine engine(*model, {.block_size = 2, .cache_tokens = 20});
  const auto refused = [&](std::optional<ContextShift> window, int64_t beams = 1) {
    Request r{.prompt = {1, 2, 3}, .sampling = greedy(25)};
    r.sampling.num_beams = beams;
    r.context_shift = window;
    const Submission taken = engine.submit(std::move(r));
    return taken.refusal ? taken.refusal->where : "taken";
  };
  EXPECT_EQ(refused(std::nullopt), "max_new_tokens");
  EXPECT_EQ(refused(ContextShift{10, 2}), "taken");
  EXPECT_EQ(refused(ContextShift{10, 9}), "context_shift");
  EXPECT_EQ(refused(ContextShift{10, 2}, 2), "context_shift");
  EXPECT_EQ(refused(ContextShift{2, 0}), "prompt");
  EXPECT_EQ(refused(ContextShift{40, 0}), "context_shift");  // beyond the positions
}

}  // namespace
}  // namespace lathe::testing
