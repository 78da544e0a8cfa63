// Reinforcement that is killed hard in the middle and goes on: the rollouts, and the bits, of a run that was left
// alone.

#include "life/program.h"

namespace lathe::testing {
namespace {

class Rollouts : public Life, public ::testing::WithParamInterface<const char*> {
 protected:
  // A model that was trained a little, and a recipe that reinforces it.
  void prepare_rollouts() {
    prepare("steps = 4\n");
    expect_works({"train", at("run.toml"), "--train.seq_len=40"});
    std::string prompts;
    for (int i = 0; i < 7; ++i)
      prompts +=
          R"({"prompt": "the sea gave )" + std::string(static_cast<size_t>(i), 'a') + "\"}\n";
    folder_.write("prompts.jsonl", prompts);
  }
  std::vector<std::string> command(const std::string& out, const std::string& name = "grpo") const {
    std::vector<std::string> words = {name,
                                      at("out/model"),
                                      at("prompts.jsonl"),
                                      "--train.out=" + at(out),
                                      "--train.steps=14",
                                      "--train.batch_size=8",
                                      "--train.seq_len=40",
                                      "--train.precision=fp32",
                                      "--train.checkpoint_every=3",
                                      "--objective.num_generations=4",
                                      "--objective.max_completion_length=12",
                                      "--optim.lr=0.01",
                                      "--reward.functions=[\"repetition\"]",
                                      std::string("--objective.dynamic_sampling=") + GetParam(),
                                      "--reward.command=while read -r a; do echo ${#a}; done"};
    return words;
  }
  size_t lines_of(const std::string& file) const {
    const std::string text = content_of(at(file));
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_P(Rollouts, KilledGoOnWithTheSameAnswers) {
  prepare_rollouts();
  expect_works(command("whole"));
  ASSERT_EQ(lines_of("whole/rollouts.jsonl"), 14U * 8U);
  std::vector<std::string> again = command("cut");
  again.emplace_back("--resume");
  int kills = 0;
  for (const size_t step : {2, 5, 6, 10}) {
    Program running(folder_.path(), again);
    while (running.running() && lines_of("cut/metrics.jsonl") < step) ::usleep(300);
    ::usleep(static_cast<useconds_t>(Rng(5).below(step, 6000)));
    if (!running.running()) break;
    running.kill_hard();
    ++kills;
  }
  EXPECT_GE(kills, 2);
  expect_works(again);
  EXPECT_EQ(content_of(at("cut/rollouts.jsonl")), content_of(at("whole/rollouts.jsonl")));
  EXPECT_EQ(content_of(at("cut/model/model.safetensors")),
            content_of(at("whole/model/model.safetensors")));
}

INSTANTIATE_TEST_SUITE_P(, Rollouts, ::testing::Values("false", "true"));

}  // namespace
}  // namespace lathe::testing
