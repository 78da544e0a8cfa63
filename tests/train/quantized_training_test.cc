// train.quantize: what passes read is what the finished model's GGUF file has.

#include "lathe/io/safetensors.h"
#include "lathe/model/gguf/write_gguf.h"
#include "lathe/model/load_model.h"
#include "lathe/model/model_pass.h"
#include "lathe/optim/block_rounding.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class QuantizedTraining : public Run {
 protected:
  QuantizedTraining() {
    recipe_["model"].update(
        Json{{"model_type", "llama"}, {"hidden_size", 32}, {"intermediate_size", 64}});
    recipe_["train"]["quantize"] = "Q4_0";
  }

  static Tensor logits_of(const Transformer& model) {
    ModelPass pass(model, Pass{});
    const IdRows rows = {{1, 2, 3, 4, 5, 6, 7, 8}, {3, 1, 4, 1, 5, 9, 2, 6}};
    return pass.logits(pass.hidden({.rows = Rows::of(rows)})).value;
  }
  // The model in out/model as `lathe quantize --type TYPE --pure` writes it.
  std::unique_ptr<Transformer> quantised(const char* type) {
    const auto model = load_model(out() / "model", {});
    const fs::path file = folder_ / "q.gguf";
    write_gguf(*model, file, {.types = {find_block_type(type), /*pure=*/true}, .from = "m"});
    return load_model(file, {});
  }
};

TEST_F(QuantizedTraining, EndsInTheNumbersOfTheFile) {
  for (const char* patch :
       {R"({})", R"({"optim": {"name": "muon"}})", R"({"optim": {"name": "lion"}})",
        R"({"optim": {"name": "adafactor"}})", R"({"train": {"quantize": "Q8_0"}})",
        R"({"train": {"quantize": "Q4_K"}})",  // rows of 32: Q5_0
        R"({"model": {"tie_word_embeddings": true}})"}) {
    SCOPED_TRACE(patch);
    start_over();
    const Recipe r = recipe(patch);
    TrainLoop loop(r, logging());
    loop.run(TrainLoop::Start::kFresh);
    const auto file = quantised(r.train.quantize->c_str());
    EXPECT_EQ(logits_of(loop.model()).to_vector(), logits_of(*file).to_vector());
    const auto plain = load_model(out() / "model", {});
    EXPECT_NE(logits_of(*plain).to_vector(), logits_of(*file).to_vector());
  }
}

// Averages are rounded when they take the weights' place, and the weights again after it.
TEST_F(QuantizedTraining, AveragesAreRoundedToo) {
  const Recipe r = recipe(R"({"train": {"ema_decay": 0.5, "eval_every": 3}})");
  TrainLoop loop(r, logging());
  loop.run(TrainLoop::Start::kFresh);
  const auto averages = quantised("Q4_0");
  EXPECT_NE(logits_of(loop.model()).to_vector(), logits_of(*averages).to_vector());
  // What is in the model now are the weights of the last checkpoint's optimiser, rounded.
  const SafetensorsReader state(checkpoint(6) / "optimizer.safetensors");
  size_t compared = 0;
  for (const Parameter* p : loop.model().parameters()) {
    if (p->shape.rank() < 2) continue;
    const ArraySpan* master = state.find("master/" + p->name);
    ASSERT_NE(master, nullptr) << p->name;
    Tensor stored(p->shape, DType::kF32);
    std::ranges::copy(master->bytes, stored.raw());
    EXPECT_EQ(p->value.tensor().to_vector(),
              optim::rounded_to_blocks(stored, *find_block_type("Q4_0")).to_vector())
        << p->name;
    ++compared;
  }
  EXPECT_EQ(compared, 2u * 4 + 2);
}

// Resumed after any step it comes to the same bits.
TEST_F(QuantizedTraining, ResumesToTheSameBits) {
  const auto whole = trained("{}");
  start_over();
  EXPECT_THROW(TrainLoop(recipe(), stopping_after(3)).run(TrainLoop::Start::kFresh), Error);
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result().at("model"), whole.at("model"));
  EXPECT_EQ(result().at("optimizer.safetensors"), whole.at("optimizer.safetensors"));
}

// Learning with what will be rounded is better than to round what was learned.
TEST_F(QuantizedTraining, LosesLessThanRoundingAfterwards) {
  recipe_["train"].update(Json{{"steps", 150}, {"checkpoint_every", 0}, {"batch_size", 8}});
  recipe_["optim"]["lr"] = 0.02;
  const auto loss_of_file = [&](const char* patch) {
    start_over();
    train(recipe(patch));
    // A run without steps of its own validates the weights that it starts from.
    const auto model = quantised("Q4_0");
    const Recipe r = recipe(R"({"train": {"quantize": null}})");
    TrainLoop loop(r, {});
    for (Parameter* p : loop.model().parameters())
      for (Parameter* q : model->parameters())
        if (p->name == q->name) p->value.tensor().copy_from(q->value.tensor());
    return loop.evaluate(0).loss;
  };
  const double aware = loss_of_file("{}"),
               afterwards = loss_of_file(R"({"train": {"quantize": null}})");
  EXPECT_LT(aware, afterwards) << aware << " " << afterwards;
}

TEST_F(QuantizedTraining, WhatCannotBeIsRefused) {
  const auto error = [&](const char* patch) {
    try {
      TrainLoop loop(recipe(patch), logging());
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(error(R"({"train": {"quantize": "F16"}})").find("quantize is \"F16\""),
            std::string::npos);
  EXPECT_NE(error(R"({"train": {"quantize": "Q2_K"}})").find("Q4_0"), std::string::npos);
  EXPECT_NE(error(R"({"model": {"model_type": "gptj", "num_key_value_heads": 2}})")
                .find("has no GGUF architecture"),
            std::string::npos)
      << error(R"({"model": {"model_type": "gptj", "num_key_value_heads": 2}})");
}

TEST(BlockRounding, IsWhatTheBlocksHold) {
  Tensor x({3, 32}, DType::kF64);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = std::sin(static_cast<double>(i));
  x.data<double>()[40] = std::numeric_limits<double>::infinity();
  const BlockType& type = *find_block_type("Q5_1");
  const Tensor got = optim::rounded_to_blocks(x, type);
  for (int64_t row : {0, 2}) {
    const Tensor in = x.narrow(0, row, 1).to(DType::kF32);
    std::vector<std::byte> blocks(24);
    std::vector<float> want(32);
    type.encode(in.span<float>(), {}, blocks);
    type.decode(blocks, want);
    for (int64_t i = 0; i < 32; ++i)
      EXPECT_EQ(got.data<float>()[row * 32 + i], want[static_cast<size_t>(i)]);
  }
  for (int64_t i = 32; i < 64; ++i)
    EXPECT_EQ(got.data<float>()[i], static_cast<float>(x.data<double>()[i]));
}

}  // namespace
}  // namespace lathe::testing
