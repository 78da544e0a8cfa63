#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/constraint_options.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/speculation_options.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/generate.h"
#include "lathe/io/mapped_file.h"
#include "lathe/kernels/machine.h"
#include "lathe/model/load_model.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

struct DecodeBenchOptions {
  std::string model, precision = "bf16", weights = "native";
  int64_t new_tokens = 64;
  std::optional<std::string> text, cache_precision;
  ConstraintOptions constraint;
  SpeculationOptions speculation;
  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("new_tokens", new_tokens, "tokens to generate", at_least(2));
    v.field("text", text, "file whose text is continued, instead of two tokens");
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
    constraint.visit(v);
    speculation.visit(v);
  }
};

// What is continued, and what the answer must fit.
void read_texts(const DecodeBenchOptions& o, const Transformer& model,
                const std::optional<Tokenizer>& tokenizer, GenerateRequest& request) {
  request.prompts = {{1, 1}};
  if (!tokenizer) return;
  if (o.text) request.prompts = {tokenizer->encode(read_file(*o.text))};
  const std::vector<int64_t>& ends = model.config().eos_token_ids();
  request.constraint = o.constraint.make(*tokenizer, {ends.begin(), ends.end()});
}

int run_decode(const DecodeBenchOptions& o, CommandContext& context) {
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  GenerationConfig config;
  config.temperature = 0;
  config.ignore_eos = true;
  config.max_new_tokens = o.new_tokens + 1;
  // Timed from the first token on, so that the prompt's own pass does not count.
  std::vector<std::chrono::steady_clock::time_point> times;
  std::optional<Tokenizer> tokenizer;
  if (o.text || o.constraint.given()) tokenizer.emplace(load_tokenizer(o.model));
  GenerateRequest request;
  read_texts(o, *model, tokenizer, request);
  request.on_token = [&](size_t, int32_t) {
    times.push_back(std::chrono::steady_clock::now());
    return true;
  };
  EngineStatistics end;
  request.on_end = [&](const EngineStatistics& s) { end = s; };
  const auto guesses = o.speculation.load(o.model, *model, dtype_of_precision(o.precision),
                                          quantised_weights(o.weights), context.log);
  request.speculation = guesses;
  request.cache_precision = cache_dtype(o.cache_precision);
  const int64_t length = std::ssize(request.prompts.front());
  const int64_t most =
      room_after(*model, length, 1, {.cache_precision = request.cache_precision}) - 1;
  require(o.new_tokens <= most, ErrorKind::kUsage, "--new-tokens",
          "{} tokens do not fit after the {} tokens of the prompt; ask for at most {}",
          o.new_tokens, length, most);
  generate(*model, config, request);
  require(times.size() > 1 && end.steps > 1, ErrorKind::kData, "constraint",
          "the answer came in one pass, which leaves nothing to measure; allow longer ones");
  const double seconds = std::chrono::duration<double>(times.back() - times.front()).count();
  const double rate = static_cast<double>(times.size() - 1) / seconds;
  const double passes = static_cast<double>(end.steps - 1) / seconds;
  const auto bytes = static_cast<double>(weight_bytes_per_token(*model));
  const double read = kernels::measure_read_bandwidth();
  const CacheKept kept = cache_kept(*model, request.cache_precision);
  print_measured(
      context,
      {{"tokens_per_s", rate},
       {"tokens_per_pass", rate / passes},
       {"guessed_tokens", end.guessed_tokens},
       {"accepted_tokens", end.accepted_tokens},
       {"forced_tokens", end.forced_tokens},
       {"bytes_per_pass", bytes},
       {"bytes_per_token", bytes * passes / rate},
       {"weight_gbps", passes * bytes * 1e-9},
       {"read_gbps", read * 1e-9},
       {"share_of_bandwidth", passes * bytes / read},
       {"cache_precision", kept.types},
       {"cache_bytes_per_token", kept.bytes_per_token}},
      fmt::format(
          "decode {}, cache {}: {:.1f} tokens/s, {:.2f} a pass, weights read at {:.1f} GB/s of {:.1f} "
          "({:.0f} %)\n",
          o.precision, kept.types, rate, rate / passes, passes * bytes * 1e-9, read * 1e-9,
          100 * passes * bytes / read));
  return 0;
}

struct PrefillOptions {
  std::string model, precision = "bf16", weights = "native";
  std::optional<std::string> cache_precision;
  int64_t tokens = 512, runs = 5;
  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("tokens", tokens, "tokens of the prompt", at_least(1));
    v.field("runs", runs, "number of runs; the median is reported", at_least(1));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
  }
};

// Of a token's products but the output head's, which only the last token needs.
double body_flops(const Transformer& model) {
  const ModelConfig& c = model.config();
  const int64_t all = model_cost(model, {.compute = DType::kF32}).multiplied;
  return 2.0 * static_cast<double>(all - c.vocab_size * c.hidden_size);
}

// The most that the machine multiplies a second, in the types of this model's products.
double product_limit(const Transformer& model, DType compute) {
  DType weights = DType::kBF16;
  for (const Parameter* p : model.parameters()) {
    if (p->value.packed() != nullptr) return kernels::measure_int8_rate();
    const Tensor& w = p->value.tensor();
    if (w.rank() > 1 && w.dtype() != DType::kBF16) weights = compute;
  }
  return kernels::measure_matrix_rate(compute, weights);
}

int run_prefill(const PrefillOptions& o, CommandContext& context) {
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  GenerationConfig config;
  config.temperature = 0;
  config.max_new_tokens = 1;
  std::vector<int32_t> prompt(static_cast<size_t>(o.tokens));
  for (size_t i = 0; i < prompt.size(); ++i)
    prompt[i] =
        static_cast<int32_t>(Rng(0).below(i, static_cast<uint64_t>(model->config().vocab_size)));
  Engine engine(*model, {.cache_tokens = o.tokens + 64,
                         .text_tokens = o.tokens + 64,
                         .token_budget = std::max<int64_t>(o.tokens, 1),
                         .max_sequences = 1,
                         .cache_precision = cache_dtype(o.cache_precision)});
  const auto read_prompt = [&] {
    const Submission taken =
        engine.submit({.prompt = prompt, .sampling = config, .share_prefix = false});
    if (taken.refusal) throw Error(ErrorKind::kData, taken.refusal->where, taken.refusal->message);
    engine.run();
  };
  read_prompt();
  const auto times = sorted_seconds(o.runs, read_prompt);
  const double rate = static_cast<double>(o.tokens) / times[times.size() / 2];
  const double flops = rate * body_flops(*model);
  const auto bytes = static_cast<double>(weight_bytes_per_token(*model));  // read once
  const double read = kernels::measure_read_bandwidth();
  const CacheKept kept = cache_kept(*model, engine.options().cache_precision);
  const double limit = product_limit(*model, dtype_of_precision(o.precision));
  print_measured(
      context,
      {{"tokens_per_s", rate},
       {"matrix_gflops", limit * 1e-9},
       {"share_of_matrix_rate", flops / limit},
       {"bytes_per_token", bytes / static_cast<double>(o.tokens)},
       {"read_gbps", read * 1e-9},
       {"share_of_bandwidth", rate * bytes / static_cast<double>(o.tokens) / read},
       {"cache_precision", kept.types},
       {"cache_bytes_per_token", kept.bytes_per_token}},
      fmt::format(
          "prefill of {} tokens, {}, cache {}: {:.0f} tokens/s, {:.0f} % of the matrix rate\n",
          o.tokens, o.precision, kept.types, rate, 100 * flops / limit));
  return 0;
}

}  // namespace

Command bench_decode_command() {
  return make_command<DecodeBenchOptions>(
      {.name = "decode", .summary = "tokens per second when decoding one sequence", .help = ""},
      run_decode);
}

Command bench_prefill_command() {
  return make_command<PrefillOptions>(
      {.name = "prefill", .summary = "tokens per second when reading a prompt", .help = ""},
      run_prefill);
}

}  // namespace lathe
