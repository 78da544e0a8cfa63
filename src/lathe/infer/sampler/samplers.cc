#include "lathe/infer/sampler/samplers.h"

#include "lathe/infer/sampler/count_penalties.h"
#include "lathe/infer/sampler/dry.h"
#include "lathe/infer/sampler/min_p.h"
#include "lathe/infer/sampler/no_repeat_ngram.h"
#include "lathe/infer/sampler/repetition_penalty.h"
#include "lathe/infer/sampler/temperature.h"
#include "lathe/infer/sampler/top_k.h"
#include "lathe/infer/sampler/top_p.h"
#include "lathe/infer/sampler/typical.h"

namespace lathe {
namespace {

using Config = GenerationConfig;
using History = TokenHistory;
using Logits = std::span<float>;

DrySpec dry_spec(const Config& c) {
  return {.multiplier = c.dry_multiplier,
          .base = c.dry_base,
          .allowed_length = c.dry_allowed_length,
          .range = c.dry_range,
          .breakers = c.dry_sequence_breaker_ids};
}

constexpr SamplerInfo kTable[] = {
    {"repetition_penalty", "repetition_penalty", "Keskar et al. 2019, arXiv:1909.05858",
     "divides positive and multiplies negative logits of tokens already in the text", false,
     [](const Config& c) { return c.repetition_penalty != 1; },
     [](const Config& c, const History& h, Logits l) {
       repetition_penalty(l, h, c.repetition_penalty);
     }},
    {"count_penalties", "presence_penalty, frequency_penalty", "OpenAI API",
     "subtracts from the logits of generated tokens, once and per occurrence", false,
     [](const Config& c) { return c.presence_penalty != 0 || c.frequency_penalty != 0; },
     [](const Config& c, const History& h, Logits l) {
       count_penalties(l, h.generated, c.presence_penalty, c.frequency_penalty);
     }},
    {"dry", "dry_multiplier, dry_base, dry_allowed_length, dry_range, dry_sequence_breaker_ids",
     "Weidmann 2024, text-generation-webui",
     "subtracts from the logits of tokens that would continue a repeat", false,
     [](const Config& c) { return c.dry_multiplier > 0; },
     [](const Config& c, const History& h, Logits l) { dry(l, h, dry_spec(c)); }},
    {"no_repeat_ngram", "no_repeat_ngram_size", "Paulus et al. 2017, arXiv:1705.04304",
     "removes tokens that would complete an n-gram already in the text", false,
     [](const Config& c) { return c.no_repeat_ngram_size > 0; },
     [](const Config& c, const History& h, Logits l) {
       no_repeat_ngram(l, h, c.no_repeat_ngram_size);
     }},
    {"temperature", "temperature", "Ackley et al. 1985",
     "below 1 sharpens, above 1 flattens the distribution; 0 is greedy", true,
     [](const Config& c) { return c.temperature != 1; },
     [](const Config& c, const History&, Logits l) { temperature(l, c.temperature); }},
    {"top_k", "top_k", "Fan et al. 2018, arXiv:1805.04833", "keeps the k most likely tokens", true,
     [](const Config& c) { return c.top_k > 0; },
     [](const Config& c, const History&, Logits l) { top_k(l, c.top_k); }},
    {"top_p", "top_p", "Holtzman et al. 2020, arXiv:1904.09751",
     "keeps the most likely tokens that together reach a probability (nucleus)", true,
     [](const Config& c) { return c.top_p < 1; },
     [](const Config& c, const History&, Logits l) { top_p(l, c.top_p); }},
    {"min_p", "min_p", "Nguyen et al. 2024, arXiv:2407.01082",
     "drops tokens far less likely than the most likely one", true,
     [](const Config& c) { return c.min_p > 0; },
     [](const Config& c, const History&, Logits l) { min_p(l, c.min_p); }},
    {"typical", "typical_p", "Meister et al. 2023, arXiv:2202.00666",
     "keeps tokens whose surprise is nearest to the expected one", true,
     [](const Config& c) { return c.typical_p < 1; },
     [](const Config& c, const History&, Logits l) { typical(l, c.typical_p); }},
};

}  // namespace

const std::span<const SamplerInfo> kSamplers = kTable;

}  // namespace lathe
