#include "lathe/cli/commands/demo/plan.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/strings.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/train/train_loop.h"

namespace lathe {
namespace {

struct ModelSize {
  int64_t width, layers, heads, kv_heads;
};
constexpr ModelSize kSizes[] = {{128, 4, 4, 2}, {192, 5, 6, 2}, {256, 6, 4, 2},   {320, 6, 5, 5},
                                {384, 8, 6, 2}, {512, 8, 8, 2}, {640, 10, 10, 5}, {768, 12, 12, 4}};

// A model that sees fewer tokens than this for each of its parameters learns less than a smaller
// one would.
constexpr double kTokensPerParameter = 0.5;
constexpr int64_t kFewestSteps = 20, kMostEpochs = 12, kEvalBatches = 8;

int64_t eval_every(int64_t steps) { return std::max<int64_t>(5, steps / 14); }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Recipe recipe_for(const ModelSize& size, const DemoLimits& limits, const DataConfig& data) {
  Recipe r;
  ModelConfig& m = r.model;
  m.vocab_size = limits.vocab_size;
  m.hidden_size = size.width;
  m.num_hidden_layers = size.layers;
  m.num_attention_heads = size.heads;
  m.num_key_value_heads = size.kv_heads;
  m.intermediate_size = m.ffn_width();
  m.max_position_embeddings = 1024;
  m.tie_word_embeddings = true;
  m.eos_token_id = 0;
  m.bos_token_id = 0;
  r.data = data;
  TrainConfig& t = r.train;
  t.batch_size = 8;
  t.seq_len = limits.valid_tokens > 8 * 256 ? 256 : 64;
  t.precision = limits.precision;
  r.optim.lr = size.width <= 256 ? 3e-3 : 2e-3;
  r.schedule.min_lr_ratio = 0.05;
  return r;
}

// Seconds of a step once memory is warm: a time that three of four timed steps kept. On an idle
// machine all are alike; on a busy one the plan should hold although they vary. Times
// five steps, and more while `budget` seconds are not over.
double time_step(TrainLoop& loop, double budget) {
  constexpr int64_t kWarmUp = 2, kFewest = 5, kMost = 20;
  std::vector<double> seconds;
  double sum = 0;
  for (int64_t s = 1; s <= kWarmUp + kFewest || (s <= kWarmUp + kMost && sum < budget); ++s) {
    const StepReport report = loop.step(s);
    if (s <= kWarmUp) continue;
    seconds.push_back(report.seconds);
    sum += report.seconds;
  }
  std::ranges::sort(seconds);
  return seconds[seconds.size() * 3 / 4];
}

void set_length(Recipe& r, const DemoLimits& limits, double step_seconds) {
  TrainConfig& t = r.train;
  const int64_t tokens = t.batch_size * t.seq_len;
  t.steps =
      steps_that_fit(limits.seconds, step_seconds, kMostEpochs * limits.train_tokens / tokens);
  t.eval_every = eval_every(t.steps);
  t.steps -= t.steps % t.eval_every;  // the last step is then one of these
  t.eval_samples = kEvalBatches * t.batch_size;
  t.sample_every = 2 * t.eval_every;
  t.sample_tokens = 60;
  // A checkpoint every half minute or so: what a Ctrl-C or a power cut may cost.
  t.checkpoint_every = std::max<int64_t>(10, static_cast<int64_t>(30.0 / step_seconds));
  t.keep_last = 1;
  r.schedule.warmup_steps = std::max<int64_t>(2, t.steps / 20);
}

// A JSON string is a TOML string as well.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

double cost_in_steps(int64_t steps) {
  // A forward is a third of a step; a text of 60 tokens is far less work, but not as fast.
  constexpr double kValidation = kEvalBatches / 3.0, kText = 0.5, kAround = 1.06;
  const auto validations = static_cast<double>(steps / eval_every(steps));
  return kAround * static_cast<double>(steps) + validations * (kValidation + kText / 2);
}

int64_t steps_that_fit(double seconds, double step_seconds, int64_t most) {
  int64_t low = kFewestSteps, high = std::max(kFewestSteps, most);
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (cost_in_steps(middle) * step_seconds <= seconds)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

DemoPlan plan_demo(const DemoLimits& limits, const DataConfig& data,
                   const std::function<void(const std::string&)>& tried) {
  std::optional<DemoPlan> best;
  constexpr double kForTiming = 0.01;  // of the time, for one shape
  const auto start = std::chrono::steady_clock::now();
  for (const ModelSize& size : kSizes) {
    DemoPlan plan{recipe_for(size, limits, data), 0, 0};
    TrainCallbacks callbacks;
    callbacks.should_stop = interrupt_requested;
    TrainLoop loop(plan.recipe, callbacks);
    plan.parameters = loop.model().parameter_count();
    plan.step_seconds = time_step(loop, kForTiming * limits.seconds);
    DemoLimits left = limits;
    left.seconds = std::max(0.0, limits.seconds - seconds_since(start));
    set_length(plan.recipe, left, plan.step_seconds);
    const TrainConfig& t = plan.recipe.train;
    const double ratio = static_cast<double>(t.steps * t.batch_size * t.seq_len) /
                         static_cast<double>(plan.parameters);
    tried(
        fmt::format("width {:3}, {:2} layers: {} parameters, {:.0f} ms a step, {} steps, {:.1f} "
                    "tokens a parameter",
                    size.width, size.layers, human_count(static_cast<double>(plan.parameters)),
                    plan.step_seconds * 1e3, t.steps, ratio));
    if (best && ratio < kTokensPerParameter) break;
    best = std::move(plan);
    if (ratio < 2 * kTokensPerParameter) break;
  }
  return *best;
}

std::string demo_recipe_toml(const Recipe& r) {
  const ModelConfig& m = r.model;
  const TrainConfig& t = r.train;
  std::string out =
      "# The recipe that `lathe demo` trained. Change a line, or give it on the command line:\n";
  out += fmt::format("#   lathe train {0}/recipe.toml --train.out={0}-again --optim.name=muon\n",
                     t.out);
  out += "# `lathe train RECIPE --show` prints every key with its default and meaning.\n\n";
  out += fmt::format(
      "[model]                      # a Llama: RMSNorm, rotary positions, SwiGLU, grouped-query "
      "attention\n"
      "vocab_size = {}\nhidden_size = {}\nnum_hidden_layers = {}\nnum_attention_heads = {}\n"
      "num_key_value_heads = {}\nintermediate_size = {}\nmax_position_embeddings = {}\n"
      "tie_word_embeddings = true   # output head and token table are one matrix\n"
      "bos_token_id = 0\neos_token_id = 0             # {}\n\n",
      m.vocab_size, m.hidden_size, m.num_hidden_layers, m.num_attention_heads, m.kv_heads(),
      m.ffn_width(), m.max_position_embeddings, "<|endoftext|>");
  out +=
      fmt::format("[data]\ntrain = {}\nvalid = {}\ntokenizer = {}\n\n", quoted(r.data.train.at(0)),
                  quoted(r.data.valid.at(0)), quoted(r.data.tokenizer.value_or("")));
  out += fmt::format(
      "[train]\nout = {}\nsteps = {}\nbatch_size = {}               # sequences a step\nseq_len = "
      "{}\n"
      "precision = \"{}\"\neval_every = {}\neval_samples = {}\nsample_every = {}\nsample_prompt = "
      "{}\n"
      "sample_tokens = {}\ncheckpoint_every = {}\nkeep_last = {}\nseed = {}\n\n",
      quoted(t.out), t.steps, t.batch_size, t.seq_len, t.precision, t.eval_every, t.eval_samples,
      t.sample_every, quoted(t.sample_prompt), t.sample_tokens, t.checkpoint_every, t.keep_last,
      t.seed);
  out += fmt::format(
      "[optim]\nname = \"{}\"               # or muon, lion, adafactor\nlr = {}\nweight_decay = "
      "{}\n\n",
      r.optim.name, r.optim.lr, r.optim.weight_decay);
  return out + fmt::format(
                   "[schedule]\nname = \"{}\"              # or wsd, linear, inverse_sqrt, "
                   "constant\nwarmup_steps = {}\n"
                   "min_lr_ratio = {}\n",
                   r.schedule.name, r.schedule.warmup_steps, r.schedule.min_lr_ratio);
}

}  // namespace lathe
