#include "lathe/cli/commands/train/train_display.h"

#include <nlohmann/json.hpp>

#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/chat/continue_text.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/kernels/machine.h"

namespace lathe {

TrainDisplay::TrainDisplay(const Recipe& recipe, CommandContext& context)
    : recipe_(recipe), context_(context) {
  if (recipe_.data.tokenizer) {
    tokenizer_.emplace(load_tokenizer(*recipe_.data.tokenizer));
    require(tokenizer_->vocab_size() <= recipe_.model.vocab_size, ErrorKind::kData,
            "data.tokenizer",
            "it has {} entries but model.vocab_size is {}; set that to at least {}",
            tokenizer_->vocab_size(), recipe_.model.vocab_size, tokenizer_->vocab_size());
  }
  if (recipe_.train.device == "cpu")
    matrix_flops_ = kernels::measure_matrix_rate(recipe_.compute_dtype());
}

TrainCallbacks TrainDisplay::callbacks() {
  TrainCallbacks h;
  h.log = context_.log;
  h.on_step = [this](const StepReport& r) { on_step(r); };
  h.on_eval = [this](const EvalReport& r) {
    last_eval_ = r;
    const auto bits = find_number(r.numbers, "bits_per_byte");
    context_.log.info("step {}: validation loss {:.4f}{}", r.step, r.loss,
                      bits ? fmt::format(", {:.4f} bits per byte", *bits) : "");
  };
  h.on_sample = [this](int64_t step, const std::string& text) {
    context_.log.info("step {} writes: {}", step, text);
  };
  if (tokenizer_ && recipe_.train.sample_every > 0)
    h.sample = [this](Transformer& model) { return sample(model); };
  h.on_start = context_.begin_to_save;
  h.should_stop = interrupt_requested;
  return h;
}

TrainFacts TrainDisplay::facts() const {
  return {.command = context_.command_line(),
          .matrix_flops = matrix_flops_,
          .token_bytes = tokenizer_ ? tokenizer_->byte_lengths() : std::vector<int32_t>()};
}

std::string TrainDisplay::sample(Transformer& model) const {
  GenerationConfig config;
  config.max_new_tokens = recipe_.train.sample_tokens;
  config.temperature = 0.8;
  config.top_p = 0.95;
  config.seed = recipe_.train.seed;
  return recipe_.train.sample_prompt + continue_text(model, *tokenizer_,
                                                     recipe_.train.sample_prompt, config,
                                                     throw_if_interrupted);
}

void TrainDisplay::announce(TrainLoop& loop) const {
  const TrainConfig& t = loop.recipe().train;
  context_.log.info(
      "{} parameters, {} steps of {} tokens, {} on {} threads{}",
      human_count(static_cast<double>(loop.model().parameter_count())), t.steps,
      t.batch_size * t.grad_accumulation * t.seq_len, t.precision, thread_count(),
      matrix_flops_ > 0 ? fmt::format(" (matrix rate {:.0f} GFLOP/s)", matrix_flops_ * 1e-9) : "");
  for (const ShardPlan& shard : loop.data_plan())
    context_.log.info("{:.2f} epochs of {} ({} documents, {} tokens)", shard.epochs, shard.prefix,
                      shard.documents, human_count(static_cast<double>(shard.tokens)));
}

void TrainDisplay::on_step(const StepReport& r) {
  if (!progress_)
    progress_ = std::make_unique<Progress>(context_.progress, "training",
                                           static_cast<double>(r.steps), "steps");
  smooth_loss_.add(r.loss);
  smooth_seconds_.add(r.seconds);
  last_step_ = r;
  const double seconds = smooth_seconds_.value();
  std::string note = fmt::format("loss {:.3f}  {} tokens/s", smooth_loss_.value(),
                                 human_count(static_cast<double>(r.tokens) / seconds));
  if (matrix_flops_ > 0)
    note += fmt::format("  MFU {:.0f}%", 100 * r.flops / seconds / matrix_flops_);
  note += "  " + human_bytes(static_cast<double>(peak_resident_bytes()));
  if (r.skipped)
    context_.log.warn("step {}: loss {:.3f} is a spike; the step was skipped", r.step, r.loss);
  progress_->update(static_cast<double>(r.step), note);
}

void TrainDisplay::finish() {
  if (progress_) progress_->finish();
  const char* made = recipe_.adapter ? "adapter" : "model";
  context_.log.info("the {} is in {}/{}", made, recipe_.train.out, made);
}

nlohmann::ordered_json TrainDisplay::summary() const {
  const std::string made = recipe_.adapter ? "adapter" : "model";
  nlohmann::ordered_json json = {{"out", recipe_.train.out},
                                 {made, recipe_.train.out + "/" + made}};
  if (last_step_) {
    json["steps"] = last_step_->step;
    json["loss"] = last_step_->loss;
  }
  if (last_eval_) json["val_loss"] = last_eval_->loss;
  return json;
}

}  // namespace lathe
