// How to choose the next token: keys, files, and the defaults, which turn every filter off.
//
// Key names are those of Hugging Face's generation_config.json if one exists there, otherwise those
// of the OpenAI API or of llama.cpp.
#pragma once

#include <cstdint>
#include <map>
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
  double top_n_sigma = 0.0;
  double dynatemp_range = 0.0;
  double dynatemp_exponent = 1.0;
  double xtc_probability = 0.0;
  double xtc_threshold = 0.1;
  int64_t mirostat = 0;
  double mirostat_tau = 5.0;
  double mirostat_eta = 0.1;
  std::map<int64_t, double> logit_bias = {};
  std::vector<std::string> sampler_order = {};
  int64_t num_beams = 1;
  int64_t num_beam_groups = 1;
  double length_penalty = 1.0;
  double diversity_penalty = 0.0;
  bool early_stopping = false;
  double penalty_alpha = 0.0;
  int64_t seed = 0;
  std::vector<std::string> stop = {};
  std::vector<int64_t> eos_token_id = {};
  bool ignore_eos = false;

  bool contrastive() const { return penalty_alpha > 0; }
  // A search keeps several texts open at a time, and draws nothing.
  bool searches() const { return num_beams > 1 || contrastive(); }
  int64_t open_texts() const {
    return num_beams > 1 ? num_beams : contrastive() && top_k > 1 ? top_k : 1;
  }
  // Whether nothing is drawn: the most likely token, or what a search finds.
  bool greedy() const { return temperature == 0 || searches(); }

  void visit(Visitor& v);
};

// The content of a generation_config.json. Keys that Lathe does not know, and those that are null,
// are ignored; "do_sample": false makes the temperature 0, and true the penalty_alpha, which
// transformers reads only where nothing is drawn; eos_token_id may be one id or a list.
// Throws kConfig for a wrong type or a value outside its limits.
GenerationConfig read_generation_config(const nlohmann::ordered_json& tree, std::string_view where);

}  // namespace lathe
