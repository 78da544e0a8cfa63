// What each router computes, written again from the papers in scalar double, against the layer.

#include "nn/moe_testing.h"

namespace lathe::testing {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double activated(const std::string& name, double x) {
  return name == "gelu" ? 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))) : x * sigmoid(x);
}

// Row `row` of a matrix of `width` columns times x, plus bias[row].
double product(const Values& matrix, int64_t row, const Values& x, const Values& bias) {
  double sum = bias.empty() ? 0 : bias[static_cast<size_t>(row)];
  for (size_t c = 0; c < x.size(); ++c)
    sum += matrix[static_cast<size_t>(row) * x.size() + c] * x[c];
  return sum;
}

struct Pick {
  int64_t expert;
  double gate;
};

// The layer, one token at a time.
class Plain {
 public:
  Plain(const MoeCase& c, const MoeLayer& layer) : case_(c), config_(c.config), layer_(layer) {}

  Values outputs(const Values& input) {
    const int64_t count = kBatch * kTokens;
    for (int64_t n = 0; n < count; ++n)
      tokens_.emplace_back(input.begin() + n * kWidth, input.begin() + (n + 1) * kWidth);
    if (config_.jitter_experts) add_noise(tokens_, "jitter");
    std::vector<Values> seen = tokens_;
    if (!config_.jitter_experts && case_.training) add_noise(seen, "router_jitter");
    for (const Values& x : seen) {
      logits_.emplace_back();
      for (int64_t e = 0; e < config_.num_experts; ++e)
        logits_.back().push_back(
            product(layer_.weights("router.weight"), e, x, layer_.weights("router.bias")));
    }
    picks_.resize(static_cast<size_t>(count));
    route();
    Values all;
    for (int64_t n = 0; n < count; ++n) {
      const Values y = output_of(n);
      all.insert(all.end(), y.begin(), y.end());
    }
    return all;
  }

  int64_t dropped() const { return dropped_; }

 private:
  void add_noise(std::vector<Values>& tokens, const char* stream) {
    const Rng rng = Rng(17).fork(stream);
    uint64_t i = 0;
    for (Values& x : tokens)
      for (double& value : x)
        value *=
            1 + config_.router_jitter_noise * (2.0 * static_cast<double>(rng.uniform(i++)) - 1);
  }

  static Values probabilities(const Values& logits) {
    Values p;
    for (double x : logits) p.push_back(std::exp(x));
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= sum;
    return p;
  }

  // Indices by falling value.
  static std::vector<int64_t> ranking(const Values& values) {
    std::vector<int64_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
    });
    return order;
  }

  // Values of experts outside the best groups become -1000.
  Values within_groups(const Values& values, int64_t best) const {
    const int64_t size = config_.num_experts / config_.n_group;
    Values score;
    for (int64_t g = 0; g < config_.n_group; ++g) {
      Values group(values.begin() + g * size, values.begin() + (g + 1) * size);
      std::sort(group.rbegin(), group.rend());
      score.push_back(std::accumulate(group.begin(), group.begin() + best, 0.0));
    }
    Values out(values.size(), -1000);
    const auto order = ranking(score);
    for (int64_t i = 0; i < config_.topk_group; ++i)
      for (int64_t e = order[static_cast<size_t>(i)] * size;
           e < (order[static_cast<size_t>(i)] + 1) * size; ++e)
        out[static_cast<size_t>(e)] = values[static_cast<size_t>(e)];
    return out;
  }

  void route() {
    if (config_.router == "switch") return route_switch();
    if (config_.router == "gshard") return route_gshard();
    if (config_.router == "expert_choice") return route_expert_choice();
    for (size_t n = 0; n < tokens_.size(); ++n) {
      const bool sigmoids = config_.router == "sigmoid";
      Values scores = probabilities(logits_[n]);
      if (sigmoids) std::ranges::transform(logits_[n], scores.begin(), sigmoid);
      Values biased = scores;
      const Values bias = layer_.weights("router.e_score_correction_bias");
      for (size_t e = 0; e < bias.size(); ++e) biased[e] += bias[e];
      if (config_.n_group > 1) biased = within_groups(biased, sigmoids ? 2 : 1);
      const auto order = ranking(biased);
      double sum = 0;
      for (int64_t j = 0; j < config_.num_experts_per_tok; ++j)
        sum += scores[static_cast<size_t>(order[static_cast<size_t>(j)])];
      for (int64_t j = 0; j < config_.num_experts_per_tok; ++j) {
        const int64_t e = order[static_cast<size_t>(j)];
        const double gate = scores[static_cast<size_t>(e)] / (config_.norm_topk_prob ? sum : 1.0);
        picks_[n].push_back({e, gate * config_.routed_scaling_factor});
      }
    }
  }

  int64_t capacity(double per_token) const {
    if (config_.expert_capacity) return *config_.expert_capacity;
    if (config_.capacity_factor == 0 || !case_.training) return kTokens * config_.num_experts;
    const double even = per_token * kTokens / static_cast<double>(config_.num_experts);
    return static_cast<int64_t>(std::ceil(config_.capacity_factor * even));
  }

  void route_switch() {
    for (int64_t b = 0; b < kBatch; ++b) {
      std::map<int64_t, int64_t> load;
      for (int64_t n = b * kTokens; n < (b + 1) * kTokens; ++n) {
        const Values p = probabilities(logits_[static_cast<size_t>(n)]);
        const int64_t e = ranking(p)[0];
        if (++load[e] <= capacity(1))
          picks_[static_cast<size_t>(n)].push_back({e, p[static_cast<size_t>(e)]});
        else
          ++dropped_;
      }
    }
  }

  void route_gshard() {
    const Rng chance = Rng(17).fork("second_expert");
    for (int64_t b = 0; b < kBatch; ++b) {
      std::map<int64_t, int64_t> load;
      for (int which : {0, 1})
        for (int64_t n = b * kTokens; n < (b + 1) * kTokens; ++n) {
          const Values p = probabilities(logits_[static_cast<size_t>(n)]);
          const auto order = ranking(p);
          const double g1 = p[static_cast<size_t>(order[0])], g2 = p[static_cast<size_t>(order[1])];
          const double gate = (which == 0 ? g1 : g2) / (g1 + g2);
          const double drawn = static_cast<double>(chance.uniform(static_cast<uint64_t>(n)));
          if (which == 1 && case_.training && 2 * gate <= drawn) continue;
          const int64_t e = order[static_cast<size_t>(which)];
          if (++load[e] <= capacity(2))
            picks_[static_cast<size_t>(n)].push_back({e, gate});
          else
            ++dropped_;
        }
    }
  }

  void route_expert_choice() {
    const double per_token = static_cast<double>(config_.num_experts_per_tok);
    const double factor = config_.capacity_factor > 0 ? config_.capacity_factor : 1.0;
    const auto each = static_cast<int64_t>(
        std::ceil(factor * per_token * kTokens / static_cast<double>(config_.num_experts)));
    for (int64_t b = 0; b < kBatch; ++b)
      for (int64_t e = 0; e < config_.num_experts; ++e) {
        Values column;
        for (int64_t t = 0; t < kTokens; ++t)
          column.push_back(
              probabilities(logits_[static_cast<size_t>(b * kTokens + t)])[static_cast<size_t>(e)]);
        const auto order = ranking(column);
        for (int64_t j = 0; j < each; ++j) {
          const int64_t t = order[static_cast<size_t>(j)];
          picks_[static_cast<size_t>(b * kTokens + t)].push_back(
              {e, column[static_cast<size_t>(t)] * config_.routed_scaling_factor});
        }
      }
  }

  // One feed-forward layer whose weights begin with expert `expert` of the named stack.
  Values feed_forward(const std::string& stack, int64_t expert, int64_t width,
                      const Values& x) const {
    const bool gated = config_.expert == "gated";
    const std::string up = stack + (gated ? "gate_up" : "up");
    Values h;
    for (int64_t i = 0; i < width; ++i) {
      const int64_t first = expert * width * (gated ? 2 : 1) + i;
      const auto row = [&](int64_t r) {
        return product(layer_.weights(up + ".weight"), r, x, layer_.weights(up + ".bias"));
      };
      h.push_back(activated(case_.activation, row(first)) * (gated ? row(first + width) : 1.0));
    }
    Values y;
    for (int64_t i = 0; i < kWidth; ++i)
      y.push_back(product(layer_.weights(stack + "down.weight"), expert * kWidth + i, h,
                          layer_.weights(stack + "down.bias")));
    return y;
  }

  Values output_of(int64_t n) const {
    const Values& x = tokens_[static_cast<size_t>(n)];
    Values y(kWidth, 0.0);
    const auto add = [&](const Values& part, double factor) {
      for (size_t c = 0; c < y.size(); ++c) y[c] += factor * part[c];
    };
    const int64_t width = *config_.moe_intermediate_size;
    for (const Pick& p : picks_[static_cast<size_t>(n)])
      add(feed_forward("experts.", p.expert, width, x), p.gate);
    if (const int64_t shared = config_.shared_width(width); shared > 0) {
      const double gate = config_.shared_expert_gate
                              ? sigmoid(product(layer_.weights("shared_gate.weight"), 0, x, {}))
                              : 1.0;
      add(feed_forward("shared.", 0, shared, x), gate);
    }
    return y;
  }

  const MoeCase& case_;
  const MoeConfig& config_;
  const MoeLayer& layer_;
  std::vector<Values> tokens_, logits_;
  std::vector<std::vector<Pick>> picks_;
  int64_t dropped_ = 0;
};

class MoeReference : public ::testing::TestWithParam<MoeCase> {};

TEST_P(MoeReference, LayerComputesWhatThePapersSay) {
  MoeLayer layer(GetParam(), kSpecification);
  Plain plain(GetParam(), layer);
  const Values want = plain.outputs(moe_input());
  const Var y = layer.run(layer.pass(), moe_input(kSpecification, nullptr));
  EXPECT_LE(error_of(y.value.to_vector(), want), 1e-12);
  layer.statistics().end_micro_batch();
  ASSERT_EQ(layer.statistics().layers().size(), 1u);
  EXPECT_EQ(layer.statistics().layers()[0].dropped, static_cast<double>(plain.dropped()));
  EXPECT_EQ(layer.statistics().layers()[0].tokens, static_cast<double>(kBatch * kTokens));
}

INSTANTIATE_TEST_SUITE_P(, MoeReference, ::testing::ValuesIn(moe_cases()), moe_case_name);

// The cases must have something to drop, or the path is not tested.
TEST(MoeCases, CapacityDropsTokensInTheCasesThatHaveOne) {
  for (const MoeCase& c : moe_cases()) {
    MoeLayer layer(c, kSpecification);
    layer.run(layer.pass(), moe_input(kSpecification, nullptr));
    layer.statistics().end_micro_batch();
    const bool limited = c.name.starts_with("switch") || c.name == "gshard";
    EXPECT_EQ(layer.statistics().layers()[0].dropped > 0, limited) << c.name;
  }
}

}  // namespace
}  // namespace lathe::testing
