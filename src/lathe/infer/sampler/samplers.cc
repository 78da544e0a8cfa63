#include "lathe/infer/sampler/samplers.h"

#include <algorithm>

#include "lathe/infer/sampler/count_penalties.h"
#include "lathe/infer/sampler/dry.h"
#include "lathe/infer/sampler/dynamic_temperature.h"
#include "lathe/infer/sampler/logit_bias.h"
#include "lathe/infer/sampler/min_p.h"
#include "lathe/infer/sampler/no_repeat_ngram.h"
#include "lathe/infer/sampler/repetition_penalty.h"
#include "lathe/infer/sampler/temperature.h"
#include "lathe/infer/sampler/top_k.h"
#include "lathe/infer/sampler/top_n_sigma.h"
#include "lathe/infer/sampler/top_p.h"
#include "lathe/infer/sampler/typical.h"
#include "lathe/infer/sampler/xtc.h"

namespace lathe {
namespace {

using Config = GenerationConfig;
using Step = SamplerStep;
using Logits = std::span<float>;

DrySpec dry_spec(const Config& c) {
  return {.multiplier = c.dry_multiplier,
          .base = c.dry_base,
          .allowed_length = c.dry_allowed_length,
          .range = c.dry_range,
          .breakers = c.dry_sequence_breaker_ids};
}

Mirostat mirostat_spec(const Config& c) {
  return {.version = c.mirostat, .target = c.mirostat_tau, .learning_rate = c.mirostat_eta};
}

constexpr SamplerInfo kTable[] = {
    {"logit_bias", "logit_bias", "OpenAI API", "adds to the logits of given tokens", false,
     [](const Config& c) { return !c.logit_bias.empty(); },
     [](const Config& c, const Step&, Logits l) { logit_bias(l, c.logit_bias); }},
    {"repetition_penalty", "repetition_penalty", "Keskar et al. 2019, arXiv:1909.05858",
     "divides positive and multiplies negative logits of tokens already in the text", false,
     [](const Config& c) { return c.repetition_penalty != 1; },
     [](const Config& c, const Step& s, Logits l) {
       repetition_penalty(l, s.history, c.repetition_penalty);
     }},
    {"count_penalties", "presence_penalty, frequency_penalty", "OpenAI API",
     "subtracts from the logits of generated tokens, once and per occurrence", false,
     [](const Config& c) { return c.presence_penalty != 0 || c.frequency_penalty != 0; },
     [](const Config& c, const Step& s, Logits l) {
       count_penalties(l, s.history.generated, c.presence_penalty, c.frequency_penalty);
     }},
    {"dry", "dry_multiplier, dry_base, dry_allowed_length, dry_range, dry_sequence_breaker_ids",
     "Weidmann 2024, text-generation-webui",
     "subtracts from the logits of tokens that would continue a repeat", false,
     [](const Config& c) { return c.dry_multiplier > 0; },
     [](const Config& c, const Step& s, Logits l) { dry(l, s.history, dry_spec(c)); }},
    {"no_repeat_ngram", "no_repeat_ngram_size", "Paulus et al. 2017, arXiv:1705.04304",
     "removes tokens that would complete an n-gram already in the text", false,
     [](const Config& c) { return c.no_repeat_ngram_size > 0; },
     [](const Config& c, const Step& s, Logits l) {
       no_repeat_ngram(l, s.history, c.no_repeat_ngram_size);
     }},
    {"top_n_sigma", "top_n_sigma", "Tang et al. 2024, arXiv:2411.07641",
     "keeps tokens whose logit is within n standard deviations of the largest", true,
     [](const Config& c) { return c.top_n_sigma > 0; },
     [](const Config& c, const Step&, Logits l) { top_n_sigma(l, c.top_n_sigma); }},
    {"temperature", "temperature", "Ackley et al. 1985",
     "below 1 sharpens, above 1 flattens the distribution; 0 is greedy", true,
     [](const Config& c) { return c.temperature != 1 && c.dynatemp_range == 0; },
     [](const Config& c, const Step&, Logits l) { temperature(l, c.temperature); }},
    {"dynamic_temperature", "temperature, dynatemp_range, dynatemp_exponent",
     "kalomaze 2023, llama.cpp", "a temperature that grows with the entropy of the distribution",
     true, [](const Config& c) { return c.dynatemp_range > 0; },
     [](const Config& c, const Step&, Logits l) {
       dynamic_temperature(l, {c.temperature, c.dynatemp_range, c.dynatemp_exponent});
     }},
    {"top_k", "top_k", "Fan et al. 2018, arXiv:1805.04833", "keeps the k most likely tokens", true,
     [](const Config& c) { return c.top_k > 0; },
     [](const Config& c, const Step&, Logits l) { top_k(l, c.top_k); }},
    {"top_p", "top_p", "Holtzman et al. 2020, arXiv:1904.09751",
     "keeps the most likely tokens that together reach a probability (nucleus)", true,
     [](const Config& c) { return c.top_p < 1; },
     [](const Config& c, const Step&, Logits l) { top_p(l, c.top_p); }},
    {"min_p", "min_p", "Nguyen et al. 2024, arXiv:2407.01082",
     "drops tokens far less likely than the most likely one", true,
     [](const Config& c) { return c.min_p > 0; },
     [](const Config& c, const Step&, Logits l) { min_p(l, c.min_p); }},
    {"typical", "typical_p", "Meister et al. 2023, arXiv:2202.00666",
     "keeps tokens whose surprise is nearest to the expected one", true,
     [](const Config& c) { return c.typical_p < 1; },
     [](const Config& c, const Step&, Logits l) { typical(l, c.typical_p); }},
    {"xtc", "xtc_probability, xtc_threshold", "Weidmann 2024, text-generation-webui",
     "now and then removes the most likely of several good tokens", true,
     [](const Config& c) { return c.xtc_probability > 0; },
     [](const Config& c, const Step& s, Logits l) {
       xtc(l, {c.xtc_probability, c.xtc_threshold}, s.rng.fork("xtc"));
     }},
    {"mirostat", "mirostat, mirostat_tau, mirostat_eta", "Basu et al. 2020, arXiv:2007.14966",
     "holds the surprise of the text near a target by a feedback; always the last", true,
     [](const Config& c) { return c.mirostat != 0; },
     [](const Config& c, const Step& s, Logits l) {
       mirostat(l, mirostat_spec(c), s.state.mirostat);
     },
     [](const Config& c, float logit, SamplerState& state) {
       observe_mirostat(logit, mirostat_spec(c), state.mirostat);
     }},
};

}  // namespace

const std::span<const SamplerInfo> kSamplers = kTable;

const SamplerInfo* sampler_without_effect(const GenerationConfig& config) {
  if (!config.searches()) return nullptr;
  GenerationConfig draws = config;
  if (draws.temperature == 0) draws.temperature = 1;  // asks for no draw either
  if (draws.contrastive()) draws.top_k = 0;           // its candidates
  const auto found = std::ranges::find_if(
      kTable, [&](const SamplerInfo& s) { return s.samples_only && s.active(draws); });
  return found == std::ranges::end(kTable) ? nullptr : found;
}

}  // namespace lathe
