// kill -9 at random moments, then resume: the bits of a run that was left alone.

#include "life/program.h"

namespace lathe::testing {
namespace {

class Killed : public Life, public ::testing::WithParamInterface<const char*> {
 protected:
  std::vector<std::string> losses(const std::string& out) const {
    std::vector<std::string> lines;
    std::ifstream in(at(out + "/metrics.jsonl"));
    for (std::string line; std::getline(in, line);) {
      const auto record = nlohmann::json::parse(line);
      lines.push_back(record["step"].dump() + " " + record["loss"].dump());
    }
    return lines;
  }
  size_t lines_of(const std::string& out) const {
    const std::string text = content_of(at(out + "/metrics.jsonl"));
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_P(Killed, ARunThatGoesOnGivesTheSameBits) {
  const std::string keys =
      "steps = 150\ncheckpoint_every = 7\ngrad_accumulation = 2\n"
      "ema_decay = 0.9\n";
  prepare(keys);
  write_recipe("cut.toml", "cut", keys);
  // The run that is left alone keeps the state of its optimiser in memory.
  const bool paged = GetParam() == std::string("paged");
  const std::string precision = std::string("--train.precision=") + (paged ? "fp32" : GetParam()),
                    where = std::string("--optim.paged=") + (paged ? "true" : "false");
  expect_works({"train", at("run.toml"), precision});
  int kills = 0;
  for (size_t target = 5; target < 150; ++kills) {
    const Rng rng = Rng(3).fork(static_cast<uint64_t>(kills));
    Program running(folder_.path(), {"train", at("cut.toml"), "--resume", precision, where});
    while (running.running() && lines_of("cut") < target) ::usleep(500);
    ::usleep(static_cast<useconds_t>(rng.below(0, 8000)));  // into a step or a checkpoint
    if (!running.running()) break;  // the last steps were faster than this kill
    running.kill_hard();
    target += 5 + rng.below(1, 30);
  }
  EXPECT_GE(kills, 4);
  expect_works({"train", at("cut.toml"), "--resume", precision, where});
  EXPECT_EQ(content_of(at("cut/model/model.safetensors")),
            content_of(at("out/model/model.safetensors")));
  EXPECT_EQ(losses("cut"), losses("out"));
  EXPECT_EQ(losses("cut").size(), 150u);
  for (const auto& [name, content] : contents(folder_ / "cut"))
    for (const char* left : {".tmp", "scratch"})
      EXPECT_EQ(name.find(left), std::string::npos) << name;
}

INSTANTIATE_TEST_SUITE_P(, Killed, ::testing::Values("fp32", "bf16", "paged"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace lathe::testing
