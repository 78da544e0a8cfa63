#include "lathe/cli/commands/train/train_display.h"

#include <nlohmann/json.hpp>

#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/chat/continue_text.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/kernels/machine.h"

namespace lathe {

namespace {

std::string text_of(const EvalReport& r) {
  if (const auto reward = find_number(r.numbers, "reward"))
    return fmt::format("reward {:.4f} on held-out prompts, answers of {:.0f} tokens", *reward,
                       find_number(r.numbers, "completions/mean_length").value());
  const auto bits = find_number(r.numbers, "bits_per_byte");
  return fmt::format("validation loss {:.4f}{}", r.loss,
                     bits ? fmt::format(", {:.4f} bits per byte", *bits) : "");
}

std::string text_of(const std::vector<MemoryPart>& all) {
  std::vector<std::string> parts;
  parts.reserve(all.size());
  for (const MemoryPart& part : all)
    parts.push_back(part.name + " " + human_bytes(static_cast<double>(part.bytes)));
  return join(parts, ", ");
}

// "addition exact_match 0.3100 ± 0.0465, copy acc 0.5000": errors stand behind their values.
std::string text_of_tasks(const NamedNumbers& numbers) {
  constexpr std::string_view kPrefix = "eval.", kError = "_stderr";
  std::string text;
  for (const auto& [name, value] : numbers) {
    if (name.ends_with(kError)) {
      text += fmt::format(" ± {:.4f}", value);
      continue;
    }
    std::string shown = name.substr(kPrefix.size());
    shown[shown.rfind('.')] = ' ';
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", shown, value);
  }
  return text;
}

}  // namespace

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
  h.read_examples = [this](const auto& files, const auto& options, const Log& log) {
    return read(files, options, log);
  };
  h.on_step = [this](const StepReport& r) { on_step(r); };
  h.on_eval = [this](const EvalReport& r) {
    last_eval_ = r;
    context_.log.info("step {}: {}", r.step, text_of(r));
  };
  h.on_sample = [this](int64_t step, const std::string& text) {
    context_.log.info("step {} writes: {}", step, text);
  };
  h.on_tasks = [this](int64_t step, const NamedNumbers& numbers) {
    context_.log.info("step {}: {}", step, text_of_tasks(numbers));
  };
  if (tokenizer_ && recipe_.train.sample_every > 0)
    h.sample = [this](Transformer& model) { return sample(model); };
  h.on_start = context_.begin_to_save;
  h.should_stop = interrupt_requested;
  return h;
}

std::shared_ptr<const ExampleSet> TrainDisplay::read(const std::vector<std::string>& files,
                                                     const ExampleOptions& options,
                                                     const Log& log) {
  std::shared_ptr<const ExampleSet>& kept = read_[files];
  if (kept != nullptr) return kept;
  Progress progress(context_.progress, "reading rows", 0, "rows");
  kept = std::make_shared<const ExampleSet>(
      read_examples(files, options, log, [&progress](int64_t rows) {
        throw_if_interrupted();
        progress.update(static_cast<double>(rows));
      }));
  progress.finish();
  return kept;
}

void TrainDisplay::plan_memory() {
  if (recipe_.compute_device() != Device::kCpu) return;
  // Rows differ in length; of rollouts only prompts do, whose answers are taken to be as long as they may be.
  const int64_t steps = recipe_.learns_rollouts() ? 4 : 8;
  memory_ = lathe::plan_memory(recipe_, callbacks().read_examples, steps);
  const auto total = static_cast<double>(memory_->total());
  const auto there = static_cast<double>(physical_memory_bytes());
  context_.log.info("memory: {} planned ({})", human_bytes(total), text_of(memory_->parts));
  if (there > 0 && total > there)
    context_.log.warn(
        "this machine has {}: the run will not fit; make train.batch_size smaller and "
        "train.grad_accumulation larger, or set train.recompute = \"full\"",
        human_bytes(there));
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

namespace {

// What a step learns from: rows of prompts and answers differ in length.
std::string size_of_step(const Recipe& recipe) {
  const TrainConfig& t = recipe.train;
  const int64_t rows = t.batch_size * t.grad_accumulation;
  if (!recipe.learns_answers()) return fmt::format("{} tokens", rows * t.seq_len);
  if (recipe.learns_rollouts()) return fmt::format("{} rollouts", rows);
  if (recipe.data.packing) return fmt::format("{} rows of {} tokens", rows, t.seq_len);
  return fmt::format("{} rows", rows);
}

int64_t trained_parameters(TrainLoop& loop) {
  if (!loop.recipe().adapter) return loop.model().parameter_count();
  int64_t trained = 0;
  for (const Parameter* p : loop.task().trained().parameters) trained += p->shape.numel();
  return trained;
}

// "135M parameters", or of an adapter "1.2M parameters above 135M".
std::string trained_text(TrainLoop& loop) {
  const std::string trained = human_count(static_cast<double>(trained_parameters(loop)));
  if (!loop.recipe().adapter) return trained + " parameters";
  return fmt::format("{} parameters above {}", trained,
                     human_count(static_cast<double>(loop.model().parameter_count())));
}

}  // namespace

void TrainDisplay::announce(TrainLoop& loop) const {
  const TrainConfig& t = loop.recipe().train;
  context_.log.info(
      "{}, {} steps of {}, {} on {} threads{}", trained_text(loop), t.steps, size_of_step(recipe_),
      t.precision, thread_count(),
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

void TrainDisplay::finish(TrainLoop& loop) {
  if (progress_) progress_->finish();
  if (memory_)
    context_.log.info("memory: {} at most, {} planned ({})",
                      human_bytes(static_cast<double>(peak_resident_bytes())),
                      human_bytes(static_cast<double>(memory_->total())),
                      text_of(memory_taken()));
  const std::string_view result = loop.task().result_name();
  context_.log.info("the {} is in {}/{}", result, recipe_.train.out, result);
}

nlohmann::ordered_json TrainDisplay::summary(TrainLoop& loop) const {
  const std::string result(loop.task().result_name());
  nlohmann::ordered_json json = {{"out", recipe_.train.out},
                                 {result, recipe_.train.out + "/" + result}};
  json["trained_parameters"] = trained_parameters(loop);
  if (last_step_) {
    json["steps"] = last_step_->step;
    json["loss"] = last_step_->loss;
  }
  if (last_eval_) json["val_loss"] = last_eval_->loss;
  constexpr double kMiB = 1 << 20;
  json["peak_memory_mib"] = static_cast<double>(peak_resident_bytes()) / kMiB;
  if (memory_) json["planned_memory_mib"] = static_cast<double>(memory_->total()) / kMiB;
  return json;
}

}  // namespace lathe
