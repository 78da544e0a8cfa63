// How to choose the next token: keys, files, and the defaults, with which every filter is off.
//
// Key names are those of the Hugging Face generation_config.json where one exists there, of the
// OpenAI API or of llama.cpp otherwise.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

struct GenerationConfig {
  int64_t max_new_tokens = 256;
  double temperature = 1.0;
  int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  double typical_p = 1.0;
  double repetition_penalty = 1.0;
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  int64_t no_repeat_ngram_size = 0;
  double dry_multiplier = 0.0;
  double dry_base = 1.75;
  int64_t dry_allowed_length = 2;
  int64_t dry_range = 0;
  std::vector<int64_t> dry_sequence_breaker_ids = {};
  int64_t seed = 0;
  std::vector<std::string> stop = {};
  std::vector<int64_t> eos_token_id = {};
  bool ignore_eos = false;

  bool greedy() const { return temperature == 0; }

  template <class V>
  void visit(V& v) {
    v.field("max_new_tokens", max_new_tokens, "most tokens to write", at_least(0));
    v.field("temperature", temperature, "divides the logits; 0 takes the likeliest token each time",
            at_least(0));
    v.field("top_k", top_k, "keep this many likeliest tokens; 0 keeps all", at_least(0));
    v.field("top_p", top_p,
            "keep the likeliest tokens that together have this probability; 1 keeps all",
            between(0, 1));
    v.field("min_p", min_p, "drop tokens less likely than this times the likeliest; 0 drops none",
            between(0, 1));
    v.field("typical_p", typical_p,
            "keep the tokens of most ordinary surprise that together have this probability; 1 "
            "keeps all",
            Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
    v.field("repetition_penalty", repetition_penalty,
            "makes tokens seen in prompt and answer less likely when above 1", above(0));
    v.field("presence_penalty", presence_penalty,
            "subtracted from the logit of every token written so far", between(-2, 2));
    v.field("frequency_penalty", frequency_penalty,
            "subtracted from the logit of a token for each time it was written", between(-2, 2));
    v.field("no_repeat_ngram_size", no_repeat_ngram_size,
            "never write this many tokens in a row twice; 0 allows it", at_least(0));
    v.field("dry_multiplier", dry_multiplier,
            "DRY: penalty for going on with a repeated passage; 0 is off", at_least(0));
    v.field("dry_base", dry_base, "DRY: growth of the penalty for each further token repeated",
            at_least(1));
    v.field("dry_allowed_length", dry_allowed_length, "DRY: repeats shorter than this cost nothing",
            at_least(1));
    v.field("dry_range", dry_range, "DRY: look back this many tokens; 0 looks at all", at_least(0));
    v.field("dry_sequence_breaker_ids", dry_sequence_breaker_ids,
            "DRY: token ids that no repeat reaches across, e.g. line breaks", at_least(0));
    v.field("seed", seed, "of the random choice: the same seed, the same text", at_least(0));
    v.field("stop", stop, "texts that end the answer");
    v.field("eos_token_id", eos_token_id,
            "token ids that end the answer, each of them; none: those in config.json",
            at_least(0));
    v.field("ignore_eos", ignore_eos, "go on after an end-of-sequence token");
  }
};

// The content of a generation_config.json. Keys that Lathe does not know, and those that are null,
// are passed over; "do_sample": false makes the temperature 0; eos_token_id may be one id or a list.
// Error kConfig for a wrong type or a value outside its limits.
GenerationConfig read_generation_config(const nlohmann::ordered_json& tree, std::string_view where);

// The keys of generation_config.json that differ from the defaults, with do_sample.
nlohmann::ordered_json write_generation_config(const GenerationConfig& config);

}  // namespace lathe
