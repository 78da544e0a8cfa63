// Small mixtures of experts for tests: the configurations, a layer with memory and random weights,
// and what it computes written once more, plainly and in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "lathe/nn/moe/moe.h"
#include "lathe/nn/moe/router_statistics.h"

namespace lathe::testing {

using Values = std::vector<double>;

constexpr int64_t kBatch = 2, kTokens = 7, kWidth = 6;

struct MoeCase {
  std::string name;
  MoeConfig config;
  std::string activation = "silu";
  bool bias = false;
  bool training = true;
};
inline std::ostream& operator<<(std::ostream& out, const MoeCase& c) { return out << c.name; }
inline std::string moe_case_name(const ::testing::TestParamInfo<MoeCase>& i) {
  return i.param.name;
}

inline MoeConfig moe_config(const std::string& router, int64_t experts, int64_t per_token) {
  MoeConfig c;
  c.router = router;
  c.num_experts = experts;
  c.num_experts_per_tok = per_token;
  c.moe_intermediate_size = 5;
  c.router_z_loss_coef = 0.3;
  c.router_aux_loss_coef = 0.7;
  return c;
}

inline std::vector<MoeCase> moe_cases() {
  std::vector<MoeCase> all;
  const auto add = [&](const std::string& name, MoeConfig c, auto&& change) -> MoeCase& {
    MoeCase one{.name = name, .config = std::move(c)};
    change(one);
    all.push_back(one);
    return all.back();
  };
  add("mixtral", moe_config("softmax_topk", 4, 2), [](MoeCase&) {});
  add("qwen2", moe_config("softmax_topk", 5, 3), [](MoeCase& c) {
    c.config.norm_topk_prob = false;
    c.config.shared_expert_intermediate_size = 4;
    c.config.shared_expert_gate = true;
  });
  add("deepseek_v2", moe_config("softmax_topk", 8, 3), [](MoeCase& c) {
    c.config.norm_topk_prob = false;
    c.config.routed_scaling_factor = 1.7;
    c.config.n_group = 4;
    c.config.topk_group = 2;
    c.config.n_shared_experts = 2;
    c.config.balance_per_sequence = true;
  });
  add("deepseek_v3", moe_config("sigmoid", 8, 3), [](MoeCase& c) {
    c.config.routed_scaling_factor = 2.5;
    c.config.n_group = 4;
    c.config.topk_group = 2;
    c.config.n_shared_experts = 1;
  });
  add("switch", moe_config("switch", 4, 1), [](MoeCase& c) {
    c.config.expert_capacity = 2;
    c.config.expert = "mlp";
    c.config.router_jitter_noise = 0.2;
    c.config.router_bias = true;
    c.activation = "gelu";
    c.bias = true;
  });
  add("switch_factor", moe_config("switch", 4, 1), [](MoeCase& c) {
    c.config.capacity_factor = 1.0;
    c.bias = true;
  });
  add("gshard", moe_config("gshard", 4, 1), [](MoeCase& c) { c.config.capacity_factor = 0.75; });
  add("gshard_evaluation", moe_config("gshard", 4, 1), [](MoeCase& c) { c.training = false; });
  add("expert_choice", moe_config("expert_choice", 4, 2),
      [](MoeCase& c) { c.config.routed_scaling_factor = 1.5; });
  add("expert_choice_factor", moe_config("expert_choice", 4, 2),
      [](MoeCase& c) { c.config.capacity_factor = 0.5; });
  add("noisy_experts", moe_config("softmax_topk", 4, 2), [](MoeCase& c) {
    c.config.router_jitter_noise = 0.3;
    c.config.jitter_experts = true;
  });
  return all;
}

struct Place {
  DType dtype;
  Device device;
};
inline constexpr Place kSpecification{DType::kF64, Device::kRef};
inline DType wide(DType t) { return t == DType::kF64 ? t : DType::kF32; }

inline Tensor tensor_of(const Values& values, const Shape& shape, const Place& place) {
  return Tensor::of<double>(values, shape, place.device).to(place.dtype);
}

// Random numbers that bf16 holds exactly, so that every type starts from the same ones.
inline Values random_values(int64_t count, const Rng& rng, double scale) {
  Values out;
  for (int64_t i = 0; i < count; ++i)
    out.push_back(
        to_float(to_bf16(static_cast<float>(scale * rng.normal(static_cast<uint64_t>(i))))));
  return out;
}

// A layer with weights, and gradients that hold NaN until they are written.
class MoeLayer {
 public:
  MoeLayer(const MoeCase& c, const Place& place) : case_(c), place_(place) {
    layer_ = make_moe({.hidden_size = kWidth,
                       .intermediate_size = 9,
                       .activation = kernels::find_activation(c.activation),
                       .bias = c.bias},
                      c.config);
    for_each_parameter(*layer_, [&](const std::string& name, Parameter& p) {
      p.name = name;
      const Place master{wide(place.dtype), place.device};
      const Tensor value =
          tensor_of(random_values(p.shape.numel(), Rng(5).fork(name), 0.6), p.shape, master);
      p.value = p.rounds() ? value.to(place.dtype) : value;
      if (p.trainable)
        gradients_.add(p).tensor.copy_from(
            tensor_of(Values(static_cast<size_t>(p.shape.numel()), std::nan("")), p.shape, master));
      parameters_[name] = &p;
    });
  }

  Pass pass(Tape* tape = nullptr) {
    return {.tape = tape,
            .gradients = &gradients_,
            .training = case_.training,
            .router_statistics = &statistics_};
  }
  // x [N,C] in rows of kTokens.
  Var run(const Pass& pass, const Var& x) const {
    const Rows rows{.ids = {}, .sequences = Sequences::equal(x.shape()[0] / kTokens, kTokens)};
    return layer_->forward({&pass, &rows, Rng(17)}, x);
  }

  FeedForward& layer() { return *layer_; }
  std::map<std::string, Parameter*>& parameters() { return parameters_; }
  Values weights(const std::string& name) const {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? Values() : found->second->value.tensor().to_vector();
  }
  Values gradient(const std::string& name) {
    const Parameter& p = *parameters_.at(name);
    const GradBuffer* gradient = gradients_.find(p);
    return gradient != nullptr && gradient->written
               ? gradient->tensor.to_vector()
               : Values(static_cast<size_t>(p.shape.numel()), 0.0);
  }
  RouterStatistics& statistics() { return statistics_; }
  const Place& place() const { return place_; }

 private:
  MoeCase case_;
  Place place_;
  std::unique_ptr<FeedForward> layer_;
  std::map<std::string, Parameter*> parameters_;
  ParameterGradients gradients_;
  RouterStatistics statistics_;
};

inline Values moe_input() { return random_values(kBatch * kTokens * kWidth, Rng(9), 1.0); }
inline Var moe_input(const Place& place, Tape* tape) {
  const Tensor x = tensor_of(moe_input(), {kBatch * kTokens, kWidth}, place);
  return tape != nullptr ? tape->leaf(x) : Var(x);
}

// The seed of the backward: few bits.
inline Values probe() {
  Values r;
  for (int64_t i = 0; i < kBatch * kTokens * kWidth; ++i)
    r.push_back(std::round(Rng(11).normal(static_cast<uint64_t>(i)) * 8) / 8);
  return r;
}

inline double error_of(const Values& got, const Values& want) {
  if (got.size() != want.size()) return HUGE_VAL;
  double error = 0, magnitude = 0.1;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return HUGE_VAL;
    error = std::max(error, std::abs(got[i] - want[i]));
    magnitude = std::max(magnitude, std::abs(want[i]));
  }
  return error / magnitude;
}

}  // namespace lathe::testing
