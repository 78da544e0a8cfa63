// A task of its own kind under the loop: its numbers are in the metrics, and its state survives a
// kill.

#include "lathe/train/task.h"

#include <chrono>
#include <thread>

#include "lathe/model/model_pass.h"
#include "lathe/ops/cross_entropy.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

// Next-token prediction on one row that the task remembers and moves on with every update: each
// step depends on what the step before left. Every third update the row becomes one token longer,
// so that the shape of the state depends on the step as well.
class Walk : public Task {
 public:
  explicit Walk(const Recipe& recipe) : recipe_(recipe), model_(make_training_model(recipe, {})) {}

  Transformer& model() override { return *model_; }
  TaskStep gradients(int64_t step, ParameterGradients& gradients,
                     const StopCheck& stop_if_asked) override {
    stop_if_asked();
    Tape tape;
    const int64_t length = row_.size(0) - 1;
    ModelPass pass(*model_, {.tape = &tape, .gradients = &gradients});
    const Var hidden =
        pass.hidden({Rows::of(row_.narrow(0, 0, length).clone().reshape({1, length}))});
    const Tensor labels = row_.narrow(0, 1, length).clone().reshape({1, length});
    const Var loss = ops::linear_cross_entropy(hidden, pass.head(), labels,
                                               {.normalizer = static_cast<double>(length)});
    tape.backward(loss);
    return {.loss = loss.value.item(),
            .tokens = length,
            .flops = 1,
            .numbers = {{"walk.first", first()}, {"walk.step", static_cast<double>(step)}}};
  }
  void after_update(const StepInfo&, const TensorOf&) override {
    const bool grow = ++moves_ % 3 == 0;
    Tensor next({row_.size(0) + (grow ? 1 : 0)}, DType::kI32);
    for (int64_t i = 0; i < next.size(0); ++i)
      next.data<int32_t>()[i] = static_cast<int32_t>((7 * moves_ + 3 * i) % kVocabulary);
    row_ = next;
  }

  bool evaluates() const override { return true; }
  TaskEvaluation evaluate(int64_t, const StopCheck&) override {
    return {.loss = 1.5, .numbers = {{"walk.length", static_cast<double>(row_.size(0))}}};
  }
  std::optional<std::string> sample(int64_t step) override {
    return fmt::format("{} after {}", first(), step);
  }
  TaskInputs check() override { return {.artefacts = {}, .data_hash = "walk"}; }
  ModelFiles files(const Recipe& recipe) override {
    ModelFiles files = Task::files(recipe);
    files["walk.txt"] = "of a walk";
    return files;
  }
  int64_t samples_per_epoch() const override { return 1; }

  Json state() const override { return {{"moves", moves_}, {"length", row_.size(0)}}; }
  void restore(const Json& state) override {
    moves_ = state.at("moves").get<int64_t>();
    row_ = Tensor({state.at("length").get<int64_t>()}, DType::kI32);
  }
  void for_each_state(const StateFn& f) const override { f(as_it_is("row", row_)); }

 private:
  double first() const { return row_.data<int32_t>()[0]; }

  Recipe recipe_;
  std::unique_ptr<Transformer> model_;
  Tensor row_ = Tensor::of<int32_t>(std::vector<int32_t>{1, 2, 3, 4, 5}, {5});
  int64_t moves_ = 0;
};

class Tasks : public Run {
 protected:
  void walk(TrainLoop::Start start, const TrainCallbacks& callbacks = {}) {
    const Recipe r = recipe(R"({"train": {"steps": 9, "eval_every": 4, "ema_decay": 0.8}})");
    TrainLoop(std::make_unique<Walk>(r), r, callbacks).run(start);
  }
  Json state_of(int64_t step) const {
    return Json::parse(content_of(checkpoint(step) / "state.json"));
  }
};

TEST_F(Tasks, SamplesAreInTheMetrics) {
  Recipe r = recipe();
  r.train.sample_every = 4;
  std::vector<std::string> texts;
  TrainCallbacks callbacks;
  callbacks.on_sample = [&](int64_t, const std::string& text) { texts.push_back(text); };
  TrainLoop(std::make_unique<Walk>(r), r, callbacks).run(TrainLoop::Start::kFresh);
  EXPECT_EQ(texts, (std::vector<std::string>{"2 after 4", "3 after 6"}));
  EXPECT_EQ(metrics().back().at("sample"), "3 after 6");
}

TEST_F(Tasks, StateSurvivesAKillAtEveryStep) {
  walk(TrainLoop::Start::kFresh);
  const auto unbroken = result();
  const Json first = metrics().front();
  EXPECT_EQ(first.at("walk.first"), 1);
  EXPECT_EQ(first.at("walk.step"), 1);
  EXPECT_EQ(metrics().back().at("val_walk.length"), 8);
  EXPECT_EQ(state_of(4).at("task").dump(), R"({"moves":4,"length":6})");
  EXPECT_EQ(content_of(checkpoint(4) / "walk.txt"), "of a walk");
  EXPECT_EQ(content_of(out() / "model/walk.txt"), "of a walk");
  for (int64_t step = 1; step < 9; ++step) {
    start_over();
    EXPECT_NE(error_text([&] {
                walk(TrainLoop::Start::kFresh, stopping_after(step));
              }).find(fmt::format("stopped after step {} of 9", step)),
              std::string::npos);
    walk(TrainLoop::Start::kResume);
    EXPECT_EQ(result(), unbroken) << step;
  }
}

// What a task without a state of its own writes holds no trace of one.
TEST_F(Tasks, TheLanguageModelKeepsNoState) {
  train(recipe());
  EXPECT_FALSE(state_of(6).contains("task"));
  EXPECT_EQ(content_of(checkpoint(6) / "optimizer.safetensors").find("task/"), std::string::npos);
}

// Tensors are read behind the steps: the row of step 1 is replaced while it is being written.
TEST_F(Tasks, StateIsThatOfItsStep) {
  const Recipe r = recipe(R"({"train": {"steps": 3}})");
  TrainCallbacks slow;
  slow.on_checkpoint_part = [](std::string_view part) {
    if (part == "task/row") std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  const auto trained = [&](const TrainCallbacks& callbacks) {
    start_over();
    TrainLoop(std::make_unique<Walk>(r), r, callbacks).run(TrainLoop::Start::kFresh);
    std::vector<std::string> files;
    for (int64_t step : {1, 2, 3})
      files.push_back(content_of(checkpoint(step) / "optimizer.safetensors"));
    return files;
  };
  EXPECT_EQ(trained(slow), trained({}));
}

}  // namespace
}  // namespace lathe::testing
