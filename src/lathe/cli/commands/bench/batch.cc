#include <nlohmann/json.hpp>

#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/infer/engine.h"
#include "lathe/kernels/machine.h"
#include "lathe/model/load_model.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

struct BatchOptions {
  std::string model, precision = "bf16", weights = "native";
  std::optional<std::string> cache_precision;
  std::vector<std::string> adapter;
  int64_t sequences = 16, prompt_tokens = 256, new_tokens = 128;
  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("sequences", sequences, "requests at once", between(1, 1024));
    v.field("prompt_tokens", prompt_tokens, "tokens of each prompt", at_least(2));
    v.field("new_tokens", new_tokens, "tokens to generate for each", at_least(2));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
    v.field("adapter", adapter,
            "folders of LoRA adapters, which the requests have in turns; one given twice is two");
  }
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int32_t> random_prompt(uint64_t seed, int64_t length, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>(
        Rng(seed).below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary))));
  return ids;
}

Request request_of(std::vector<int32_t> prompt, int64_t new_tokens) {
  Request r{.prompt = std::move(prompt)};
  r.sampling.temperature = 0;
  r.sampling.ignore_eos = true;
  r.sampling.max_new_tokens = new_tokens;
  return r;
}

void submit(Engine& engine, Request request) {
  const Submission taken = engine.submit(std::move(request));
  if (taken.refusal) throw Error(ErrorKind::kData, taken.refusal->where, taken.refusal->message);
}

// Until the first token of a prompt.
double first_token(Engine& engine, const std::vector<int32_t>& prompt) {
  const auto start = Clock::now();
  submit(engine, request_of(prompt, 1));
  engine.run();
  return seconds_since(start);
}

int run_batch(const BatchOptions& o, CommandContext& context) {
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  const int64_t each = o.prompt_tokens + o.new_tokens + 32;
  Engine engine(*model, {.cache_tokens = (o.sequences + 2) * each,
                         .text_tokens = (o.sequences + 2) * each,
                         .max_sequences = o.sequences,
                         .cache_precision = cache_dtype(o.cache_precision)});
  const auto prompt = [&](uint64_t seed) {
    return random_prompt(seed, o.prompt_tokens, model->config().vocab_size);
  };
  std::vector<std::shared_ptr<const LoraAdapter>> loras;
  for (const std::string& folder : o.adapter)
    loras.push_back(load_lora(folder, *model, context.log));
  const std::vector<std::string> adapters = engine.load_adapters(loras);
  first_token(engine, prompt(1'000'000));  // wakes threads and memory
  const double cold = first_token(engine, prompt(2'000'000));
  const double warm = first_token(engine, prompt(2'000'000));
  const EngineStatistics before = engine.statistics();
  for (int64_t i = 0; i < o.sequences; ++i) {
    Request request = request_of(prompt(static_cast<uint64_t>(i)), o.new_tokens);
    if (!adapters.empty()) request.adapters = {adapters[static_cast<size_t>(i) % adapters.size()]};
    submit(engine, std::move(request));
  }
  const auto start = Clock::now();
  engine.run();
  const double seconds = seconds_since(start);
  const EngineStatistics after = engine.statistics();
  const double made = static_cast<double>(after.new_tokens - before.new_tokens);
  const double computed = static_cast<double>(after.tokens - before.tokens);
  const double steps = static_cast<double>(after.steps - before.steps);
  const auto bytes = static_cast<double>(weight_bytes_per_token(*model));  // read once a step
  const double read = kernels::measure_read_bandwidth();
  print_measured(
      context,
      {{"new_tokens_per_s", made / seconds},
       {"tokens_per_s", computed / seconds},
       {"tokens_per_step", computed / steps},
       {"bytes_per_token", bytes * steps / computed},
       {"read_gbps", read * 1e-9},
       {"share_of_bandwidth", bytes * steps / seconds / read},
       {"cache_precision", cache_kept(*model, engine.options().cache_precision).types},
       {"cache_mib", static_cast<double>(engine.cache().bytes()) / (1 << 20)},
       {"first_token_cold_ms", 1e3 * cold},
       {"first_token_cached_ms", 1e3 * warm}},
      fmt::format(
          "{} sequences of {} and {} tokens, {}: {:.0f} new tokens/s, {:.0f} computed, "
          "{:.1f} a step; weights read at {:.0f} % of the memory's rate\ncache: {}\nfirst token of a prompt: {:.1f} ms, {:.1f} ms when "
          "it is cached\n",
          o.sequences, o.prompt_tokens, o.new_tokens, o.precision, made / seconds,
          computed / seconds, computed / steps, 100 * bytes * steps / seconds / read,
          engine.description(), 1e3 * cold, 1e3 * warm));
  return 0;
}

}  // namespace

Command bench_batch_command() {
  return make_command<BatchOptions>(
      {.name = "batch",
       .summary = "tokens per second of many requests at once, and what a cached prompt saves",
       .help = ""},
      run_batch);
}

}  // namespace lathe
