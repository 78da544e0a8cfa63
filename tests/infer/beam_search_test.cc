#include "lathe/infer/beam_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "infer/oracle.h"
#include "lathe/base/error.h"
#include "lathe/base/rng.h"
#include "lathe/infer/engine.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// Log-probabilities that depend on the last two tokens.
std::vector<float> row_after(const Ids& text, uint64_t seed, int64_t vocabulary) {
  Rng draw = Rng(seed).fork(text.size());
  for (size_t i = text.size() - std::min<size_t>(2, text.size()); i < text.size(); ++i)
    draw = draw.fork(static_cast<uint64_t>(text[i]));
  std::vector<float> row;
  double sum = 0;
  for (int64_t id = 0; id < vocabulary; ++id)
    sum += row.emplace_back(
        static_cast<float>(std::exp(4 * draw.uniform64(static_cast<uint64_t>(id)))));
  for (float& p : row) p = static_cast<float>(std::log(p / sum));
  return row;
}

std::vector<BeamSearch::Hypothesis> search(const GenerationConfig& config, const Ids& ends,
                                           uint64_t seed, int64_t vocabulary, int64_t answers) {
  BeamSearch search(config, ends);
  std::vector<Ids> texts = {{}};
  for (;;) {
    std::vector<std::vector<float>> rows;
    for (const Ids& text : texts) rows.push_back(row_after(text, seed, vocabulary));
    const auto next = search.step({std::vector<std::span<const float>>(rows.begin(), rows.end())});
    if (next.empty()) return search.best(answers);
    std::vector<Ids> children;
    for (const auto& beam : next) {
      children.push_back(texts[static_cast<size_t>(beam.parent)]);
      children.back().push_back(beam.token);
    }
    texts = std::move(children);
    EXPECT_EQ(search.beams(), std::ssize(texts));
  }
}

// Every text that ends by itself or at the limit.
void all_answers(const Ids& text, double sum, const GenerationConfig& config, int32_t end,
                 uint64_t seed, int64_t vocabulary, std::vector<BeamSearch::Hypothesis>& out) {
  const auto row = row_after(text, seed, vocabulary);
  for (int32_t id = 0; id < vocabulary; ++id) {
    Ids longer = text;
    longer.push_back(id);
    const double total = sum + row[static_cast<size_t>(id)];
    if (id == end || std::ssize(longer) == config.max_new_tokens)
      out.push_back({longer, total / std::pow(longer.size(), config.length_penalty)});
    else
      all_answers(longer, total, config, end, seed, vocabulary, out);
  }
}

TEST(BeamSearch, WithRoomForAllTextsFindsTheBest) {
  for (uint64_t seed = 0; seed < 20; ++seed)
    for (const double penalty : {0.0, 1.0, 2.0}) {
      const GenerationConfig config{
          .max_new_tokens = 4, .num_beams = 200, .length_penalty = penalty};
      std::vector<BeamSearch::Hypothesis> all;
      all_answers({}, 0, config, 2, seed, 4, all);
      std::ranges::stable_sort(all, std::greater<>(), &BeamSearch::Hypothesis::score);
      const auto got = search(config, {2}, seed, 4, 5);
      ASSERT_EQ(got.size(), 5u);
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].tokens, all[i].tokens);
        EXPECT_NEAR(got[i].score, all[i].score, 1e-9);
      }
    }
}

TEST(BeamSearch, OfOneBeamIsGreedy) {
  const GenerationConfig config{.max_new_tokens = 6, .num_beams = 1};
  Ids text;
  while (text.size() < 6) {
    const auto row = row_after(text, 7, 9);
    text.push_back(static_cast<int32_t>(std::ranges::max_element(row) - row.begin()));
  }
  EXPECT_EQ(search(config, {}, 7, 9, 1)[0].tokens, text);
}

// By hand, two beams over {0, 1, end 2}: 0.6·0.5 and 0.3·0.9 are open after two steps, "end" at once
// has 0.1 and is not among the best two.
TEST(BeamSearch, KeepsAnEndOnlyAmongTheBest) {
  const auto log_of = [](std::vector<float> p) {
    for (float& x : p) x = x > 0 ? std::log(x) : kNever;
    return p;
  };
  BeamSearch search({.max_new_tokens = 9, .num_beams = 2, .length_penalty = 0}, {2});
  const auto first = log_of({0.6F, 0.3F, 0.1F});
  std::vector<std::span<const float>> rows = {first};
  auto next = search.step(rows);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0].token, 0);
  EXPECT_EQ(next[1].token, 1);
  EXPECT_TRUE(search.best(2).empty());
  // 0 → end 0.5, 0 → 0 0.5; 1 → end 0.9: the ends have 0.3 and 0.27, the open text has 0.3.
  const auto a = log_of({0.5F, 0, 0.5F}), b = log_of({0.1F, 0, 0.9F});
  rows = {a, b};
  next = search.step(rows);
  ASSERT_EQ(search.best(2).size(), 1u);
  EXPECT_EQ(search.best(2)[0].tokens, (Ids{0, 2}));
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[1].parent, 1);
  // A second end makes two; what is open, at 0.3·0.1, cannot do better.
  const auto c = log_of({0.1F, 0, 0.9F});
  rows = {c, c};
  EXPECT_TRUE(search.step(rows).empty());
  EXPECT_EQ(search.best(2)[1].tokens, (Ids{0, 0, 2}));
  EXPECT_NEAR(search.best(2)[1].score, std::log(0.27), 1e-6);
}

TEST(BeamSearch, GroupsAvoidEachOther) {
  const GenerationConfig same{.max_new_tokens = 3, .num_beams = 4, .num_beam_groups = 4};
  GenerationConfig apart = same;
  apart.diversity_penalty = 100;
  const auto alike = search(same, {}, 3, 6, 4), different = search(apart, {}, 3, 6, 4);
  std::set<int32_t> firsts;
  for (const auto& h : alike) EXPECT_EQ(h.tokens, alike[0].tokens);
  for (const auto& h : different) firsts.insert(h.tokens[0]);
  EXPECT_EQ(firsts.size(), 4u);
}

TEST(BeamSearch, RefusesGroupsThatCannotBe) {
  EXPECT_THROW(BeamSearch({.num_beams = 4, .num_beam_groups = 3}, {}), Error);
  EXPECT_THROW(BeamSearch({.num_beams = 4, .diversity_penalty = 1}, {}), Error);
}

// --- in the engine ----------------------------------------------------------------------------

// The search with every text computed from its beginning.
std::vector<BeamSearch::Hypothesis> beams_alone(const Transformer& model, const Request& request,
                                                std::optional<DType> cache_precision) {
  BeamSearch search(request.sampling, {5});
  const SamplerChain chain(request.sampling);
  std::vector<Ids> texts = {{}};
  for (;;) {
    std::vector<std::vector<float>> rows;
    for (const Ids& text : texts) {
      Ids all = request.prompt;
      all.insert(all.end(), text.begin(), text.end());
      ContiguousCache cache(1, std::ssize(all), cache_precision);
      ModelPass pass(model, {.cache = &cache});
      const Tensor hidden = pass.hidden({.rows = Rows::of(IdRows{all})}).value;
      const Tensor last = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
      const Tensor logits = pass.logits(Var(last)).value.to(DType::kF32).clone();
      TokenChooser(request, chain, 0).score(logits.span<float>(), text);
      rows.emplace_back(logits.span<float>().begin(), logits.span<float>().end());
    }
    const auto next = search.step({std::vector<std::span<const float>>(rows.begin(), rows.end())});
    if (next.empty()) return search.best(request.choices);
    std::vector<Ids> children;
    for (const auto& beam : next) {
      children.push_back(texts[static_cast<size_t>(beam.parent)]);
      children.back().push_back(beam.token);
    }
    texts = std::move(children);
  }
}

Request beam_request(uint64_t seed) {
  const Rng draw(seed);
  Request r = request_to_search(seed);
  r.sampling.num_beams = 2 + static_cast<int64_t>(draw.below(1, 3));
  r.sampling.length_penalty = static_cast<double>(draw.below(3, 3));
  r.sampling.early_stopping = draw.below(4, 2) == 0;
  r.choices = 1 + static_cast<int64_t>(draw.below(6, 2));
  return r;
}

// Several searches, and other requests, in caches in which they hardly fit.
TEST(BeamSearch, InTheEngineIsWhatItIsAlone) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  int64_t preemptions = 0;
  for (uint64_t plan = 0; plan < 12; ++plan) {
    SCOPED_TRACE(plan);
    EngineOptions options{.block_size = plan % 2 == 0 ? 4 : 3, .max_sequences = 6};
    options.token_budget = plan % 3 == 0 ? 5 : 100;
    options.cache_tokens = plan % 4 == 0 ? 100 : 1000;
    if (plan % 3 == 1) options.cache_precision = DType::kI8;
    Engine engine(*model, options);
    std::vector<Request> requests;
    std::vector<std::map<int64_t, Ids>> got(6);
    std::vector<std::map<int64_t, Finished>> ends(6);
    for (size_t i = 0; i < got.size(); ++i) {
      Request r = beam_request(10 * plan + i);
      if (i == 3) r.sampling.num_beams = r.choices = 1;
      r.priority = static_cast<int64_t>(i) % 3;
      requests.push_back(r);
      r.on_token = [&got, i](const NewToken& t) {
        got[i][t.choice].push_back(t.token);
        return true;
      };
      r.on_finish = [&ends, i](const Finished& f) { ends[i][f.choice] = f; };
      const Submission taken = engine.submit(std::move(r));
      ASSERT_FALSE(taken.refusal) << taken.refusal->message;
      engine.step();
    }
    engine.run();
    EXPECT_EQ(engine.cache().sequences(), 0);
    EXPECT_EQ(engine.statistics().running + engine.statistics().waiting, 0);
    preemptions += engine.statistics().preemptions;
    for (size_t i = 0; i < requests.size(); ++i) {
      if (i == 3) continue;
      const auto want = beams_alone(*model, requests[i], options.cache_precision);
      ASSERT_EQ(std::ssize(ends[i]), requests[i].choices);
      for (int64_t c = 0; c < requests[i].choices; ++c) {
        EXPECT_EQ(got[i][c], want[static_cast<size_t>(c)].tokens) << "request " << i;
        EXPECT_NEAR(ends[i][c].beam_score, want[static_cast<size_t>(c)].score, 1e-9);
        EXPECT_EQ(ends[i][c].reason,
                  got[i][c].back() == 5 ? FinishReason::kStopToken : FinishReason::kLength);
      }
    }
  }
  EXPECT_GT(preemptions, 0);
}

TEST(BeamSearch, IsRefusedWithAReason) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {.block_size = 4, .cache_tokens = 100, .max_sequences = 4});
  const auto refused = [&](auto&& change) {
    Request r = beam_request(1);
    r.choices = 1;
    change(r);
    const Submission taken = engine.submit(std::move(r));
    return taken.refusal ? taken.refusal->where : "taken";
  };
  EXPECT_EQ(refused([](Request& r) { r.sampling.num_beams = 5; }), "num_beams");
  EXPECT_EQ(refused([](Request& r) { r.choices = 4, r.sampling.num_beams = 3; }), "choices");
  EXPECT_EQ(refused([](Request& r) { r.logprobs = 1; }), "logprobs");
  EXPECT_EQ(refused([](Request& r) { r.sampling.num_beam_groups = 7; }), "num_beams");
  EXPECT_EQ(refused([](Request& r) {
              r.sampling.num_beams = 4;
              r.sampling.max_new_tokens = 40;
            }),
            "max_new_tokens");
}

TEST(BeamSearch, MayBeCancelled) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {.block_size = 4, .cache_tokens = 400});
  Request r = beam_request(3);
  r.sampling.max_new_tokens = 12;
  r.choices = 2;
  std::vector<Finished> ends;
  r.on_finish = [&](const Finished& f) { ends.push_back(f); };
  const Submission taken = engine.submit(std::move(r));
  engine.step();
  engine.step();
  engine.cancel(taken.id);
  engine.run();
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[1].reason, FinishReason::kCancelled);
  EXPECT_EQ(engine.cache().sequences(), 0);
}

}  // namespace
}  // namespace lathe::testing
