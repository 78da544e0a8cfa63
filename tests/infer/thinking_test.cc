// Thoughts end when their budget is used up or when they are told to, and the constraint holds behind them.
#include "lathe/infer/thinking.h"

#include <gtest/gtest.h>

#include "lathe/constraint/choice_grammar.h"
#include "lathe/infer/engine.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t kOpen = 3, kClose = 4, kEnd = 9;

Thinking thinking(std::optional<int64_t> budget, bool opened = true) {
  return {
      .open = kOpen, .close = kClose, .ending = {6, kClose, 7}, .budget = budget, .opened = opened};
}

TEST(ThinkingState, EndsWithItsBudget) {
  const Thinking t = thinking(2);
  ThinkingState state(&t, false);
  for (const int32_t token : {11, 12}) {
    EXPECT_TRUE(state.inside());
    EXPECT_TRUE(state.forced().empty());
    EXPECT_TRUE(state.take(token));
  }
  EXPECT_EQ(state.forced(), (Ids{6, kClose, 7}));
  EXPECT_TRUE(state.take(6));
  EXPECT_EQ(state.forced(), (Ids{kClose, 7}));
  EXPECT_TRUE(state.take(kClose));
  EXPECT_TRUE(state.take(7));
  EXPECT_TRUE(state.over());
  EXPECT_TRUE(state.forced().empty());
  EXPECT_FALSE(state.take(11));
  EXPECT_EQ(state.tokens(), 2);
}

TEST(ThinkingState, IsOptionalUnlessThePromptOpensIt) {
  const Thinking t = thinking(0, false);
  ThinkingState no(&t, false), yes(&t, false), none(nullptr, true);
  EXPECT_TRUE(none.over());
  EXPECT_TRUE(no.may_open() && no.forced().empty());
  EXPECT_FALSE(no.take(11));
  EXPECT_TRUE(no.over());
  EXPECT_TRUE(yes.take(kOpen));
  EXPECT_EQ(yes.forced(), t.ending) << "a budget of none ends it at once";
}

TEST(ThinkingState, IsFollowedByWhatTheTemplateWritesIfTheAnswerIsHeldToSomething) {
  const Thinking t = thinking(std::nullopt);
  ThinkingState free(&t, false), held(&t, true);
  EXPECT_TRUE(free.take(kClose));
  EXPECT_TRUE(free.over());
  EXPECT_TRUE(held.take(kClose));
  EXPECT_EQ(held.forced(), (Ids{7}));
  ThinkingState told(&t, false);
  told.take(11);
  told.end();
  EXPECT_EQ(told.forced(), t.ending);
}

struct Answer {
  Ids tokens;
  Finished end;
};

Answer answer(Engine& engine, Request request, int64_t end_after = -1) {
  Answer out;
  uint64_t id = 0;
  request.on_token = [&](const NewToken& token) {
    out.tokens.push_back(token.token);
    if (token.index + 1 == end_after) engine.end_thinking(id);
    return true;
  };
  request.on_finish = [&](const Finished& end) { out.end = end; };
  const Submission taken = engine.submit(std::move(request));
  EXPECT_GT(taken.id, 0u) << taken.refusal->message;
  id = taken.id;
  engine.run();
  return out;
}

// "xyz" on a vocabulary where 10 is "x", 11 is "y", 12 is "z".
std::shared_ptr<const Constraint> only_xyz() {
  std::vector<std::string> tokens(static_cast<size_t>(kVocabulary));
  tokens[10] = "x", tokens[11] = "y", tokens[12] = "z";
  const auto v = std::make_shared<TokenVocabulary>(tokens, Ids{kEnd}, [](std::string_view text) {
    Ids ids;
    for (const char c : text) ids.push_back(10 + c - 'x');
    return ids;
  });
  return std::make_shared<Constraint>(constraint::choice_grammar(std::vector<std::string>{"xyz"}),
                                      v);
}

class EngineThinks : public ::testing::Test {
 protected:
  std::unique_ptr<Transformer> model_ = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine_{*model_, {}};
  Request asking(std::optional<Thinking> t, std::shared_ptr<const Constraint> held = {}) {
    Request r{.prompt = {1, 2, 3}, .constraint = std::move(held), .thinking = std::move(t)};
    r.sampling.max_new_tokens = 12;
    r.sampling.temperature = 0;
    r.sampling.ignore_eos = true;
    r.sampling.logit_bias = {{kClose, -100.0}};  // this model would think for ever
    return r;
  }
};

TEST_F(EngineThinks, UpToTheBudgetAndThenAnswers) {
  const Ids free = answer(engine_, asking({})).tokens;
  for (const int64_t budget : {0, 1, 4}) {
    const Answer a = answer(engine_, asking(thinking(budget), only_xyz()));
    Ids wanted(free.begin(), free.begin() + budget);
    for (const int32_t id : {6, kClose, 7, 10, 11, 12, kEnd}) wanted.push_back(id);
    EXPECT_EQ(a.tokens, wanted);
    EXPECT_EQ(a.end.reason, FinishReason::kStopToken);
    EXPECT_EQ(a.end.thinking_tokens, budget);
    EXPECT_EQ(a.end.forced_tokens, 7) << "none of these needs a choice";
  }
}

TEST_F(EngineThinks, UntilItIsToldToAnswer) {
  const Ids free = answer(engine_, asking({})).tokens;
  const Answer a = answer(engine_, asking(thinking(std::nullopt), only_xyz()), 3);
  Ids wanted(free.begin(), free.begin() + 3);
  for (const int32_t id : {6, kClose, 7, 10, 11, 12, kEnd}) wanted.push_back(id);
  EXPECT_EQ(a.tokens, wanted);
  // Without thoughts there is nothing to end.
  EXPECT_EQ(answer(engine_, asking({}), 3).tokens, free);
}

TEST_F(EngineThinks, RefusesTagsThatItDoesNotHave) {
  const auto says = [&](const Thinking& t, std::string_view part) {
    const Submission taken = engine_.submit(asking(t));
    ASSERT_TRUE(taken.refusal);
    EXPECT_EQ(taken.refusal->where, "thinking");
    EXPECT_NE(taken.refusal->message.find(part), std::string::npos) << taken.refusal->message;
  };
  Thinking t = thinking(3);
  t.open = static_cast<int32_t>(kVocabulary);
  says(t, "outside the vocabulary");
  t = thinking(3);
  t.ending = {6, 7};
  says(t, "must hold the closing tag");
  says(thinking(-1), "the budget is -1");
  Request beams = asking(thinking(3));
  beams.sampling.num_beams = 2;
  EXPECT_NE(engine_.submit(beams).refusal->message.find("use one beam"), std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
