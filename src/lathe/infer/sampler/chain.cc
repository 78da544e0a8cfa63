#include "lathe/infer/sampler/chain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/temperature.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "sampler";

void check_logits(std::span<const float> logits) {
  require(!logits.empty() && logits.size() <= std::numeric_limits<int32_t>::max(),
          ErrorKind::kShape, kWhere, "a row of {} logits", logits.size());
  for (size_t i = 0; i < logits.size(); ++i)
    require(logits[i] < std::numeric_limits<float>::infinity(), ErrorKind::kNumeric, kWhere,
            "the logit of token {} is {}; the model or its precision is broken", i, logits[i]);
}

int64_t possible(std::span<const float> logits) {
  return std::count_if(logits.begin(), logits.end(), [](float l) { return l != kRemoved; });
}

// The token at which the running sum of probabilities, in order of id, passes `uniform`.
int32_t draw(const std::vector<Probability>& candidates, double uniform) {
  double total = 0;
  for (const Probability& p : candidates) total += p.value;
  const double target = uniform * total;
  double sum = 0;
  int32_t last = candidates.front().id;
  for (const Probability& p : candidates) {
    if (p.value == 0) continue;
    sum += p.value;
    last = p.id;
    if (sum > target) break;
  }
  return last;
}

// The samplers that the configuration turns on, in its order.
std::vector<const SamplerInfo*> active_samplers(const GenerationConfig& config) {
  constexpr std::string_view kKey = "sampler_order";
  std::vector<const SamplerInfo*> order;
  for (const std::string& name : config.sampler_order) {
    const SamplerInfo* sampler = &find_in(kSamplers, kKey, name);
    require(std::ranges::find(order, sampler) == order.end(), ErrorKind::kConfig, kKey,
            "{} is listed twice; each sampler runs once", name);
    order.push_back(sampler);
  }
  if (order.empty())
    for (const SamplerInfo& sampler : kSamplers) order.push_back(&sampler);
  for (const SamplerInfo& sampler : kSamplers)
    require(!sampler.active(config) || std::ranges::find(order, &sampler) != order.end(),
            ErrorKind::kConfig, kKey,
            "{} is not listed, but {} turns it on; add it to the list or leave that at its default",
            sampler.name, sampler.keys);
  std::erase_if(order, [&](const SamplerInfo* s) {
    return !s->active(config) || (s->samples_only && config.greedy());
  });
  for (size_t i = 0; i + 1 < order.size(); ++i)
    require(order[i]->observe == nullptr, ErrorKind::kConfig, kKey,
            "{} runs behind {}, which must be the last: it measures what is drawn from its row",
            order[i + 1]->name, order[i]->name);
  return order;
}

}  // namespace

SamplerChain::SamplerChain(GenerationConfig config) {
  read_config(config_, write_config(config), kWhere);  // the limits of visit() hold here too
  samplers_ = active_samplers(config_);
}

int32_t SamplerChain::choose(std::span<const float> logits, const Rng& rng) const {
  const auto require_left = [&](bool left) {
    require(left, ErrorKind::kNumeric, kWhere, "no token is left after {}; loosen it",
            samplers_.empty() ? "the model" : samplers_.back()->name);
  };
  if (config_.greedy()) {
    const int32_t best = greedy_choice(logits);
    require_left(logits[static_cast<size_t>(best)] != kRemoved);
    return best;
  }
  const std::vector<Probability> candidates = probabilities(logits);
  require_left(!candidates.empty());
  return draw(candidates, rng.uniform64(0));
}

int32_t SamplerChain::run(std::span<float> logits, const TokenHistory& history, const Rng& rng,
                          SamplerState& state, std::vector<SamplerReport::Stage>* stages) const {
  check_logits(logits);
  SamplerState changed = state;
  const SamplerStep step{history, rng, changed};
  for (const SamplerInfo* sampler : samplers_) {
    const int64_t before = stages ? possible(logits) : 0;
    sampler->apply(config_, step, logits);
    if (stages) stages->push_back({sampler->name, before, possible(logits)});
  }
  const int32_t chosen = choose(logits, rng);
  for (const SamplerInfo* sampler : samplers_)
    if (sampler->observe) sampler->observe(config_, logits[static_cast<size_t>(chosen)], changed);
  state = changed;
  return chosen;
}

void SamplerChain::process(std::span<float> row, const TokenHistory& history) const {
  SamplerState none;
  const Rng unused(0);
  for (const SamplerInfo* sampler : samplers_)
    sampler->apply(config_, {history, unused, none}, row);
}

int32_t SamplerChain::next(std::span<float> logits, const TokenHistory& history, const Rng& rng,
                           SamplerState& state) const {
  return run(logits, history, rng, state, nullptr);
}

SamplerReport SamplerChain::explain(std::span<float> logits, const TokenHistory& history,
                                    const Rng& rng, SamplerState& state, int64_t most) const {
  check_logits(logits);
  std::vector<double> model(logits.size(), 0.0);
  for (const Probability& p : probabilities(logits)) model[static_cast<size_t>(p.id)] = p.value;

  SamplerReport report;
  report.chosen = run(logits, history, rng, state, &report.stages);
  std::vector<Probability> left;
  if (config_.greedy())
    left = {{report.chosen, 1.0}};
  else
    left = probabilities(logits);
  const auto first = [](const Probability& a, const Probability& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
  };
  const size_t count = std::min(left.size(), static_cast<size_t>(std::max<int64_t>(most, 0)));
  std::partial_sort(left.begin(), left.begin() + static_cast<int64_t>(count), left.end(), first);
  for (const Probability& p : std::span(left).first(count))
    report.candidates.push_back({p.id, model[static_cast<size_t>(p.id)], p.value});
  return report;
}

}  // namespace lathe
