#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/quantize_bill.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/infer/cache_divergence.h"
#include "lathe/infer/cache_plan.h"
#include "lathe/io/mapped_file.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

struct CacheBenchOptions {
  std::string model, text, precision = "fp32", weights = "fp32";
  std::optional<std::string> cache_precision;
  int64_t window = 512;
  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.field("text", text, "file whose tokens are predicted with both caches", required());
    v.field("window", window, "tokens that are read together", at_least(2));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    visit_cache_precision(v, cache_precision);
  }
};

int run_cache(const CacheBenchOptions& o, CommandContext& context) {
  const auto asked = cache_dtype(o.cache_precision);
  require(asked.has_value(), ErrorKind::kUsage, "bench cache",
          "needs --cache-precision, the type that is compared with that of the arithmetic: int8 or "
          "bf16");
  const auto model = load_for_inference(o.model, dtype_of_precision(o.precision), context.log,
                                        quantised_weights(o.weights));
  const auto ids = load_tokenizer(o.model).encode(read_file(o.text));
  const CacheKept own = cache_kept(*model, std::nullopt), kept = cache_kept(*model, asked);
  Progress progress(context.progress, "comparing", static_cast<double>(ids.size()), "tokens");
  const auto report = [&](int64_t done) {
    throw_if_interrupted();
    progress.update(static_cast<double>(done));
  };
  const Divergence d =
      cache_divergence(*model, *asked, ids, {.window = o.window, .progress = report});
  progress.finish();
  nlohmann::ordered_json facts = {{"cache_precision", kept.types},
                                  {"cache_bytes_per_token", kept.bytes_per_token},
                                  {"cache_bytes_per_token_original", own.bytes_per_token}};
  facts.update(json_of(d));
  const auto size = [](const CacheKept& k) {
    return human_bytes(static_cast<double>(k.bytes_per_token));
  };
  print_measured(context, facts,
                 fmt::format("cache {}: {} a token (original {}: {})\n{}", kept.types, size(kept),
                             own.types, size(own), in_words(d)));
  return 0;
}

}  // namespace

Command bench_cache_command() {
  return make_command<CacheBenchOptions>(
      {.name = "cache",
       .summary = "what a smaller type for keys and values costs on a text, and saves",
       .help =
           "The same model predicts the text twice: with a cache in the type of its arithmetic, "
           "the original,\nand with one in --cache-precision. docs/inference.md explains the "
           "numbers.\n\n"
           "  lathe bench cache MODEL --text FILE --cache-precision int8\n"},
      run_cache);
}

}  // namespace lathe
