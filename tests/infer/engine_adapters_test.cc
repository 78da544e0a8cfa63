// Requests with adapters, with steering and with neither in one batch: each gets what it gets alone in
// an engine of its own, to the bit, and the tokens of the model with its adapters merged.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "infer/oracle.h"
#include "io/temp_folder.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/speculation/prompt_lookup.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"

namespace lathe::testing {
namespace {

using Lora = std::shared_ptr<const LoraAdapter>;
using Wholes = std::map<const LoraAdapter*, std::shared_ptr<const Adapter>>;
using MakeModel = std::function<std::unique_ptr<Transformer>()>;

struct Planned {
  Request request;
  std::vector<Lora> loras = {};
  int64_t arrival = 0;
  Choice got = {};
  Finished end = {};
};

void listen(Planned& planned) {
  planned.request.on_token = [&planned](const NewToken& t) {
    planned.got.tokens.push_back(t.token);
    planned.got.logprobs.push_back(t.logprob);
    return true;
  };
  planned.request.on_finish = [&planned](const Finished& end) { planned.end = end; };
}

// Few prompts, so that equal ones meet under different adapters.
std::vector<Planned> random_requests(const Rng& draw, const Transformer& model,
                                     const std::vector<Lora>& loras, const Steering& steering) {
  std::vector<Planned> all(14);
  for (size_t i = 0; i < all.size(); ++i) {
    const Rng own = draw.fork(i);
    const auto below = [&](const char* name, int64_t n) {
      return static_cast<int64_t>(own.fork(name).below(0, static_cast<uint64_t>(n)));
    };
    Request& r = all[i].request;
    const auto length = 4 + below("length", 8);
    const Rng text(static_cast<uint64_t>(below("text", 2)));
    while (std::ssize(r.prompt) < length)
      r.prompt.push_back(static_cast<int32_t>(
          text.below(r.prompt.size(), static_cast<uint64_t>(model.config().vocab_size))));
    r.sampling.max_new_tokens = 1 + below("new", 6);
    r.sampling.temperature = below("greedy", 2) == 0 ? 0.0 : 1.3;
    r.sampling.seed = below("seed", 1000);
    r.sampling.ignore_eos = true;
    r.logprobs = 0;
    r.priority = below("priority", 2);
    all[i].arrival = below("arrival", 10);
    for (size_t a = 0; a < loras.size(); ++a)
      if (below(a == 0 ? "first" : "second", 5) < 2) {
        r.adapters.push_back(fmt::format("adapter {}", a));
        all[i].loras.push_back(loras[a]);
      }
    if (below("steering", 4) == 0) r.steering = steering;
  }
  return all;
}

Choice alone(const Transformer& model, const Planned& planned) {
  Planned copy{.request = planned.request};
  listen(copy);
  Engine engine(model, {.block_size = 4, .cache_tokens = 200, .text_tokens = 100});
  copy.request.adapters = engine.load_adapters(planned.loras);
  EXPECT_FALSE(engine.submit(copy.request).refusal.has_value());
  engine.run();
  return copy.got;
}

void expect_merged(const MakeModel& make, const Planned& planned, const Wholes& wholes) {
  std::vector<std::shared_ptr<const Adapter>> all;
  for (const Lora& lora : planned.loras) all.push_back(wholes.at(lora.get()));
  const auto merged = merge_adapters(make(), all);
  const Choice want = choice_alone(*merged, planned.request, 0);
  EXPECT_EQ(planned.got.tokens, want.tokens);
  for (size_t i = 0; i < want.logprobs.size(); ++i)
    EXPECT_NEAR(planned.got.logprobs[i], want.logprobs[i], 2e-4);
}

void expect_nothing_lost(const Engine& engine) {
  EXPECT_EQ(engine.cache().sequences(), 0);
  for (size_t g = 0; g < engine.cache().groups(); ++g) EXPECT_EQ(engine.cache().pool(g).held(), 0);
}

struct Seen {
  int64_t cached = 0, preemptions = 0, accepted = 0;
};

void check_plan(const MakeModel& make, const Rng& draw, DType dtype, Seen* seen) {
  const auto model = make();
  std::vector<Lora> loras;
  Wholes wholes;
  for (const char* name : {"a", "b"}) {
    const auto whole = random_adapter(*model, draw.fork(name));
    loras.push_back(low_rank_updates(*whole, name));
    wholes[loras.back().get()] = whole;
  }
  const auto small = static_cast<int64_t>(draw.fork("cache").below(0, 3));
  const bool guesses = !tokens_compete(model->config()) && draw.fork("guesses").below(0, 2) == 0;
  Engine engine(*model,
                {.block_size = 2 + small,
                 .cache_tokens = 30 + 40 * small,
                 .text_tokens = 40,
                 .token_budget = 5 + 20 * small,
                 .max_sequences = 5},
                guesses ? std::make_unique<PromptLookup>() : nullptr);
  auto all = random_requests(draw, *model, loras, random_steering(*model, draw.fork("s")));
  for (Planned& planned : all) listen(planned);
  bool busy = true;
  for (int64_t now = 0; busy || now < 12; ++now) {
    // Unloaded and loaded again in between, one under the name of the other for a while.
    for (size_t a = 0; a < loras.size(); ++a) {
      const std::string name = fmt::format("adapter {}", a);
      engine.unload_adapter(name);
      engine.load_adapter(name, loras[1 - a]);
      engine.load_adapter(name, loras[a]);
    }
    for (Planned& planned : all)
      if (planned.arrival == now) {
        const Submission taken = engine.submit(planned.request);
        ASSERT_FALSE(taken.refusal.has_value()) << taken.refusal->message;
      }
    for (size_t a = 0; a < loras.size(); ++a) engine.unload_adapter(fmt::format("adapter {}", a));
    busy = engine.step();
  }
  expect_nothing_lost(engine);
  EXPECT_EQ(engine.statistics().adapters, 0);
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(fmt::format("request {}", i));
    EXPECT_EQ(all[i].end.reason, FinishReason::kLength);
    EXPECT_EQ(all[i].got, alone(*model, all[i]));
    if (dtype == DType::kF32 && !all[i].request.steering) expect_merged(make, all[i], wholes);
  }
  seen->cached += engine.statistics().cached_tokens;
  seen->preemptions += engine.statistics().preemptions;
  seen->accepted += engine.statistics().accepted_tokens;
}

struct Kind {
  const char* name;
  std::function<void(ModelConfig&)> apply;
  bool shares = true;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kAll = {
      {"tied", [](ModelConfig& c) { c.tie_word_embeddings = true; }},
      {"grouped", [](ModelConfig& c) { c.num_key_value_heads = 2; }},
      {"latent",
       [](ModelConfig& c) {
         set_keys(c.attention, R"({"kind": "latent", "kv_lora_rank": 6, "qk_nope_head_dim": 3,
                                   "qk_rope_head_dim": 2, "v_head_dim": 5})");
       }},
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
      {"encoder",
       [](ModelConfig& c) {
         c.body = "encoder_decoder";
         c.position.kind = "t5";
         c.decoder_start_token_id = 2;
       },
       false},
  };
  return kAll;
}

class AdaptersInTheEngine : public ::testing::TestWithParam<Kind> {};

TEST_P(AdaptersInTheEngine, EachRequestIsWhatItIsAloneAndMerged) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const auto make = [&] {
      ModelConfig c = tiny_config();
      GetParam().apply(c);
      return make_model(c, dtype, Device::kCpu);
    };
    Seen seen;
    for (uint64_t plan = 0; plan < 8; ++plan) {
      SCOPED_TRACE(fmt::format("plan {}", plan));
      check_plan(make, Rng(6).fork(plan), dtype, &seen);
    }
    EXPECT_EQ(seen.cached > 0, GetParam().shares);
    EXPECT_TRUE(seen.preemptions > 0 || !GetParam().shares);
    EXPECT_TRUE(seen.accepted > 0 || !GetParam().shares);
  }
}

INSTANTIATE_TEST_SUITE_P(, AdaptersInTheEngine, ::testing::ValuesIn(kinds()),
                         [](const auto& each) { return std::string(each.param.name); });

// --- single requests ---------------------------------------------------------------------------

Request asking(std::vector<int32_t> prompt, std::vector<std::string> adapters) {
  Request r{.prompt = std::move(prompt)};
  r.sampling.max_new_tokens = 3;
  r.sampling.temperature = 0;
  r.sampling.ignore_eos = true;
  r.adapters = std::move(adapters);
  return r;
}

int64_t cached(Engine& engine, Request request) {
  int64_t tokens = -1;
  request.on_finish = [&](const Finished& end) { tokens = end.cached_tokens; };
  EXPECT_FALSE(engine.submit(std::move(request)).refusal.has_value());
  engine.run();
  return tokens;
}

TEST(EngineAdapters, PrefixesAreSharedByEqualAdaptersOnly) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {.block_size = 2, .cache_tokens = 400});
  engine.load_adapter("a", random_lora(*model, Rng(1)));
  engine.load_adapter("b", random_lora(*model, Rng(2)));
  const std::vector<int32_t> prompt = {1, 2, 3, 4, 5, 6};
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{}, {"a"}, {"b"}, {"a", "b"}, {"b", "a"}}) {
    EXPECT_EQ(cached(engine, asking(prompt, names)), 0);
    EXPECT_EQ(cached(engine, asking(prompt, names)), 5);
  }
  // What counts is what an adapter holds, not its name.
  engine.unload_adapter("a");
  engine.load_adapter("a", random_lora(*model, Rng(3)));
  EXPECT_EQ(cached(engine, asking(prompt, {"a"})), 0);
  engine.load_adapter("again", random_lora(*model, Rng(1)));
  EXPECT_EQ(cached(engine, asking(prompt, {"again"})), 5);
  Request steered = asking(prompt, {"b"});
  steered.steering = random_steering(*model, Rng(4));
  EXPECT_EQ(cached(engine, steered), 0);
  EXPECT_EQ(cached(engine, steered), 5);
  steered.steering->scale *= 2;
  EXPECT_EQ(cached(engine, steered), 0);
  // A file has the base's prefixes alone.
  const TempFolder folder;
  EXPECT_EQ(engine.save_cache(folder / "prefixes"), 4);
  Engine second(*model, {.block_size = 2, .cache_tokens = 400});
  second.load_cache(folder / "prefixes");
  second.load_adapter("b", random_lora(*model, Rng(2)));
  EXPECT_EQ(cached(second, asking(prompt, {"b"})), 0);
  EXPECT_EQ(cached(second, asking(prompt, {})), 5);
}

TEST(EngineAdapters, AnAdapterLivesUntilItsLastRequestEnds) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {});
  auto lora = random_lora(*model, Rng(1));
  const auto bytes = static_cast<int64_t>(lora->bytes());
  const std::weak_ptr<const LoraAdapter> watched = lora;
  engine.load_adapter("a", std::move(lora));
  EXPECT_EQ(engine.adapters(), std::vector<std::string>{"a"});
  EXPECT_EQ(engine.statistics().adapters, 1);
  EXPECT_EQ(engine.statistics().adapter_bytes, bytes);
  engine.submit(asking({1, 2, 3}, {"a"}));
  engine.step();
  EXPECT_TRUE(engine.unload_adapter("a"));
  EXPECT_FALSE(engine.unload_adapter("a"));
  EXPECT_EQ(engine.statistics().adapters, 0);
  EXPECT_EQ(engine.statistics().adapter_bytes, bytes);
  engine.run();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(engine.statistics().adapter_bytes, 0);
}

TEST(EngineAdapters, WhatDoesNotFitIsRefusedInWords) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Engine engine(*model, {});
  const auto expect = [&](Request r, const char* part) {
    const Submission got = engine.submit(std::move(r));
    ASSERT_TRUE(got.refusal.has_value()) << part;
    EXPECT_EQ(got.refusal->reason, Refusal::Reason::kInvalid);
    EXPECT_NE(got.refusal->message.find(part), std::string::npos) << got.refusal->message;
  };
  expect(asking({1}, {"french"}), "'french' is not loaded; load it first");
  engine.load_adapter("german", random_lora(*model, Rng(1)));
  engine.load_adapter("italian", random_lora(*model, Rng(2)));
  expect(asking({1}, {"german", "french"}), "expected one of german, italian");
  const auto foreign = [&](const std::function<void(ModelConfig&)>& change, DType dtype) {
    ModelConfig c = tiny_config();
    change(c);
    const auto other = make_model(c, dtype, Device::kCpu);
    return error_text([&] { engine.load_adapter("x", random_lora(*other, Rng(1))); });
  };
  const auto same = [](ModelConfig&) {};
  EXPECT_EQ(foreign(same, DType::kF32), "no error");
  for (const std::string& error :
       {foreign(same, DType::kBF16),
        foreign([](ModelConfig& c) { c.hidden_size = 8; }, DType::kF32),
        foreign([](ModelConfig& c) { c.num_hidden_layers = 3; }, DType::kF32)})
    EXPECT_NE(error.find("was loaded for another model"), std::string::npos) << error;
  Request r = asking({1}, {});
  r.steering = random_steering(*model, Rng(3));
  r.steering->scale = std::nan("");
  expect(r, "not a number");
  std::map<int64_t, Tensor> wide = {{0, Tensor::zeros({5}, DType::kF32)}};
  r.steering = Steering{.vectors = std::make_shared<const SteeringVectors>(wide)};
  expect(r, "the vectors have 5 elements, but the layers of this model have 16");
}

// Adapters come and go from one thread while another serves.
TEST(EngineAdapters, AnyThreadMayLoadAndUnload) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const std::vector<Lora> loras = {random_lora(*model, Rng(1)), random_lora(*model, Rng(2))};
  Engine engine(*model, {.block_size = 4, .cache_tokens = 60, .max_sequences = 3});
  std::thread owner([&] { engine.serve(); });
  std::vector<Planned> all(30);
  for (size_t i = 0; i < all.size(); ++i) {
    Planned& planned = all[i];
    planned.loras = {loras[i % 2]};
    planned.request = asking({1, 2, 3, static_cast<int32_t>(i % 3)}, {"one"});
    planned.request.logprobs = 0;
    listen(planned);
    engine.load_adapter("one", loras[i % 2]);
    EXPECT_FALSE(engine.submit(planned.request).refusal.has_value());
    engine.unload_adapter("one");
    engine.statistics();
  }
  engine.stop();
  owner.join();
  for (const Planned& planned : all) EXPECT_EQ(planned.got, alone(*model, planned));
}

}  // namespace
}  // namespace lathe::testing
