// Every kind of adapter on dense models, experts and an encoder-decoder: gradients against finite
// differences, what is saved and loaded again, what is merged, and where each begins.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/adapter/combine.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/load_model.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/elementwise.h"
#include "model/adapter_testing.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

struct KindCase {
  std::string name, base, keys;
  bool merges = true, begins_as_identity = true;
  // The lengths of DoRA's rows count as constants, which finite differences do not know.
  std::string not_differenced = "";
};
std::ostream& operator<<(std::ostream& out, const KindCase& c) { return out << c.name; }

std::vector<KindCase> kind_cases() {
  const std::string linear = R"("target_modules": ["q_proj", "o_proj", "up_proj"])";
  std::vector<KindCase> all = {
      {"lora", "llama", R"({"r": 3, "lora_alpha": 5, "target_modules": "all-linear"})"},
      {"lora_patterns", "llama",
       R"({"r": 2, "use_rslora": true, "rank_pattern": ["up_proj=1", "layers.1.*q_proj=4"],
           "alpha_pattern": ["q_proj=3"], )" +
           linear + "}"},
      {"lora_some_layers", "llama", R"({"r": 2, "layers_to_transform": [1], )" + linear + "}"},
      {"lora_table_and_head", "llama",
       R"({"r": 2, "target_modules": ["embed_tokens", "lm_head"], "init_lora_weights": "gaussian"})"},
      {"lora_tied", "gemma2", R"({"r": 2, "target_modules": ["embed_tokens", "down_proj"]})"},
      {"lora_tied_head", "gemma2", R"({"r": 2, "target_modules": ["lm_head", "q_proj"]})"},
      {"lora_bias", "gpt2",
       R"({"r": 2, "lora_bias": true, "bias": "all", "target_modules": ["c_attn", "c_proj"]})"},
      {"dora", "llama", R"({"r": 2, "use_dora": true, )" + linear + "}", true, true, "lora_"},
      {"dora_magnitude", "gpt2", R"({"r": 2, "use_dora": true, "target_modules": ["c_attn"]})",
       true, true, "lora_A lora_B"},
      {"pissa", "llama", R"({"r": 2, "init_lora_weights": "pissa", )" + linear + "}"},
      {"lora_experts", "qwen3_moe",
       R"({"r": 2, "target_modules": ["q_proj"],
           "target_parameters": ["experts.gate_up_proj", "experts.down_proj", "gate.weight"]})"},
      {"lora_grouped_heads", "bloom",
       R"({"r": 2, "target_modules": ["query_key_value", "dense_h_to_4h"]})"},
      {"lora_t5", "t5", R"({"r": 2, "target_modules": ["q", "v", "wo"]})"},
      {"modules_to_save", "llama",
       R"({"r": 2, "modules_to_save": ["lm_head", "input_layernorm"], )" + linear + "}"},
      {"modules_to_save_plus_one", "gemma2",
       R"({"r": 2, "modules_to_save": ["input_layernorm", "embed_tokens"],
           "target_modules": ["q_proj"]})"},
      {"tokens", "llama", R"({"r": 2, "trainable_token_indices": [3, 7, 11], )" + linear + "}"},
      {"tokens_tied", "gemma2",
       R"({"r": 2, "trainable_token_indices": [0, 9], "target_modules": ["q_proj"]})"},
      {"adalora", "llama",
       R"({"peft_type": "ADALORA", "init_r": 4, "lora_alpha": 7, )" + linear + "}"},
      {"ia3", "llama",
       R"({"peft_type": "IA3", "target_modules": ["k_proj", "v_proj", "down_proj"],
           "feedforward_modules": ["down_proj"]})"},
      {"ia3_with_biases", "gpt2",
       R"({"peft_type": "IA3", "target_modules": ["c_attn", "mlp.c_proj"],
           "feedforward_modules": [".*mlp.*"]})"},
      {"ia3_grouped_heads", "bloom",
       R"({"peft_type": "IA3", "target_modules": ["query_key_value"]})"},
      {"ia3_t5", "t5", R"({"peft_type": "IA3", "target_modules": ["k", "v", "wo"],
                           "feedforward_modules": ["wo"]})"},
      {"vera", "llama", R"({"peft_type": "VERA", "r": 3, )" + linear + "}"},
      {"loha", "llama", R"({"peft_type": "LOHA", "r": 2, "alpha": 3, )" + linear + "}"},
      {"lokr", "llama", R"({"peft_type": "LOKR", "r": 1, "alpha": 3, )" + linear + "}"},
      {"lokr_both", "llama",
       R"({"peft_type": "LOKR", "r": 1, "decompose_both": true, "decompose_factor": 4, )" + linear +
           "}"},
      {"oft", "llama", R"({"peft_type": "OFT", "oft_block_size": 4, )" + linear + "}"},
      {"oft_shared", "llama",
       R"({"peft_type": "OFT", "oft_block_size": 0, "r": 4, "block_share": true,
           "num_cayley_neumann_terms": 3, "target_modules": ["q_proj"]})"},
      {"miss", "llama", R"({"peft_type": "MISS", "r": 3, )" + linear + "}"},
      {"miss_mini", "llama",
       R"({"peft_type": "MISS", "r": 2, "init_weights": "mini", "mini_r": 4,
           "target_modules": ["q_proj", "o_proj"]})"},
      {"bottleneck", "llama",
       R"({"peft_type": "BOTTLENECK", "r": 3, "target_modules": ["o_proj", "down_proj"]})", false},
      {"bottleneck_tanh", "gpt2",
       R"({"peft_type": "BOTTLENECK", "r": 2, "non_linearity": "tanh", "rank_pattern": ["mlp.c_proj=4"],
           "target_modules": ["c_proj"]})",
       false},
      {"bottleneck_grouped_heads", "bloom",
       R"({"peft_type": "BOTTLENECK", "r": 2, "target_modules": ["query_key_value"]})", false},
      {"bottleneck_t5", "t5",
       R"({"peft_type": "BOTTLENECK", "r": 2, "target_modules": ["o", "wo"]})", false},
      {"norms", "llama",
       R"({"peft_type": "LN_TUNING", "target_modules": ["input_layernorm", "norm"]})"},
      {"norms_plus_one", "gemma2",
       R"({"peft_type": "LN_TUNING", "target_modules": ["input_layernorm"]})"},
  };
  const auto prompt = [&](const char* name, const std::string& keys) {
    all.push_back({name, "llama", keys, false, false});
  };
  prompt("prompt", R"({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3})");
  prompt("prompt_of_tokens", R"({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2,
                                 "prompt_tuning_init": "SAMPLE_VOCAB"})");
  prompt("p_tuning", R"({"peft_type": "P_TUNING", "num_virtual_tokens": 3,
                         "encoder_hidden_size": 5})");
  prompt("p_tuning_lstm", R"({"peft_type": "P_TUNING", "num_virtual_tokens": 3,
      "encoder_hidden_size": 4, "encoder_reparameterization_type": "LSTM"})");
  prompt("prefix", R"({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3})");
  prompt("prefix_projected", R"({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 2,
      "prefix_projection": true, "encoder_hidden_size": 5})");
  return all;
}

AdapterConfig config_of(const std::string& keys) {
  AdapterConfig config;
  set_keys(config, keys);
  return config;
}

std::unique_ptr<Transformer> base_model(const std::string& name, DType dtype, Device device) {
  return load_model(goldens() / name / "model", {.dtype = dtype, .device = device});
}

// Nothing in it is at its beginning, or zero.
void disturb(Adapter& adapter, const Rng& rng) {
  for (Parameter* p : adapter.parameters()) {
    const Tensor& value = p->value.tensor();
    std::vector<double> values = value.to_vector();
    const Rng own = rng.fork(p->name);
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.2 * own.normal(i);
    value.copy_from(Tensor::of<double>(values, p->shape, value.device()));
  }
}

ModelInputs inputs_of_model(const Transformer& model) {
  return inputs_for(model, some_ids(2, 6, std::min<int64_t>(model.config().vocab_size, 20)));
}

Tensor logits_under(const Transformer& model, const std::shared_ptr<const Adapter>& adapter) {
  const AppliedAdapters acting({adapter});
  ModelPass pass(model, {.adapters = &acting});
  return pass.logits(pass.hidden(inputs_of_model(model))).value;
}

struct Loss {
  double value = 0;
  GradientsByName gradients;
};

Loss loss_under(const Transformer& model, const std::shared_ptr<const Adapter>& adapter,
                bool differentiate) {
  const AppliedAdapters acting({adapter});
  Tape tape;
  ParameterGradients gradients;
  Loss loss;
  Pass settings{.adapters = &acting};
  if (differentiate) {
    settings.tape = &tape;
    settings.gradients = &gradients;
    for (const Parameter* p : adapter->parameters())
      if (p->trainable) {
        gradients.add(*p).tensor.fill_zero();
        gradients.find(*p)->written = true;
        loss.gradients[p->name] = gradients.find(*p)->tensor;
      }
  }
  ModelPass pass(model, settings);
  const ModelInputs inputs = inputs_of_model(model);
  const Var hidden = pass.hidden(inputs);
  Var sum =
      ops::linear_cross_entropy(hidden, pass.head(), shifted(inputs.rows.ids.reshape({2, 6})));
  if (const Var more = acting.regularization(settings); more.defined()) sum = ops::add(sum, more);
  if (differentiate) tape.backward(sum);
  loss.value = sum.value.item();
  return loss;
}

class AdapterKinds : public ::testing::TestWithParam<KindCase> {
 protected:
  std::unique_ptr<Adapter> fresh(Transformer& model) const {
    return make_adapter(config_of(GetParam().keys), model, Rng(3));
  }
  std::shared_ptr<Adapter> disturbed(Transformer& model) const {
    std::shared_ptr<Adapter> adapter = fresh(model);
    disturb(*adapter, Rng(4));
    return adapter;
  }
};

// dL/dθ of some elements of each tensor against (L(θ+h) − L(θ−h)) / 2h.
TEST_P(AdapterKinds, GradientsAreCentralDifferences) {
  const auto model = base_model(GetParam().base, DType::kF64, Device::kRef);
  const auto adapter = disturbed(*model);
  const Loss loss = loss_under(*model, adapter, true);
  ASSERT_FALSE(loss.gradients.empty());
  double largest = 0;
  for (Parameter* p : adapter->parameters()) {
    if (!p->trainable) continue;
    const bool skip =
        !GetParam().not_differenced.empty() && (p->name.find("lora_A") != std::string::npos ||
                                                p->name.find("lora_B") != std::string::npos);
    const std::vector<double> gradient = loss.gradients.at(p->name).to_vector();
    double* values = p->value.tensor().data<double>();
    for (const size_t i : {size_t{0}, gradient.size() / 2, gradient.size() - 1}) {
      largest = std::max(largest, std::abs(gradient[i]));
      if (skip) continue;
      constexpr double kStep = 1e-5;
      const double before = values[i];
      values[i] = before + kStep;
      const double up = loss_under(*model, adapter, false).value;
      values[i] = before - kStep;
      const double down = loss_under(*model, adapter, false).value;
      values[i] = before;
      EXPECT_NEAR(gradient[i], (up - down) / (2 * kStep), 1e-7 + 1e-5 * std::abs(gradient[i]))
          << p->name << " " << i;
    }
  }
  EXPECT_GT(largest, 1e-5);
}

TEST_P(AdapterKinds, WhatIsSavedIsLoadedToTheBit) {
  const auto model = base_model(GetParam().base, DType::kF32, Device::kCpu);
  const auto adapter = disturbed(*model);
  const TempFolder folder;
  save_adapter(*adapter, *model, folder.path());
  const std::shared_ptr<const Adapter> again = load_adapter(folder.path(), *model);
  const Tensor want = logits_under(*model, adapter), got = logits_under(*model, again);
  if (GetParam().name == "pissa")  // another form of the same update
    EXPECT_LE(largest_difference(got, want), 1e-4);
  else
    EXPECT_EQ(got.to_vector(), want.to_vector());
  EXPECT_GT(largest_difference(logits_of(*model, inputs_of_model(*model)), got), 1e-3);
  EXPECT_EQ(again->config().peft_type, adapter->config().peft_type);
}

TEST_P(AdapterKinds, MergedItIsTheSameModel) {
  auto model = base_model(GetParam().base, DType::kF64, Device::kRef);
  const std::shared_ptr<const Adapter> adapter = disturbed(*model);
  const std::vector all = {adapter};
  if (!GetParam().merges) {
    const std::string error = error_text([&] { merge_adapters(std::move(model), all); });
    const bool prompt = adapter->prompt() != nullptr;
    EXPECT_NE(error.find(prompt ? "virtual tokens" : "in no weight: it cannot be merged"),
              std::string::npos)
        << error;
    EXPECT_NE(error.find("use it as an adapter"), std::string::npos) << error;
    return;
  }
  const Tensor want = logits_under(*model, adapter);
  const auto merged = merge_adapters(std::move(model), all);
  EXPECT_LE(largest_difference(logits_of(*merged, inputs_of_model(*merged)), want),
            1e-9 * std::max(1.0, largest_magnitude(want)));
}

TEST_P(AdapterKinds, AFreshOneChangesNothingYet) {
  const auto model = base_model(GetParam().base, DType::kF64, Device::kRef);
  const std::shared_ptr<const Adapter> adapter = fresh(*model);
  const double change =
      largest_difference(logits_under(*model, adapter), logits_of(*model, inputs_of_model(*model)));
  if (GetParam().begins_as_identity)
    EXPECT_LE(change, 1e-9);
  else
    EXPECT_GT(change, 1e-3);
}

// The engine has what can be chosen for each request; the rest is refused by its name.
TEST_P(AdapterKinds, LowRankUpdatesAreThoseOfTheAdapter) {
  const auto model = base_model(GetParam().base, DType::kF64, Device::kRef);
  const std::shared_ptr<const Adapter> adapter = disturbed(*model);
  std::shared_ptr<const LoraAdapter> lora;
  const std::string error = error_text([&] { lora = low_rank_updates(*adapter, "here"); });
  if (lora == nullptr) {
    EXPECT_NE(error.find("[here] " + adapter->config().peft_type), std::string::npos) << error;
    EXPECT_NE(error.find("cannot be chosen for each request"), std::string::npos) << error;
    return;
  }
  const Tensor want = logits_under(*model, adapter);
  EXPECT_LE(
      largest_difference(logits_with(*model, inputs_of_model(*model), {.loras = {lora}}), want),
      1e-9 * std::max(1.0, largest_magnitude(want)));
}

// Training in 16 bits keeps gains, biases and magnitudes in f32 beside matrices of bf16.
TEST_P(AdapterKinds, ComputesInSixteenBits) {
  const auto exact = base_model(GetParam().base, DType::kF32, Device::kCpu),
             narrow = base_model(GetParam().base, DType::kBF16, Device::kCpu);
  const Loss want = loss_under(*exact, disturbed(*exact), true),
             got = loss_under(*narrow, disturbed(*narrow), true);
  EXPECT_NEAR(got.value, want.value, 0.05 * std::abs(want.value));
  for (const auto& [name, gradient] : got.gradients) {
    double error = 0, size = 0;
    const auto x = gradient.to_vector(), y = want.gradients.at(name).to_vector();
    for (size_t i = 0; i < x.size(); ++i) {
      error += (x[i] - y[i]) * (x[i] - y[i]);
      size += y[i] * y[i];
    }
    EXPECT_LE(std::sqrt(error), 0.3 * std::sqrt(size) + 1e-2) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(, AdapterKinds, ::testing::ValuesIn(kind_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace lathe::testing
