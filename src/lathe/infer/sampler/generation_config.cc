#include "lathe/infer/sampler/generation_config.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"

namespace lathe {

void GenerationConfig::visit(Visitor& v) {
  v.field("max_new_tokens", max_new_tokens, "maximum number of tokens to generate", at_least(0));
  v.field("temperature", temperature, "divides the logits; 0 always takes the most likely token",
          between(0, 100));
  v.field("top_k", top_k, "keep this many of the most likely tokens; 0 keeps all", at_least(0));
  v.field("top_p", top_p,
          "keep the most likely tokens that together have this probability; 1 keeps all",
          between(0, 1));
  v.field("min_p", min_p,
          "drop tokens less likely than this times the most likely token; 0 drops none",
          between(0, 1));
  v.field("typical_p", typical_p,
          "keep the most typical tokens that together have this probability; 1 keeps all",
          Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v.field("repetition_penalty", repetition_penalty,
          "above 1 makes tokens that the prompt or answer already contains less likely", above(0));
  v.field("presence_penalty", presence_penalty,
          "subtracted from the logit of every token generated so far", between(-2, 2));
  v.field("frequency_penalty", frequency_penalty,
          "subtracted from the logit of a token for each time it was generated", between(-2, 2));
  v.field("no_repeat_ngram_size", no_repeat_ngram_size,
          "never repeat an n-gram of this many tokens; 0 allows repeats", at_least(0));
  v.field("dry_multiplier", dry_multiplier,
          "DRY: penalty for continuing a repeated passage; 0 is off", at_least(0));
  v.field("dry_base", dry_base, "DRY: factor on the penalty for each further repeated token",
          at_least(1));
  v.field("dry_allowed_length", dry_allowed_length,
          "DRY: repeats shorter than this are not penalised", at_least(1));
  v.field("dry_range", dry_range, "DRY: number of tokens to look back; 0 looks at all",
          at_least(0));
  v.field("dry_sequence_breaker_ids", dry_sequence_breaker_ids,
          "DRY: token ids that end a repeat, e.g. line breaks", at_least(0));
  v.field("top_n_sigma", top_n_sigma,
          "keep tokens whose logit is within this many standard deviations of the largest; 0 keeps "
          "all",
          at_least(0));
  v.field("dynatemp_range", dynatemp_range,
          "the temperature moves by this much up and down with the entropy; 0 keeps it fixed",
          at_least(0));
  v.field("dynatemp_exponent", dynatemp_exponent,
          "dynamic temperature: power of the relative entropy", at_least(0));
  v.field("xtc_probability", xtc_probability,
          "XTC: how often the most likely tokens are removed; 0 is never", between(0, 1));
  v.field("xtc_threshold", xtc_threshold,
          "XTC: removes tokens of at least this probability, except the least likely of them",
          between(0, 1));
  v.field("mirostat", mirostat, "Mirostat: version 1 or 2; 0 is off", between(0, 2));
  v.field("mirostat_tau", mirostat_tau, "Mirostat: target surprise in bits per token", at_least(0));
  v.field("mirostat_eta", mirostat_eta, "Mirostat: learning rate of its bound", at_least(0));
  v.field("logit_bias", logit_bias, "added to the logits of these token ids", between(-100, 100));
  v.field("sampler_order", sampler_order,
          "samplers in the order in which they run, which must name all that other keys turn on; "
          "without it they run in the order of the catalogue");
  v.field("num_beams", num_beams,
          "beam search: texts that are open at a time; 1 is off. Nothing is drawn, and the answer "
          "comes at the end",
          between(1, 256));
  v.field("num_beam_groups", num_beam_groups, "beam search: groups of beams that avoid each other",
          between(1, 256));
  v.field("length_penalty", length_penalty,
          "beam search: log-probabilities are divided by the length to this power; above 0 favours "
          "longer answers",
          between(-10, 10));
  v.field("diversity_penalty", diversity_penalty,
          "beam search: subtracted for each earlier group that takes the same token", at_least(0));
  v.field("early_stopping", early_stopping,
          "beam search: end as soon as there are as many whole answers as beams");
  v.field(
      "penalty_alpha", penalty_alpha,
      "contrastive search: weight of the penalty for a candidate whose hidden state is like that "
      "of a token before; the candidates are the top_k most likely tokens, at least 2. 0 is off",
      between(0, 1));
  v.field("seed", seed, "seed of the sampling; the same seed gives the same text", at_least(0));
  v.field("stop", stop, "strings that end the answer");
  v.field("eos_token_id", eos_token_id,
          "token ids that end the answer (default: those in config.json)", at_least(0));
  v.field("ignore_eos", ignore_eos, "continue after an end-of-sequence token");
}

using Json = nlohmann::ordered_json;

GenerationConfig read_generation_config(const Json& tree, std::string_view where) {
  require(tree.is_object(), ErrorKind::kConfig, where, "expected a JSON object, got {}",
          tree.type_name());
  Json known = Json::object();
  for (const auto& [key, value] : tree.items())
    if (!value.is_null()) known[key] = value;
  if (const auto eos = known.find("eos_token_id"); eos != known.end() && eos->is_number())
    *eos = Json::array({*eos});
  GenerationConfig config;
  std::vector<std::string> unknown;
  read_config(config, known, where, {.unknown = &unknown});
  if (const auto sample = known.find("do_sample"); sample != known.end()) {
    require(sample->is_boolean(), ErrorKind::kConfig, where,
            "do_sample is {}, expected true or false", sample->dump());
    if (!sample->get<bool>())
      config.temperature = 0;
    else
      config.penalty_alpha = 0;
  }
  return config;
}

}  // namespace lathe
