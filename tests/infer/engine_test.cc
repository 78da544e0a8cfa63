// Random plans of requests through the engine, with caches so small that it evicts and preempts:
// every request gets what it gets alone (oracle.h), to the bit.
#include "lathe/infer/engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "infer/oracle.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/constraint/regex_grammar.h"
#include "lathe/model/load_model.h"
#include "paths.h"

namespace lathe::testing {
namespace {

// How long the texts of a plan are, and how much beside them the cache holds.
struct Sizes {
  int64_t prompt = 12, new_tokens = 7;
  std::optional<DType> cache_precision = {};
};

EngineOptions random_options(const Rng& draw, const Sizes& sizes) {
  const auto of = [&](const char* name, std::initializer_list<int64_t> values) {
    return values.begin()[draw.fork(name).below(0, values.size())];
  };
  EngineOptions o;
  o.block_size = of("block", {1, 3, 4, 16});
  o.max_sequences = of("sequences", {3, 4, 6});
  o.token_budget = of("budget", {6, 9, 33, 500});
  const int64_t longest = sizes.prompt + sizes.new_tokens + 2 * o.block_size;
  o.cache_tokens = longest + of("cache", {0, 5, 40, 400});
  o.text_tokens = sizes.prompt + 2 * o.block_size + of("text", {0, 30});
  o.cache_precision = sizes.cache_precision;
  return o;
}

struct Planned {
  Request request;
  int64_t arrival = 0, cancelled = -1;  // steps
  uint64_t id = 0;
  std::map<int64_t, Choice> choices = {};
  std::map<int64_t, Finished> ends = {};
};

// Grammars whose texts are in part forced, on a vocabulary of letters and pairs of them.
std::vector<std::shared_ptr<const Constraint>> constraints_on(int64_t vocabulary) {
  std::vector<std::string> tokens(static_cast<size_t>(vocabulary));
  for (size_t id = 0; id + 1 < tokens.size(); ++id) {
    tokens[id] += static_cast<char>('a' + id % 5);
    if (id >= 5) tokens[id] += static_cast<char>('a' + id / 5 % 5);
  }
  const auto encode = [](std::string_view text) {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(c - 'a');
    return ids;
  };
  const auto words = std::make_shared<TokenVocabulary>(
      std::move(tokens), std::vector<int32_t>{static_cast<int32_t>(vocabulary - 1)}, encode);
  std::vector<std::shared_ptr<const Constraint>> all;
  for (const char* text : {"abcabc[abc]+dede", "([ab]cccc|[de]aaaabc)*", "abcdeabcde"})
    all.push_back(std::make_shared<Constraint>(constraint::regex_grammar(text), words));
  return all;
}

// Prompts that share beginnings, and that follow one another as turns of a chat.
std::vector<Planned> random_requests(const Rng& draw, const Sizes& sizes, int64_t vocabulary) {
  const auto constraints = constraints_on(vocabulary);
  std::vector<Planned> all(9);
  std::vector<int32_t> before;
  for (size_t i = 0; i < all.size(); ++i) {
    const Rng own = draw.fork(i);
    const auto below = [&](const char* name, int64_t n) {
      return static_cast<int64_t>(own.fork(name).below(0, static_cast<uint64_t>(n)));
    };
    Request& r = all[i].request;
    const int64_t length = 1 + below("length", sizes.prompt);
    const auto shared = std::min<int64_t>(std::ssize(before), below("shared", 2 * length));
    r.prompt.assign(before.begin(), before.begin() + std::min(shared, length));
    while (std::ssize(r.prompt) < length)
      r.prompt.push_back(static_cast<int32_t>(
          own.fork("ids").below(r.prompt.size(), static_cast<uint64_t>(vocabulary))));
    if (length > std::ssize(before)) before = r.prompt;
    r.sampling.max_new_tokens = 1 + below("new", sizes.new_tokens);
    r.sampling.temperature = below("greedy", 3) == 0 ? 0.0 : 1.3;
    r.sampling.seed = below("seed", 1000);
    r.sampling.ignore_eos = true;
    r.choices = 1 + below("choices", 3);
    r.stream = static_cast<uint64_t>(below("stream", 3));
    if (below("probabilities", 3) > 0) r.logprobs = below("top", 4);
    r.priority = below("priority", 3);
    r.client = below("client", 2) == 0 ? "a" : "b";
    r.share_prefix = below("share", 5) > 0;
    r.speculate = below("speculate", 4) > 0;
    if (below("constraint", 3) == 0)
      r.constraint = constraints[static_cast<size_t>(below("which", std::ssize(constraints)))];
    if (below("thinking", 3) == 0) {
      r.thinking =
          Thinking{.open = 3, .close = 4, .ending = {6, 4, 5}, .opened = below("opened", 2) == 0};
      if (below("bounded", 4) > 0) r.thinking->budget = below("budget", 3);
    }
    all[i].arrival = below("arrival", 12);
    if (below("cancel", 4) == 0) all[i].cancelled = all[i].arrival + below("when", 9);
  }
  return all;
}

void listen(Planned& planned) {
  planned.request.on_token = [&planned](const NewToken& t) {
    Choice& choice = planned.choices[t.choice];
    EXPECT_EQ(t.index, std::ssize(choice.tokens));
    choice.tokens.push_back(t.token);
    choice.logprobs.push_back(t.logprob);
    EXPECT_EQ(std::ssize(t.top), planned.request.logprobs.value_or(0));
    return true;
  };
  planned.request.on_finish = [&planned](const Finished& end) {
    EXPECT_TRUE(planned.ends.emplace(end.choice, end).second) << "ended twice";
  };
}

void run_plan(Engine& engine, std::vector<Planned>& all) {
  for (Planned& planned : all) listen(planned);
  bool busy = true;
  for (int64_t now = 0; busy || now < 30; ++now) {
    for (Planned& planned : all) {
      if (planned.arrival == now) {
        const Submission taken = engine.submit(planned.request);
        ASSERT_FALSE(taken.refusal.has_value()) << taken.refusal->message;
        planned.id = taken.id;
      }
      if (planned.cancelled == now) engine.cancel(planned.id);
    }
    busy = engine.step();
  }
}

void expect_nothing_lost(Engine& engine) {
  const PagedCache& cache = engine.cache();
  EXPECT_EQ(cache.sequences(), 0);
  for (size_t g = 0; g < cache.groups(); ++g) {
    EXPECT_EQ(cache.pool(g).held(), 0);
    EXPECT_EQ(cache.pool(g).available(), cache.pool(g).size());
    for (int32_t block = 0; block < cache.pool(g).size(); ++block)
      EXPECT_EQ(cache.pool(g).holders(block), 0);
  }
  const EngineStatistics s = engine.statistics();
  EXPECT_EQ(s.waiting + s.running + s.blocks_held, 0);
}

struct Seen {
  int64_t cached = 0, preemptions = 0, accepted = 0, missed = 0, forced = 0;
};

// Knows how the texts go on, and is wrong now and then.
class KnowingDrafter : public Drafter {
 public:
  explicit KnowingDrafter(const Rng& draw) : draw_(draw) {}
  void knows(std::vector<int32_t> text) { texts_.push_back(std::move(text)); }
  void guess(std::span<Draft> drafts) override {
    for (Draft& draft : drafts) {
      const auto& from = draft.text;
      for (const auto& text : texts_) {
        if (text.size() <= from.size() || !std::equal(from.begin(), from.end(), text.begin()))
          continue;
        const auto end = std::min(text.size(), from.size() + static_cast<size_t>(draft.most));
        draft.guesses.assign(text.begin() + std::ssize(from),
                             text.begin() + static_cast<int64_t>(end));
        break;
      }
      while (std::ssize(draft.guesses) < draft.most) draft.guesses.push_back(1);
      for (int32_t& guess : draft.guesses)
        if (draw_.below(count_++, 6) == 0) guess = 2;
    }
  }

 private:
  Rng draw_;
  uint64_t count_ = 0;
  std::vector<std::vector<int32_t>> texts_;
};

using Choices = std::vector<std::vector<Choice>>;

Choices choices_alone(const Transformer& model, const std::vector<Planned>& all,
                      std::optional<DType> cache_precision) {
  Choices wanted;
  for (const Planned& planned : all) {
    wanted.emplace_back();
    for (int64_t c = 0; c < planned.request.choices; ++c)
      wanted.back().push_back(choice_alone(model, planned.request, c, cache_precision));
  }
  return wanted;
}

std::unique_ptr<Drafter> knowing_drafter(const Transformer& model, const Rng& draw,
                                         const std::vector<Planned>& all, const Choices& wanted) {
  if (tokens_compete(model.config()) || draw.fork("drafter").below(0, 4) == 0) return nullptr;
  auto drafter = std::make_unique<KnowingDrafter>(draw.fork("guesses"));
  for (size_t i = 0; i < all.size(); ++i)
    for (const Choice& choice : wanted[i]) {
      std::vector<int32_t> text = all[i].request.prompt;
      if (model.config().body_traits().encoder)
        text = {static_cast<int32_t>(*model.config().decoder_start())};
      text.insert(text.end(), choice.tokens.begin(), choice.tokens.end());
      drafter->knows(std::move(text));
    }
  return drafter;
}

void check_plan(const Transformer& model, const Rng& draw, const Sizes& sizes, Seen* seen) {
  set_thread_count(1 + static_cast<int>(draw.fork("threads").below(0, 3)));
  std::vector<Planned> all = random_requests(draw, sizes, model.config().vocab_size);
  const Choices wanted = choices_alone(model, all, sizes.cache_precision);
  Engine engine(model, random_options(draw, sizes), knowing_drafter(model, draw, all, wanted));
  run_plan(engine, all);
  expect_nothing_lost(engine);
  for (size_t i = 0; i < all.size(); ++i) {
    const Planned& planned = all[i];
    ASSERT_EQ(std::ssize(planned.ends), planned.request.choices) << "request " << i;
    for (int64_t c = 0; c < planned.request.choices; ++c) {
      SCOPED_TRACE(fmt::format("request {}, choice {}", i, c));
      const Finished& end = planned.ends.at(c);
      const Choice got = planned.choices.contains(c) ? planned.choices.at(c) : Choice();
      Choice want = wanted[i][static_cast<size_t>(c)];
      if (!planned.request.logprobs) want.logprobs.assign(want.tokens.size(), 0);
      if (end.reason == FinishReason::kCancelled) {
        ASSERT_LE(got.tokens.size(), want.tokens.size());
        want.tokens.resize(got.tokens.size());
        want.logprobs.resize(got.tokens.size());
      } else {
        const bool all_of_them = std::ssize(want.tokens) == planned.request.sampling.max_new_tokens;
        const bool at_its_end =
            planned.request.constraint && end.reason == FinishReason::kStopToken;
        EXPECT_TRUE(at_its_end || (all_of_them && end.reason == FinishReason::kLength));
      }
      EXPECT_EQ(got.tokens, want.tokens);
      EXPECT_EQ(got.logprobs, want.logprobs);
      EXPECT_EQ(end.new_tokens, std::ssize(got.tokens));
    }
  }
  seen->cached += engine.statistics().cached_tokens;
  seen->preemptions += engine.statistics().preemptions;
  seen->accepted += engine.statistics().accepted_tokens;
  seen->missed += engine.statistics().guessed_tokens - engine.statistics().accepted_tokens;
  seen->forced += engine.statistics().forced_tokens;
}

Seen check_plans(const Transformer& model, uint64_t plans, const Sizes& sizes = {}) {
  const int threads = thread_count();
  Seen seen;
  for (uint64_t plan = 0; plan < plans; ++plan) {
    SCOPED_TRACE(fmt::format("plan {}", plan));
    check_plan(model, Rng(77).fork(plan), sizes, &seen);
  }
  set_thread_count(threads);
  return seen;
}

struct Kind {
  const char* name;
  std::function<void(ModelConfig&)> apply;
  bool shares = true;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kAll = {
      {"plain", [](ModelConfig&) {}},
      {"grouped", [](ModelConfig& c) { c.num_key_value_heads = 2; }},
      {"latent",
       [](ModelConfig& c) {
         set_keys(c.attention, R"({"kind": "latent", "kv_lora_rank": 6, "qk_nope_head_dim": 3,
                                   "qk_rope_head_dim": 2, "v_head_dim": 5})");
       }},
      {"window",
       [](ModelConfig& c) {
         c.sliding_window = 4;
         c.layer_types = {"sliding_attention", "full_attention"};
       }},
      {"convolution", [](ModelConfig& c) { set_keys(c.ffn, R"({"kind": "mix"})"); }},
      {"experts",
       [](ModelConfig& c) {
         set_keys(c.moe, R"({"router": "softmax_topk", "num_experts": 4,
                             "num_experts_per_tok": 2})");
       }},
      {"capacity",
       [](ModelConfig& c) {
         set_keys(c.moe, R"({"router": "switch", "num_experts": 4, "expert_capacity": 2})");
       },
       false},
      {"alibi", [](ModelConfig& c) { c.position.kind = "alibi"; }},
      {"prefix", [](ModelConfig& c) { c.body = "prefix_decoder"; }, false},
      {"encoder",
       [](ModelConfig& c) {
         c.body = "encoder_decoder";
         c.position.kind = "t5";
         c.decoder_start_token_id = 2;
       },
       false},
      {"dynamic",
       [](ModelConfig& c) {
         c.position.get<RopeConfig>().scaling.kind = "dynamic";
         c.position.get<RopeConfig>().scaling.factor = 4.0;
         c.max_position_embeddings = 8;
       },
       false},
  };
  return kAll;
}

class EveryKind : public ::testing::TestWithParam<Kind> {
 protected:
  static std::unique_ptr<Transformer> model(DType dtype) {
    ModelConfig c = tiny_config();
    GetParam().apply(c);
    return make_model(c, dtype, Device::kCpu);
  }
};

TEST_P(EveryKind, IsWhatItIsAloneInRandomPlans) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const auto m = model(dtype);
    EXPECT_EQ(why_prefixes_are_not_shared(*m).empty(), GetParam().shares);
    const Seen seen = check_plans(*m, 12);
    EXPECT_EQ(seen.cached > 0, GetParam().shares);
    EXPECT_TRUE(seen.preemptions > 0 || !GetParam().shares);
    EXPECT_GT(seen.forced, 0);
    // Where each longer text is computed again, nothing can be guessed.
    const bool guesses = !tokens_compete(m->config()) && !moves_tokens(*m);
    EXPECT_TRUE(!guesses || (seen.accepted > 20 && seen.missed > 20));
  }
}

// The tokens of a pass are read back from the cache, rounded, like those of earlier passes.
TEST_P(EveryKind, IsWhatItIsAloneWithACacheInASmallerType) {
  for (const auto& [dtype, kept] : {std::pair{DType::kF32, DType::kI8},
                                    {DType::kBF16, DType::kI8},
                                    {DType::kF32, DType::kBF16}}) {
    const auto m = model(dtype);
    const Sizes sizes{.cache_precision = kept};
    const auto groups = cache_groups(*m);
    const bool any = std::ranges::any_of(groups, [](const CacheGroup& group) {
      return std::ranges::any_of(group.layers, &CachedRows::are_keys_and_values);
    });
    if (!any) {
      EXPECT_NE(error_text([&, kept = kept] {
                  Engine(*m, {.cache_precision = kept});
                }).find("no layer of this model keeps keys and values"),
                std::string::npos);
      continue;
    }
    const Seen seen = check_plans(*m, 8, sizes);
    EXPECT_EQ(seen.cached > 0, GetParam().shares);
    EXPECT_TRUE(seen.preemptions > 0 || !GetParam().shares);
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryKind, ::testing::ValuesIn(kinds()),
                         [](const auto& each) { return std::string(each.param.name); });

// Texts so long that windows leave blocks behind, in several tiles of keys.
TEST(Engine, WindowsThatLeaveBlocksBehindChangeNothing) {
  for (const bool all_layers : {false, true}) {
    ModelConfig c = tiny_config();
    c.sliding_window = 30;
    c.layer_types = {"sliding_attention", all_layers ? "sliding_attention" : "full_attention"};
    c.max_position_embeddings = 1000;
    const auto m = make_model(c, DType::kF32, Device::kCpu);
    for (const auto kept : {std::optional<DType>(), std::optional(DType::kI8)})
      EXPECT_GT(
          check_plans(*m, 4, {.prompt = 280, .new_tokens = 40, .cache_precision = kept}).cached, 0);
  }
}

class EveryGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryGolden, IsWhatItIsAloneInRandomPlans) {
  const auto folder = tests_folder() / "model" / "goldens" / GetParam() / "model";
  for (const DType dtype : {DType::kF32, DType::kBF16})
    check_plans(*load_model(folder, {.dtype = dtype}), 3, {.prompt = 9, .new_tokens = 5});
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryGolden,
                         ::testing::Values("llama", "qwen3", "gemma2", "gemma3_text", "mistral",
                                           "deepseek_v2", "deepseek_v3", "mixtral", "qwen2_moe",
                                           "switch_transformers", "t5", "ul2", "chatglm", "bloom",
                                           "gpt2", "falcon", "phi3", "olmo2"),
                         [](const auto& each) { return each.param; });

// --- what single requests are told ------------------------------------------------------------

std::unique_ptr<Transformer> plain_model() {
  return make_model(tiny_config(), DType::kF32, Device::kCpu);
}

Request asking(std::vector<int32_t> prompt, int64_t tokens) {
  Request r{.prompt = std::move(prompt)};
  r.sampling.max_new_tokens = tokens;
  r.sampling.temperature = 0;
  r.sampling.ignore_eos = true;
  return r;
}

Finished end_of(Engine& engine, Request request) {
  Finished end;
  request.on_finish = [&](const Finished& f) { end = f; };
  EXPECT_GT(engine.submit(std::move(request)).id, 0u);
  engine.run();
  return end;
}

TEST(Engine, ARequestSaysWhatItGotFromTheCacheOfPrefixes) {
  const auto model = plain_model();
  Engine engine(*model, {.block_size = 4, .cache_tokens = 64});
  const std::vector<int32_t> prompt = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(end_of(engine, asking(prompt, 3)).cached_tokens, 0);
  // The last token of a prompt is computed again: its logits are needed.
  EXPECT_EQ(end_of(engine, asking(prompt, 3)).cached_tokens, 7);
  Request longer = asking(prompt, 1);
  longer.prompt.push_back(9);
  EXPECT_EQ(end_of(engine, longer).cached_tokens, 8);
  longer.share_prefix = false;
  EXPECT_EQ(end_of(engine, longer).cached_tokens, 0);
  Request other = asking(prompt, 1);
  other.prompt[0] = 0;
  EXPECT_EQ(end_of(engine, other).cached_tokens, 0);
  const EngineStatistics s = engine.statistics();
  EXPECT_EQ(s.cached_tokens, 7 + 8);
  EXPECT_EQ(s.prompt_tokens, 8 + 8 + 9 + 9 + 8);
  EXPECT_EQ(s.finished, 5);
}

TEST(Engine, TellsHowAChoiceEnded) {
  const auto model = plain_model();
  Engine engine(*model, {});
  Request r = asking({1, 2, 3}, 6);
  std::vector<int32_t> tokens;
  r.on_token = [&](const NewToken& t) {
    tokens.push_back(t.token);
    return true;
  };
  Finished end = end_of(engine, r);
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.new_tokens, 6);
  EXPECT_EQ(end.prompt_tokens, 3);
  r.sampling.ignore_eos = false;
  r.sampling.eos_token_id = {tokens[2]};
  const auto first = std::find(tokens.begin(), tokens.end(), tokens[2]) - tokens.begin();
  end = end_of(engine, r);
  EXPECT_EQ(end.reason, FinishReason::kStopToken);
  EXPECT_EQ(end.new_tokens, first + 1);
  r.sampling.ignore_eos = true;
  r.on_token = [](const NewToken&) { return false; };
  end = end_of(engine, r);
  EXPECT_EQ(end.reason, FinishReason::kStopped);
  EXPECT_EQ(end.new_tokens, 1);
  r.on_token = [](const NewToken&) -> bool { throw std::runtime_error("receiver"); };
  end = end_of(engine, r);
  EXPECT_EQ(end.reason, FinishReason::kFailed);
  EXPECT_THROW(std::rethrow_exception(end.error), std::runtime_error);
  r.sampling.max_new_tokens = 0;
  EXPECT_EQ(end_of(engine, r).reason, FinishReason::kLength);
  expect_nothing_lost(engine);
}

TEST(Engine, LogprobsAreThoseOfTheModelWhateverTheSampler) {
  const auto model = plain_model();
  const Tensor logits =
      logits_of(*model, Tensor::of<int32_t>(std::vector<int32_t>{1, 2, 3}, {1, 3}));
  const auto all = logits.to_vector();
  const std::vector<double> last(all.end() - kVocabulary, all.end());
  double sum = 0;
  for (const double x : last) sum += std::exp(x);
  Engine engine(*model, {});
  Request r = asking({1, 2, 3}, 1);
  r.sampling.temperature = 0.5;
  r.sampling.top_k = 1;
  r.logprobs = 3;
  NewToken got;
  r.on_token = [&](const NewToken& t) {
    got = t;
    return true;
  };
  end_of(engine, r);
  EXPECT_NEAR(got.logprob, last[static_cast<size_t>(got.token)] - std::log(sum), 1e-5);
  ASSERT_EQ(got.top.size(), 3u);
  EXPECT_EQ(got.top[0].token, got.token);
  EXPECT_EQ(got.top[0].logprob, got.logprob);
  EXPECT_GE(got.top[0].logprob, got.top[1].logprob);
  EXPECT_GE(got.top[1].logprob, got.top[2].logprob);
}

TEST(Engine, RefusesWithAReasonInsteadOfDying) {
  using Reason = Refusal::Reason;
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  Engine engine(*model, {.block_size = 4, .cache_tokens = 16, .max_sequences = 2, .max_queue = 2});
  const auto expect = [&](Request r, Reason reason, const char* part) {
    const Submission got = engine.submit(std::move(r));
    ASSERT_TRUE(got.refusal.has_value()) << part;
    EXPECT_EQ(got.id, 0u);
    EXPECT_EQ(got.refusal->reason, reason) << got.refusal->message;
    EXPECT_NE(got.refusal->message.find(part), std::string::npos) << got.refusal->message;
  };
  expect(asking({}, 1), Reason::kInvalid, "no tokens");
  expect(asking({1, 13}, 1), Reason::kInvalid, "id 13 is outside the vocabulary of 13");
  expect(asking({-1}, 1), Reason::kInvalid, "id -1");
  expect(asking(std::vector<int32_t>(25, 1), 1), Reason::kPromptTooLong, "24 positions");
  expect(asking({1}, 25), Reason::kTooManyTokens, "ask for at most 24");
  expect(asking(std::vector<int32_t>(20, 1), 1), Reason::kPromptTooLong, "the cache of 16");
  expect(asking({1}, 20), Reason::kTooManyTokens, "the cache holds 16");
  Request r = asking({1}, 1);
  r.choices = 3;
  expect(r, Reason::kInvalid, "expected 1 to 2");
  r.choices = 0;
  expect(r, Reason::kInvalid, "expected 1 to 2");
  r = asking({1}, 1);
  r.sampling.top_p = 7;
  expect(r, Reason::kInvalid, "top_p");
  EXPECT_GT(engine.submit(asking({1}, 1)).id, 0u);
  EXPECT_GT(engine.submit(asking({1}, 1)).id, 0u);
  expect(asking({1}, 1), Reason::kQueueFull, "2 requests wait already");
  engine.run();
  EXPECT_EQ(end_of(engine, asking({1}, 1)).reason, FinishReason::kLength);
  engine.stop();
  expect(asking({1}, 1), Reason::kStopping, "stopping");
}

TEST(Engine, RefusesOptionsThatCannotWork) {
  const auto model = plain_model();
  EXPECT_EQ(error_text([&] { Engine(*model, {.block_size = 0}); }),
            "[block_size] 0, expected at least 1");
  EXPECT_EQ(error_text([&] { Engine(*model, {.max_sequences = 0}); }),
            "[max_sequences] 0, expected at least 1");
}

// Requests from several threads to one that serves them, with cancels from outside.
TEST(Engine, AnyThreadMaySubmitAndCancel) {
  const auto model = plain_model();
  Engine engine(*model, {.block_size = 4, .cache_tokens = 48, .max_sequences = 3});
  std::thread owner([&] { engine.serve(); });
  constexpr int kClients = 3, kEach = 12;
  std::vector<std::vector<Planned>> all(kClients);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    all[static_cast<size_t>(client)].resize(kEach);
    clients.emplace_back([&, client] {
      for (int i = 0; i < kEach; ++i) {
        Planned& planned = all[static_cast<size_t>(client)][static_cast<size_t>(i)];
        planned.request = asking({1 + client, 2 + i % 5, 3}, 12);
        planned.request.logprobs = 0;
        listen(planned);
        planned.id = engine.submit(planned.request).id;
        if (i % 4 == 3) engine.cancel(planned.id);
        engine.statistics();
      }
    });
  }
  for (std::thread& t : clients) t.join();
  engine.stop();
  owner.join();
  for (auto& of_client : all)
    for (Planned& planned : of_client) {
      ASSERT_EQ(planned.ends.size(), 1u);
      if (planned.ends[0].reason != FinishReason::kLength) continue;
      EXPECT_EQ(planned.choices[0], choice_alone(*model, planned.request, 0));
    }
  expect_nothing_lost(engine);
}

TEST(Engine, StoppingMayCancelWhatIsOpen) {
  const auto model = plain_model();
  Engine engine(*model, {});
  Planned planned;
  planned.request = asking({1, 2, 3}, 20);
  planned.request.logprobs = 0;
  listen(planned);
  engine.submit(planned.request);
  engine.step();
  engine.stop(true);
  engine.serve();
  EXPECT_EQ(planned.ends.at(0).reason, FinishReason::kCancelled);
  EXPECT_EQ(planned.ends.at(0).new_tokens, 1);
}

TEST(Engine, TheCacheIsPlannedBeforeItStarts) {
  const auto model = plain_model();
  const auto groups = cache_groups(*model);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].bytes_per_token(), 2 * 2 * 16 * 4);  // layers, k and v, width, f32
  Engine engine(*model, {.block_size = 8, .cache_tokens = 100});
  EXPECT_EQ(engine.cache().pool(0).size(), 13);
  EXPECT_EQ(static_cast<int64_t>(engine.cache().bytes()), 13 * 8 * 256);
  EXPECT_EQ(bytes_of(groups, plan_cache(groups, {.block_size = 8, .cache_tokens = 100})),
            13 * 8 * 256);
  EXPECT_EQ(describe(groups, plan_cache(groups, {.block_size = 8, .cache_tokens = 100})),
            "13 blocks of 8 tokens in 2 layers as fp32, 26.0 KiB");
  EXPECT_EQ(cache_tokens_in(13 * 8 * 256, *model, {.block_size = 8}), 104);
  EXPECT_EQ(cache_tokens_in(100, *model, {.block_size = 8}), 0);
}

// The rows take a quarter of f32's and half of bf16's bytes, and each head two scales of 4.
TEST(Engine, TheCacheMayBePlannedInASmallerType) {
  const auto model = plain_model();
  const EngineOptions options{.block_size = 8, .cache_tokens = 100, .cache_precision = DType::kI8};
  const int64_t heads = model->config().kv_heads();
  const int64_t token = 2 * (2 * 16 + 2 * heads * 4);
  Engine engine(*model, options);
  EXPECT_EQ(static_cast<int64_t>(engine.cache().bytes()), 13 * 8 * token);
  EXPECT_EQ(engine.description(),
            fmt::format("13 blocks of 8 tokens in 2 layers as int8, {:.1f} KiB",
                        static_cast<double>(13 * 8 * token) / 1024));
  EXPECT_EQ(cache_tokens_in(13 * 8 * token, *model, options), 104);
  EXPECT_EQ(cache_kept(*model, DType::kI8).bytes_per_token, token);
  EXPECT_EQ(cache_kept(*model, DType::kBF16).bytes_per_token, 128);
  EXPECT_EQ(cache_kept(*model, {}).types, "fp32");
  ModelConfig two = tiny_config();  // groups: the encoder's text, and the decoder's own
  two.body = "encoder_decoder";
  two.decoder_start_token_id = 2;
  const auto encoder = make_model(two, DType::kF32, Device::kCpu);
  ASSERT_EQ(cache_groups(*encoder).size(), 2u);
  EXPECT_EQ(cache_kept(*encoder, DType::kI8).types, "int8");
  const auto half = make_model(tiny_config(), DType::kBF16, Device::kCpu);
  EXPECT_EQ(error_text([&] { Engine(*half, {.cache_precision = DType::kF32}); }),
            "[cache_precision] fp32, but keys and values are computed in bf16 and have no more "
            "digits than that; take a smaller type, or the arithmetic with --precision fp32");
}

// What is no number fails the request that it came from, with either cache.
TEST(Engine, KeysThatAreNoNumbersFailWithEitherCache) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()})
    for (const auto kept : {std::optional<DType>(), std::optional(DType::kI8)}) {
      const auto model = plain_model();
      for (Parameter* p : model->parameters()) {
        if (p->name.find("qkv.weight") == std::string::npos) continue;
        const Tensor w = p->value.tensor();
        w.data<float>()[w.numel() - 1] = bad;  // of a value
      }
      Engine engine(*model, {.block_size = 4, .cache_precision = kept});
      Planned planned;
      planned.request = asking({1, 2, 3, 4}, 3);
      planned.request.logprobs = 0;
      listen(planned);
      engine.submit(planned.request);
      engine.run();
      const Finished& end = planned.ends.at(0);
      EXPECT_EQ(end.reason, FinishReason::kFailed);
      const std::string error = error_text([&] { std::rethrow_exception(end.error); });
      EXPECT_NE(error.find("[sampler] the logit of token 0 is"), std::string::npos) << error;
      expect_nothing_lost(engine);
    }
}

}  // namespace
}  // namespace lathe::testing
