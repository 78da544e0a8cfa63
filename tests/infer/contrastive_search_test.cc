#include "lathe/infer/contrastive_search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "infer/oracle.h"
#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/generate.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;

// What a whole forward pass over a text gives: the states of all tokens, and what follows the last.
struct Whole {
  std::vector<std::vector<double>> states;
  std::vector<float> logits;
};

Whole whole_pass(const Transformer& model, const Request& request, const Ids& text) {
  ModelPass pass(model, {});
  ModelInputs inputs{.rows = Rows::of(IdRows{text})};
  if (model.config().body_traits().encoder) inputs.text = Rows::of(IdRows{request.prompt});
  const Tensor hidden = pass.hidden(inputs).value;
  Whole out;
  const std::vector<double> all = hidden.to_vector();
  const auto width = hidden.size(1);
  for (int64_t n = 0; n < hidden.size(0); ++n)
    out.states.emplace_back(all.begin() + n * width, all.begin() + (n + 1) * width);
  const Tensor last = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
  const Tensor logits = pass.logits(Var(last)).value.to(DType::kF32).clone();
  out.logits.assign(logits.span<float>().begin(), logits.span<float>().end());
  return out;
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t c = 0; c < a.size(); ++c) ab += a[c] * b[c], aa += a[c] * a[c], bb += b[c] * b[c];
  return ab / std::sqrt(aa * bb);
}

// The definition, with every text computed from its beginning; end token 5.
Ids search_alone(const Transformer& model, const Request& request) {
  const GenerationConfig& g = request.sampling;
  const SamplerChain chain(g);
  Ids text = request.prompt, answer;
  if (model.config().body_traits().encoder)
    text = {static_cast<int32_t>(*model.config().decoder_start())};
  while (std::ssize(answer) < g.max_new_tokens && (answer.empty() || answer.back() != 5)) {
    std::vector<float> logits = whole_pass(model, request, text).logits;
    chain.process(logits, {request.prompt, answer});
    double sum = 0;
    for (const float l : logits) sum += std::exp(static_cast<double>(l));
    Ids ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::ranges::stable_sort(ids, std::greater<>(),
                             [&](int32_t id) { return logits[static_cast<size_t>(id)]; });
    ids.resize(std::min(ids.size(), static_cast<size_t>(g.top_k)));
    double best = -1e30;
    int32_t next = -1;
    for (const int32_t id : ids) {
      Ids longer = text;
      longer.push_back(id);
      const auto states = whole_pass(model, request, longer).states;
      double penalty = -2;
      for (size_t j = 0; j + 1 < states.size(); ++j)
        penalty = std::max(penalty, cosine(states.back(), states[j]));
      const double p = std::exp(static_cast<double>(logits[static_cast<size_t>(id)])) / sum;
      const double score = (1 - g.penalty_alpha) * p - g.penalty_alpha * penalty;
      if (score > best) best = score, next = id;
    }
    answer.push_back(next);
    text.push_back(next);
  }
  return answer;
}

Request contrastive_request(uint64_t seed) {
  const Rng draw(seed);
  Request r = request_to_search(seed);
  r.sampling.top_k = 2 + static_cast<int64_t>(draw.below(1, 3));
  r.sampling.penalty_alpha = 0.2 + 0.2 * static_cast<double>(draw.below(3, 4));
  return r;
}

struct Model {
  const char* name;
  std::function<void(ModelConfig&)> apply;
  bool preempts = true;
};

class ContrastiveSearchOf : public ::testing::TestWithParam<Model> {};

// Several searches, beams and other requests, in caches in which they hardly fit, with cancels.
TEST_P(ContrastiveSearchOf, IsTheDefinitionWhateverElseRuns) {
  ModelConfig config = tiny_config();
  GetParam().apply(config);
  const auto model = make_model(config, DType::kF32, Device::kCpu);
  int64_t preemptions = 0, cached = 0;
  for (uint64_t plan = 0; plan < 8; ++plan) {
    SCOPED_TRACE(plan);
    EngineOptions options{.block_size = plan % 2 == 0 ? 4 : 3, .max_sequences = 6};
    options.token_budget = plan % 3 == 0 ? 5 : 100;
    options.cache_tokens = options.state_tokens = plan % 4 == 0 ? 120 : 1000;
    Engine engine(*model, options);
    std::vector<Request> requests;
    std::vector<Ids> got(7);
    std::vector<Finished> ends(7);
    for (size_t i = 0; i < got.size(); ++i) {
      Request r = contrastive_request(10 * plan + i);
      if (i == 3) r.sampling.penalty_alpha = r.sampling.temperature = 0;
      if (i == 4) {
        r.sampling.penalty_alpha = r.sampling.top_k = 0;
        r.sampling.num_beams = 2;
      }
      if (i == 6) r.prompt = requests[0].prompt;  // found in the cache
      r.priority = static_cast<int64_t>(i) % 3;
      requests.push_back(r);
      r.on_token = [&got, i](const NewToken& t) {
        EXPECT_EQ(t.choice, 0);
        EXPECT_EQ(t.index, std::ssize(got[i]));
        got[i].push_back(t.token);
        return i != 5 || t.index < 2;  // which is ended by its receiver
      };
      r.on_finish = [&ends, i](const Finished& f) { ends[i] = f; };
      const Submission taken = engine.submit(std::move(r));
      ASSERT_FALSE(taken.refusal) << taken.refusal->message;
      if (i == 2) engine.cancel(taken.id);
      engine.step();
    }
    engine.run();
    EXPECT_EQ(engine.cache().sequences(), 0);
    EXPECT_EQ(engine.statistics().blocks_held, 0);
    EXPECT_EQ(engine.statistics().running + engine.statistics().waiting, 0);
    preemptions += engine.statistics().preemptions;
    cached += engine.statistics().cached_tokens;
    for (size_t i = 0; i < requests.size(); ++i) {
      if (!requests[i].sampling.contrastive()) continue;
      SCOPED_TRACE(i);
      EXPECT_EQ(ends[i].new_tokens, std::ssize(got[i]));
      Ids want = search_alone(*model, requests[i]);
      if (i == 2 || i == 5) {
        ASSERT_LE(got[i].size(), want.size());
        want.resize(got[i].size());
      }
      EXPECT_EQ(got[i], want);
      if (i == 2) {
        EXPECT_EQ(ends[i].reason, FinishReason::kCancelled);
      }
      if (i == 2 || i == 5) continue;
      EXPECT_EQ(ends[i].reason,
                got[i].back() == 5 ? FinishReason::kStopToken : FinishReason::kLength);
    }
  }
  EXPECT_EQ(preemptions > 0, GetParam().preempts);
  EXPECT_EQ(cached > 0, why_prefixes_are_not_shared(*model).empty());
}

INSTANTIATE_TEST_SUITE_P(Engine, ContrastiveSearchOf,
                         ::testing::ValuesIn(std::vector<Model>{
                             {"plain", [](ModelConfig&) {}},
                             {"latent",
                              [](ModelConfig& c) {
                                set_keys(
                                    c.attention,
                                    R"({"kind": "latent", "kv_lora_rank": 6, "qk_nope_head_dim": 3,
                                     "qk_rope_head_dim": 2, "v_head_dim": 5})");
                              }},
                             {"window",
                              [](ModelConfig& c) {
                                c.sliding_window = 4;
                                c.layer_types = {"sliding_attention", "full_attention"};
                              }},
                             {"encoder",
                              [](ModelConfig& c) {
                                c.body = "encoder_decoder";
                                c.position.kind = "t5";
                                c.decoder_start_token_id = 2;
                              }},
                             {"dynamic",
                              [](ModelConfig& c) {
                                c.position.get<RopeConfig>().scaling.kind = "dynamic";
                                c.position.get<RopeConfig>().scaling.factor = 4.0;
                                c.max_position_embeddings = 8;
                              }}}),
                         [](const auto& each) { return std::string(each.param.name); });

// Without a penalty worth the name it is greedy; with nothing else it is the least like the text.
TEST(ContrastiveSearch, ChoosesByProbabilityAndCosine) {
  const auto of = [](double alpha) {
    ContrastiveSearch search({.top_k = 3, .penalty_alpha = alpha});
    search.expand(std::vector<float>{std::log(0.1F), std::log(0.5F), std::log(0.3F), std::log(0.1F),
                                     -INFINITY});
    return search;
  };
  const ContrastiveSearch search = of(0.5);
  ASSERT_EQ(search.candidates().size(), 3u);
  EXPECT_EQ(search.candidates()[0].token, 1);
  EXPECT_EQ(search.candidates()[1].token, 2);
  EXPECT_EQ(search.candidates()[2].token, 0);  // the lower id of equal ones
  EXPECT_NEAR(search.candidates()[1].probability, 0.3, 1e-6);
  EXPECT_EQ(of(1e-9).choose(std::vector<double>{0.9, 0.1, -1}), 0u);
  EXPECT_EQ(of(1).choose(std::vector<double>{0.9, 0.1, -1}), 2u);
  EXPECT_EQ(of(0.5).choose(std::vector<double>{0.9, 0.8, 0.8}), 0u);  // 0.5 - 0.9 > 0.3 - 0.8
  EXPECT_EQ(of(0.5).choose(std::vector<double>{0.9, 0.6, 0.5}), 1u);
  EXPECT_EQ(of(0.5).choose(std::vector<double>{0.9, 0.7, 0.5}), 0u);  // equal: the more likely
}

// Tokens that a constraint or a bias leaves out are no candidates.
TEST(ContrastiveSearch, HasNoCandidateThatMayNotFollow) {
  ContrastiveSearch search({.top_k = 4, .penalty_alpha = 0.5});
  search.expand(std::vector<float>{-INFINITY, 1, -INFINITY, 2});
  EXPECT_EQ(search.candidates().size(), 2u);
  EXPECT_THROW(search.choose(std::vector<double>{0.1, NAN}), Error);
  EXPECT_THROW(search.expand(std::vector<float>{-INFINITY, -INFINITY}), Error);
  EXPECT_THROW(search.expand(std::vector<float>{1, NAN}), Error);
}

TEST(ContrastiveSearch, KeepsItsStatesInPlannedMemory) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const EngineOptions without{.block_size = 4, .cache_tokens = 100};
  EngineOptions with = without;
  with.state_tokens = 60;
  const Engine plain(*model, without), keeping(*model, with);
  EXPECT_EQ(keeping.cache().bytes() - plain.cache().bytes(),
            static_cast<size_t>(60 * 4 * model->config().hidden_size));
  EXPECT_NE(keeping.description().find("15 blocks of 4 tokens of hidden states"), std::string::npos)
      << keeping.description();
}

TEST(ContrastiveSearch, IsRefusedWithAReason) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  EngineOptions options{.block_size = 4, .cache_tokens = 200, .max_sequences = 4};
  options.state_tokens = 100;
  Engine engine(*model, options);
  const auto refused = [&](auto&& change) {
    Request r = contrastive_request(1);
    r.sampling.top_k = 3;
    change(r);
    const Submission taken = engine.submit(std::move(r));
    return taken.refusal ? taken.refusal->where + ": " + taken.refusal->message : "taken";
  };
  const auto begins = [](const std::string& text, const std::string& with) {
    EXPECT_TRUE(text.starts_with(with)) << text;
  };
  begins(refused([](Request&) {}), "taken");
  begins(refused([](Request& r) { r.sampling.temperature = 0; }), "taken");
  begins(refused([](Request& r) { r.sampling.num_beams = 2; }),
         "penalty_alpha: cannot be combined with beams (num_beams)");
  begins(refused([](Request& r) { r.sampling.top_k = 0; }), "top_k: 0, but contrastive search");
  begins(refused([](Request& r) { r.sampling.top_k = 1; }), "top_k: 1, but contrastive search");
  begins(refused([](Request& r) { r.sampling.top_k = 5; }),
         "top_k: 5 candidates, but at most 4 sequences run at once");
  begins(refused([](Request& r) { r.sampling.temperature = 0.7; }),
         "temperature: contrastive search draws nothing, so temperature would have no effect");
  begins(refused([](Request& r) { r.sampling.top_p = 0.7; }), "top_p: contrastive search draws");
  begins(refused([](Request& r) { r.choices = 2; }),
         "choices: contrastive search draws nothing, so 2 answers would be the same");
  begins(refused([](Request& r) { r.logprobs = 1; }), "logprobs: are not reported by contrastive");
  begins(refused([](Request& r) {
           r.context_shift = ContextShift{20, 2};
         }),
         "context_shift: cannot be combined with penalty_alpha");
  begins(refused([](Request& r) { r.thinking = Thinking{.open = 3, .close = 4, .ending = {4}}; }),
         "thinking: cannot be bounded in contrastive search");
  // The states of one text must fit, for each of its candidates.
  begins(refused([](Request& r) { r.sampling.max_new_tokens = 40; }), "max_new_tokens: ");
  Engine small(*model, {.block_size = 4, .cache_tokens = 200});
  const Submission taken = small.submit(contrastive_request(1));
  ASSERT_TRUE(taken.refusal);
  EXPECT_EQ(taken.refusal->where, "penalty_alpha");
  EXPECT_NE(taken.refusal->message.find("state_tokens"), std::string::npos);
}

// Beams draw nothing either.
TEST(ContrastiveSearch, AndBeamsRefuseWhatOnlyActsOnDraws) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {.block_size = 4, .cache_tokens = 400});
  Request r{.prompt = {1, 2}};
  r.sampling.num_beams = 2;
  r.sampling.min_p = 0.1;
  const Submission taken = engine.submit(std::move(r));
  ASSERT_TRUE(taken.refusal);
  EXPECT_EQ(taken.refusal->where, "min_p");
  EXPECT_NE(taken.refusal->message.find("beam search draws nothing"), std::string::npos);
}

TEST(ContrastiveSearch, OfGeneratePlansForItsStates) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  GenerateRequest request;
  std::vector<Request> alone;
  GenerationConfig config{.max_new_tokens = 12, .top_k = 4, .penalty_alpha = 0.6};
  config.eos_token_id = {5};
  for (uint64_t i = 0; i < 3; ++i) {
    alone.push_back(contrastive_request(i));
    alone.back().sampling = config;
    request.prompts.push_back(alone.back().prompt);
  }
  const IdRows got = generate(*model, config, request);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], search_alone(*model, alone[i]));
}

// Its candidates are read, so that the last one needs a position as well.
TEST(ContrastiveSearch, HasAPositionForItsLastToken) {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  c.max_position_embeddings = 16;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  GenerateRequest request;
  request.prompts = {IdRows::value_type(14, 3)};
  GenerationConfig config{.max_new_tokens = 3, .top_k = 2, .ignore_eos = true};
  EXPECT_EQ(room_after(*model, 14), 3);
  EXPECT_EQ(room_after(*model, 14, 1, {.states = true}), 2);
  config.penalty_alpha = 0.6;
  EXPECT_EQ(error_text([&] { generate(*model, config, request); }),
            "[max_new_tokens] 3 new tokens do not fit after a prompt of 14: 16 positions were "
            "trained; ask for at most 2");
  config.max_new_tokens = 2;
  EXPECT_EQ(generate(*model, config, request)[0].size(), 2u);
}

}  // namespace
}  // namespace lathe::testing
