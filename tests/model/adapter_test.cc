// LoRA adapters: the logits that PEFT computes (tools/make_adapter_goldens.py), updates by hand, and
// models of every combination. adapter_refusal_test.cc has what is refused.
#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

Tensor logits_under(const Transformer& model, const ModelInputs& inputs,
                    const std::shared_ptr<const Adapter>& adapter) {
  const AppliedAdapters acting({adapter});
  ModelPass pass(model, {.adapters = &acting});
  return pass.logits(pass.hidden(inputs)).value;
}

class AdapterGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(AdapterGolden, LogitsAreThoseOfPeft) {
  const SafetensorsReader want(goldens() / "adapters" / GetParam() / "forward.safetensors");
  for (const auto& [dtype, device] :
       {std::pair{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}}) {
    const auto model = load_model(base_of(GetParam()), {.dtype = dtype, .device = device});
    const std::shared_ptr<const Adapter> adapter =
        load_adapter(goldens() / "adapters" / GetParam(), *model);
    const ModelInputs inputs = inputs_of(want);
    const Tensor got = logits_under(*model, inputs, adapter);
    EXPECT_LE(largest_difference(got, array_of(want, "logits")), 2e-5);
    EXPECT_GT(largest_difference(logits_of(*model, inputs), got), 0.02);
  }
}

// Merged, saved and loaded again it has the same logits; a tied head that the adapter parts from the
// table is a head of its own.
TEST_P(AdapterGolden, MergedItIsTheSameModel) {
  const SafetensorsReader want(goldens() / "adapters" / GetParam() / "forward.safetensors");
  auto model = load_model(base_of(GetParam()), {});
  const bool tied = model->config().tie_word_embeddings;
  const std::vector<std::shared_ptr<const Adapter>> all = {
      load_adapter(goldens() / "adapters" / GetParam(), *model)};
  if (all[0]->prompt() != nullptr) return;  // in no weight; adapter_kinds_test.cc
  const bool parted = parts_tied_head(*model, *all[0]);
  EXPECT_EQ(parted, GetParam() == "gemma2");
  model = merge_adapters(std::move(model), all);
  EXPECT_EQ(model->config().tie_word_embeddings, tied && !parted);
  EXPECT_LE(largest_difference(logits_of(*model, inputs_of(want)), array_of(want, "logits")), 2e-5);
  const TempFolder folder;
  save_model(*model, folder.path(), {.like = base_of(GetParam())});
  const auto again = load_model(folder.path(), {});
  EXPECT_EQ(again->config().model_type, read_model_config(base_of(GetParam())).model_type);
  EXPECT_EQ(logits_of(*again, inputs_of(want)).to_vector(),
            logits_of(*model, inputs_of(want)).to_vector());
}

std::vector<std::string> every_adapter() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(goldens() / "adapters"))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, AdapterGolden, ::testing::ValuesIn(every_adapter()),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

Tensor f64(std::initializer_list<double> values, const Shape& shape) {
  return Tensor::of<double>(std::vector<double>(values), shape, Device::kRef);
}

TEST(Adapter, AnUpdateIsScaleTimesBTimesA) {
  const LowRankUpdate update{1, f64({1, 2}, {1, 2}), f64({3, 4}, {2, 1}), 0.5};
  EXPECT_EQ(update.delta().to_vector(), (std::vector<double>{1.5, 3, 2, 4}));
  const Tensor y = f64({10, 20, 30, 40, 50, 60}, {2, 3});
  update.add_product(f64({5, 6, 1, 0}, {2, 2}), y);
  EXPECT_EQ(y.to_vector(), (std::vector<double>{10, 45.5, 64, 40, 51.5, 62}));
  const LookupUpdate lookup{f64({1, 2, 3}, {3, 1}), f64({10, 20}, {2, 1}), 0.1};
  const Tensor rows = f64({0, 0, 1, 1}, {2, 2});
  lookup.add_lookup(Tensor::of<int32_t>(std::vector<int32_t>{2, 0}, {2}, Device::kRef), rows);
  EXPECT_LE(largest_difference(rows, f64({3, 6, 2, 3}, {2, 2})), 1e-12);
  EXPECT_LE(largest_difference(lookup.delta(), f64({1, 2, 2, 4, 3, 6}, {3, 2})), 1e-12);
}

TEST(Adapter, PatternsMatchAModuleAsAWholeOrBehindADot) {
  const TempFolder folder;
  folder.write("c.json", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
    "rank_pattern": {"q_proj": 2, "layers\\.[12]\\.mlp": 16, "mlp": 1},
    "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 3}, "lora_dropout": 0.5})");
  const AdapterConfig c = read_adapter_config(folder / "c.json");
  const auto rank = [&](const char* module) { return c.rank_of(module, *c.r); };
  EXPECT_EQ(rank("model.layers.0.self_attn.q_proj"), 2);
  EXPECT_EQ(rank("q_proj"), 2);
  EXPECT_EQ(rank("model.layers.0.self_attn.aq_proj"), 4);
  EXPECT_EQ(rank("model.layers.2.mlp"), 16);
  EXPECT_EQ(rank("model.layers.3.mlp"), 1);
  EXPECT_EQ(rank("model.layers.2.mlp.gate"), 4);
  EXPECT_DOUBLE_EQ(c.alpha_of("model.layers.0.self_attn.k_proj", 8), 3);
  EXPECT_DOUBLE_EQ(c.alpha_of("model.layers.1.self_attn.k_proj", 8), 8);
}

TEST(Adapter, EqualContentIsOneIdentity) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const auto a = random_lora(*model, Rng(1)), b = random_lora(*model, Rng(2));
  EXPECT_EQ(a->identity(), random_lora(*model, Rng(1))->identity());
  EXPECT_NE(a->identity(), b->identity());
  const auto of = [](std::vector<std::shared_ptr<const LoraAdapter>> loras) {
    return Adaptation{.loras = std::move(loras)}.identity();
  };
  EXPECT_EQ(of({}), "");
  EXPECT_NE(of({a}), of({a, a}));
  EXPECT_NE(of({a, b}), of({b, a}));
  auto changed = a->products();
  changed.begin()->second[0].scale *= 2;
  EXPECT_NE(LoraAdapter(changed, a->lookups()).identity(), a->identity());
  EXPECT_EQ(LoraAdapter(a->products(), a->lookups()).bytes(), a->bytes());
}

TEST(Adapter, RowsThatAreNotThoseOfThePassAreRefused) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const Adaptation what{.loras = {random_lora(*model, Rng(1))}};
  const RowAdapters adapters({what, {}}, Sequences::equal(2, 3));
  const ModelInputs inputs = inputs_for(*model, some_ids(1, 5));
  ModelPass pass(*model, {.adapters = &adapters});
  EXPECT_THROW(pass.hidden(inputs), Error);
  EXPECT_THROW(RowAdapters({what}, Sequences::equal(2, 3)), Error);
  // One matrix for all rows, where they differ.
  EXPECT_NE(error_text([&] { model->head({.adapters = &adapters}); }).find("different adapters"),
            std::string::npos);
  Tape tape;
  ModelPass taped(*model, {.tape = &tape, .adapters = &adapters});
  EXPECT_NE(error_text([&] { taped.hidden(inputs_for(*model, some_ids(2, 3))); }).find("gradients"),
            std::string::npos);
}

class AdaptedCombination : public ::testing::TestWithParam<Variant> {};

// Each sequence of a pass has its own. (tests/infer/engine_adapters_test.cc does so with a cache.)
TEST_P(AdaptedCombination, SequencesOfOnePassAreEachTheirMergedModel) {
  const auto make = [] { return make_model(GetParam().config, DType::kF64, Device::kRef); };
  const auto model = make();
  const std::vector<std::shared_ptr<const Adapter>> all = {random_adapter(*model, Rng(1)),
                                                           random_adapter(*model, Rng(2))};
  const std::vector<std::vector<std::shared_ptr<const Adapter>>> wholes = {
      {all[0]}, {}, {all[1]}, all};
  std::vector<Adaptation> each(4);
  for (size_t b = 0; b < 4; ++b)
    for (const auto& whole : wholes[b]) each[b].loras.push_back(low_rank_updates(*whole, "random"));
  const Tensor ids = some_ids(4, 5);
  const ModelInputs inputs = inputs_for(*model, ids);
  const RowAdapters adapters(each, inputs.rows.sequences,
                             inputs.text ? &inputs.text->sequences : nullptr);
  ModelPass pass(*model, {.adapters = &adapters});
  const Tensor got = pass.logits(pass.hidden(inputs)).value;
  const int64_t rows = got.numel() / got.size(-1) / 4;
  for (int64_t b = 0; b < 4; ++b) {
    const auto merged = merge_adapters(make(), wholes[static_cast<size_t>(b)]);
    const Tensor want = logits_of(*merged, inputs);
    const AppliedAdapters everywhere(wholes[static_cast<size_t>(b)]);
    ModelPass same(*model, {.adapters = &everywhere});
    EXPECT_LE(largest_difference(same.logits(same.hidden(inputs)).value, want),
              1e-9 * std::max(1.0, largest_magnitude(want)))
        << "all rows as sequence " << b;
    const auto part = [&](const Tensor& logits) {
      return logits.reshape({4 * rows, got.size(-1)}).narrow(0, b * rows, rows).clone();
    };
    EXPECT_LE(largest_difference(part(got), part(want)),
              1e-9 * std::max(1.0, largest_magnitude(want)))
        << "sequence " << b;
  }
}

INSTANTIATE_TEST_SUITE_P(, AdaptedCombination, ::testing::ValuesIn(covering_variants(2)),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return std::to_string(each.index) + "_" + name.substr(0, 80);
                         });

}  // namespace
}  // namespace lathe::testing
