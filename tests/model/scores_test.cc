// Models that give scores instead of predicting tokens: the sequence classifiers of transformers, read, computed,
// written; and what such a model is not asked for. tools/make_score_goldens.py wrote the goldens.

#include <gtest/gtest.h>

#include <set>

#include "lathe/io/json_file.h"
#include "lathe/model/weight_map.h"
#include "lathe/ops/dot.h"
#include "model/checks.h"
#include "model/folder_testing.h"
#include "paths.h"

namespace lathe::testing {
namespace {

fs::path golden(const std::string& name) {
  return tests_folder() / "model" / "goldens" / "scores" / name;
}

Tensor read_array(const SafetensorsReader& reader, const std::string& name) {
  const ArraySpan* array = reader.find(name);
  require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
  Tensor t(Shape(std::span<const int64_t>(array->shape)),
           array->dtype == "I32" ? DType::kI32 : DType::kF32);
  std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
  return t;
}

std::vector<double> scores_of(const Transformer& model, const Tensor& ids) {
  ModelPass pass(model, {});
  return model.scores({}, pass.hidden({.rows = Rows::of(ids)})).value.to_vector();
}

class ScoresOf : public ::testing::TestWithParam<const char*> {};

TEST_P(ScoresOf, AndTheirGradientsAreThoseOfTransformers) {
  const SafetensorsReader want(golden(GetParam()) / "forward.safetensors");
  const auto [dtype, device] = std::pair(DType::kF64, Device::kRef);
  const auto model = load_model(golden(GetParam()) / "model", {.dtype = dtype, .device = device});
  ParameterGradients gradients;
  for (const Parameter* p : model->parameters())
    gradients.add(*p) = {Tensor::zeros(p->shape, dtype, device), true};
  Tape tape;
  const Pass pass{.tape = &tape, .gradients = &gradients};
  ModelPass model_pass(*model, pass);
  const Var hidden = model_pass.hidden({.rows = Rows::of(read_array(want, "input_ids"))});
  const Var scores = model->scores(pass, hidden);
  const std::vector<double> theirs = read_array(want, "scores").to_vector();
  std::vector<double> twice = scores.value.to_vector();
  ASSERT_EQ(twice.size(), theirs.size());
  for (size_t i = 0; i < theirs.size(); ++i) EXPECT_NEAR(twice[i], theirs[i], 2e-5) << i;
  for (double& x : twice) x *= 2;
  tape.backward(ops::dot(scores, twice));
  std::set<std::string> compared;
  for (const DiskTensor& t : map_weights(*model)) {
    if (!t.pieces[0].parameter->trainable) continue;
    const Tensor got =
        t.gather([&](Parameter& p) -> const Tensor& { return gradients.find(p)->tensor; });
    EXPECT_LE(largest_difference(got, read_array(want, "grad." + t.name)), 1e-3) << t.name;
    compared.insert("grad." + t.name);
  }
  EXPECT_TRUE(compared.contains("grad.score.weight"));
  EXPECT_EQ(compared.size() + 2, want.arrays().size());
}

// What is written is what transformers wrote: it opens this, and so it opens ours.
TEST_P(ScoresOf, AFolderComesBackAsItWas) {
  const fs::path from = golden(GetParam()) / "model";
  const TempFolder folder;
  const auto model = load_model(from, {});
  save_model(*model, folder.path(), {});
  const Json theirs = read_json_file(from / "config.json"),
             ours = read_json_file(folder / "config.json");
  EXPECT_EQ(ours["architectures"], theirs["architectures"]);
  EXPECT_EQ(ours["model_type"], theirs["model_type"]);
  EXPECT_EQ(static_cast<int64_t>(ours["id2label"].size()), model->config().num_labels);
  EXPECT_FALSE(ours.contains("num_labels"));
  const SafetensorsReader a(from), b(folder.path());
  ASSERT_EQ(a.arrays().size(), b.arrays().size());
  for (const ArraySpan& each : a.arrays()) {
    const ArraySpan* other = b.find(each.name);
    ASSERT_NE(other, nullptr) << each.name;
    EXPECT_EQ(each.shape, other->shape) << each.name;
    EXPECT_TRUE(std::ranges::equal(each.bytes, other->bytes)) << each.name;
  }
  const Tensor ids = some_ids(2, 5);
  EXPECT_EQ(scores_of(*load_model(folder.path(), {}), ids), scores_of(*model, ids));
}

INSTANTIATE_TEST_SUITE_P(, ScoresOf, ::testing::Values("llama", "qwen3", "gpt2"),
                         [](const auto& each) { return std::string(each.param); });

using Scores = Folder;

// Every family of decoders of transformers, with one label and with three of texts, and two of tokens, which
// have a bias.
TEST_F(Scores, EachFamilyReadsWhatItWrites) {
  int families_with = 0;
  for (const Family* family : families())
    for (const int64_t labels : {1, 3, 2}) {
      SCOPED_TRACE(fmt::format("{} {}", family->name, labels));
      ModelConfig c = family_config(std::string(family->name));
      c.num_labels = labels;
      c.lm_head_bias = labels == 2;
      if (c.body != "decoder" || c.num_nextn_predict_layers > 0) continue;
      ++families_with;
      ASSERT_TRUE(can_express(*family, c));
      const fs::path folder = save(c);
      const auto loaded = load_model(folder, {});
      EXPECT_EQ(loaded->config().num_labels, labels);
      EXPECT_EQ(loaded->config().model_type, family->name);
      const Tensor ids = some_ids(2, 5);
      const std::vector<double> scores = scores_of(*loaded, ids);
      EXPECT_EQ(static_cast<int64_t>(scores.size()), 10 * labels);
      EXPECT_EQ(scores, scores_of(*model_, ids));
      const SafetensorsReader file(folder);
      const bool other = labels == 2 && (family->name == "gpt2" || family->name == "gpt_neox" ||
                                         family->name == "bloom" || family->name == "falcon");
      const std::string name = other ? "classifier" : "score";
      ASSERT_NE(file.find(name + ".weight"), nullptr);
      EXPECT_EQ(file.find(name + ".weight")->shape, (std::vector<int64_t>{labels, c.hidden_size}));
      EXPECT_EQ(file.find(name + ".bias") != nullptr, labels == 2);
      const std::string architecture = read_json_file(folder / "config.json")["architectures"][0];
      EXPECT_EQ(architecture.ends_with("ForTokenClassification"), labels == 2) << architecture;
      EXPECT_EQ(file.find("lm_head.weight"), nullptr);
    }
  EXPECT_GT(families_with, 20);
}

// The class alone says that there are two; names of labels say how many.
TEST_F(Scores, LabelsAreCountedAsTransformersCountsThem) {
  const fs::path folder = save([] {
    ModelConfig c = family_config("llama");
    c.num_labels = 3;
    return c;
  }());
  Json json = read_json_file(folder / "config.json");
  const auto labels = [&] { return read_family_config(find_family("llama"), json).num_labels; };
  EXPECT_EQ(labels(), 3);
  json["id2label"] = {{"0", "bad"}, {"1", "good"}, {"2", "better"}, {"3", "best"}};
  EXPECT_EQ(labels(), 4);
  json.erase("id2label");
  EXPECT_EQ(labels(), 2);
  json["architectures"] = {"LlamaForCausalLM"};
  json["id2label"] = {{"0", "LABEL_0"}};
  EXPECT_EQ(labels(), 0);
}

TEST_F(Scores, ModelsWithThemPredictNothing) {
  ModelConfig c = family_config("llama");
  const fs::path plain = save(c);
  const auto language = load_model(plain, {});
  c.num_labels = 1;
  const auto judge = load_model(save(c), {});
  const Tensor ids = some_ids(1, 4);
  const std::string refusal =
      "[model] this model gives scores (1 of each text) instead of predicting tokens; it can be a reward model or a "
      "critic (objective.name = \"reward\", objective.critic), for anything else give the folder of a language "
      "model";
  ModelPass pass(*judge, {});
  const Var hidden = pass.hidden({.rows = Rows::of(ids)});
  EXPECT_EQ(error_text([&] { pass.logits(hidden); }), refusal);
  EXPECT_EQ(error_text([&] { pass.head(); }), refusal);
  EXPECT_EQ(
      error_text([&] { scores_of(*language, ids); }),
      "[model] this model predicts tokens and has no scores; give a folder of a sequence classifier with one "
      "label (architectures: \"...ForSequenceClassification\"), or of a token classifier with two where steps are "
      "judged (\"...ForTokenClassification\")");
}

TEST_F(Scores, BodiesWithoutThemAreRefused) {
  ModelConfig c = tiny_config();
  c.body = "encoder_decoder";
  c.num_labels = 1;
  c.decoder_start_token_id = 0;
  EXPECT_NE(
      error_text([&] {
        Transformer model(c);
      }).find("[model.num_labels] scores instead of an output head are computed for models of one stack only"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
