#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/export_model.h"

namespace lathe {
namespace {

struct MergeOptions : ExportOptions {
  std::vector<double> weight;
  std::optional<std::string> combination;
  std::optional<double> density;
  std::optional<int64_t> seed;

  void visit(Visitor& v) {
    ExportOptions::visit(v);
    v.field("weight", weight, "weight of an adapter in the combination, one for each, in order");
    v.choice("combination", combination, combinations(),
             "combine the adapters, which must be LoRAs, into one first; default with --weight: "
             "linear. svd cuts the result to the rank of the first");
    v.field("density", density,
            "share of an adapter's numbers that ties, dare and magnitude_prune keep; default 0.5",
            Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
    v.field("seed", seed, "of the numbers that dare_… drops; default 0", at_least(0));
  }
};

bool prunes(const std::string& how) {
  return how.starts_with("ties") || how.starts_with("dare") || how.starts_with("magnitude");
}

// Nothing if the adapters act one after the other. Errors: kUsage for options without effect.
std::optional<Combination> combination_of(const MergeOptions& o) {
  const auto needs = [](bool given, const char* option, bool used, const char* what) {
    require(!given || used, ErrorKind::kUsage, option, "has no effect without {}", what);
  };
  const bool combines = o.combination.has_value() || !o.weight.empty();
  const std::string how = o.combination.value_or("linear");
  needs(o.density.has_value(), "--density", combines && prunes(how),
        "a combination that prunes (ties, dare_…, magnitude_prune)");
  needs(o.seed.has_value(), "--seed", combines && how.starts_with("dare"), "--combination dare_…");
  if (!combines) return std::nullopt;
  Combination c{.how = how,
                .weights = o.weight,
                .density = o.density.value_or(0.5),
                .rng = Rng(static_cast<uint64_t>(o.seed.value_or(0)))};
  if (c.weights.empty()) c.weights.assign(o.adapter.size(), 1.0);
  require(c.weights.size() == o.adapter.size(), ErrorKind::kUsage, "--weight",
          "is given {} times for {} adapters; give one for each", c.weights.size(),
          o.adapter.size());
  return c;
}

int run_merge(const MergeOptions& options, CommandContext& context) {
  require(!options.adapter.empty(), ErrorKind::kUsage, "merge",
          "no adapter is given; name at least one with --adapter DIR");
  return run_export(options, context, combination_of(options));
}

}  // namespace

Command merge_command() {
  return make_command<MergeOptions>(
      {.name = "merge",
       .summary = "make adapters part of a model's weights",
       .help =
           "Changes the weights as the adapters do and writes a folder that transformers can load, "
           "with\nthe logits that the model has with the adapters. A head that is tied to the token "
           "table is untied\nwhere an adapter acts on one of the two. Quantised weights are decoded "
           "first.\n\nWithout --combination several adapters act one after the other. With it, "
           "LoRAs become one first, as\nby PEFT's add_weighted_adapter.\n\n"
           "  lathe merge runs/demo/model --adapter runs/adapter --out /tmp/merged\n"
           "  lathe merge BASE --adapter A --adapter B --weight 0.7 --weight 0.4 --combination ties "
           "--out C\n"},
      run_merge);
}

}  // namespace lathe
