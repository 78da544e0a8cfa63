// Tiny models of every combination that the catalogues allow, so that a component added to a
// catalogue is tested in all of them without a line here.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/model/transformer.h"

namespace lathe::testing {

struct Variant {
  std::string name;
  ModelConfig config;
};

struct Choice {
  std::string name;
  std::function<void(ModelConfig&)> apply;
};
using Dimension = std::vector<Choice>;

inline constexpr int64_t kVocabulary = 13;

inline ModelConfig tiny_config() {
  ModelConfig c;
  c.model_type = "lathe";
  c.vocab_size = kVocabulary;
  c.hidden_size = 16;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.intermediate_size = 12;
  c.max_position_embeddings = 24;
  c.initializer_range = 0.3;  // large enough for every path to matter
  return c;
}

inline std::vector<Dimension> dimensions() {
  std::vector<Dimension> all(3);
  for (const auto& e : norms())
    all[0].push_back({std::string(e.name), [e](ModelConfig& c) { c.norm.kind = e.name; }});
  for (const auto& e : positions()) {
    const auto apply = [e](ModelConfig& c) { c.position.kind = e.name; };
    all[1].push_back({std::string(e.name), apply});
    if (e.name != "rope") continue;
    all[1].push_back({"rope_interleaved", [apply](ModelConfig& c) {
                        apply(c);
                        c.position.rope_layout = "interleaved";
                      }});
  }
  for (const auto& e : feed_forwards())
    all[2].push_back({std::string(e.name), [e](ModelConfig& c) { c.ffn.kind = e.name; }});
  Dimension activations;
  for (const std::string& name : kernels::activation_names())
    activations.push_back({name, [name](ModelConfig& c) { c.hidden_act = name; }});
  all.push_back(activations);
  all.push_back({{"mha", [](ModelConfig&) {}},
                 {"gqa", [](ModelConfig& c) { c.num_key_value_heads = 2; }},
                 {"mqa", [](ModelConfig& c) { c.num_key_value_heads = 1; }}});
  all.push_back(
      {{"pre", [](ModelConfig&) {}}, {"post", [](ModelConfig& c) { c.norm.placement = "post"; }}});
  all.push_back(
      {{"plain", [](ModelConfig&) {}},
       {"biased", [](ModelConfig& c) { c.attention_bias = c.mlp_bias = c.norm.bias = true; }}});
  all.push_back({{"untied", [](ModelConfig&) {}},
                 {"tied", [](ModelConfig& c) { c.tie_word_embeddings = true; }}});
  all.push_back(
      {{"final", [](ModelConfig&) {}}, {"bare", [](ModelConfig& c) { c.norm.final = false; }}});
  return all;
}

using Pick = std::vector<size_t>;  // one choice of each dimension

inline std::vector<Pick> every_pick(const std::vector<Dimension>& dims) {
  std::vector<Pick> picks{{}};
  for (const Dimension& d : dims) {
    std::vector<Pick> longer;
    for (const Pick& p : picks) {
      for (size_t i = 0; i < d.size(); ++i) {
        longer.push_back(p);
        longer.back().push_back(i);
      }
    }
    picks = std::move(longer);
  }
  return picks;
}

inline Variant variant_of(const std::vector<Dimension>& dims, const Pick& pick) {
  Variant v{"", tiny_config()};
  for (size_t d = 0; d < dims.size(); ++d) {
    v.name += (d ? "-" : "") + dims[d][pick[d]].name;
    dims[d][pick[d]].apply(v.config);
  }
  return v;
}

inline std::vector<Variant> every_variant() {
  const auto dims = dimensions();
  std::vector<Variant> all;
  for (const Pick& p : every_pick(dims)) all.push_back(variant_of(dims, p));
  return all;
}

// A few dozen variants in which every choice meets every choice of any two other dimensions: in
// each round the candidate with the most triples that were not there yet.
inline std::vector<Variant> covering_variants() {
  const auto dims = dimensions();
  constexpr size_t kMost = 8;  // choices in one dimension
  const size_t n = dims.size();
  std::vector<bool> seen(n * n * n * kMost * kMost * kMost);
  const auto for_each_triple = [n](const Pick& p, auto&& f) {
    for (size_t a = 0; a < n; ++a)
      for (size_t b = a + 1; b < n; ++b)
        for (size_t c = b + 1; c < n; ++c)
          f(((((a * n + b) * n + c) * kMost + p[a]) * kMost + p[b]) * kMost + p[c]);
  };
  const auto candidates = every_pick(dims);
  std::vector<Variant> chosen;
  for (;;) {
    size_t best = 0, most = 0;
    // Only every seventh candidate while there is much to gain: the choice need not be optimal.
    const size_t stride = chosen.size() < 30 ? 7 : 1;
    for (size_t i = chosen.size() % stride; i < candidates.size(); i += stride) {
      size_t fresh = 0;
      for_each_triple(candidates[i], [&](size_t t) { fresh += !seen[t]; });
      if (fresh > most) {
        most = fresh;
        best = i;
      }
    }
    if (most == 0) return chosen;
    for_each_triple(candidates[best], [&](size_t t) { seen[t] = true; });
    chosen.push_back(variant_of(dims, candidates[best]));
  }
}

// Every parameter random, biases and gains too.
inline void randomize(Transformer& model, uint64_t seed = 1) {
  model.initialize(Rng(seed));
  for (Parameter* p : model.parameters()) {
    if (p->shape.rank() != 1) continue;
    const double centre = p->init.kind == Initializer::Kind::kOnes ? 1.0 : 0.0;
    std::vector<double> values;
    for (int64_t i = 0; i < p->value.numel(); ++i)
      values.push_back(centre + 0.3 * Rng(seed).fork(p->name).normal(static_cast<uint64_t>(i)));
    p->value.copy_from(Tensor::of<double>(values, p->shape, p->value.device()));
  }
}

inline std::unique_ptr<Transformer> make_model(const ModelConfig& config, DType dtype,
                                               Device device) {
  auto model = std::make_unique<Transformer>(config);
  model->allocate(dtype, device);
  randomize(*model);
  return model;
}

inline Tensor some_ids(int64_t batch, int64_t tokens, int64_t vocabulary = kVocabulary) {
  Tensor ids({batch, tokens}, DType::kI32);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.data<int32_t>()[i] = static_cast<int32_t>(
        Rng(17).below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary)));
  return ids;
}

inline Tensor logits_of(Transformer& model, const Tensor& ids) {
  const Forward f;
  return model.logits(f, model.hidden(f, ids)).value;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  if (x.size() != y.size()) return HUGE_VAL;
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) return HUGE_VAL;
    largest = std::max(largest, std::abs(x[i] - y[i]));
  }
  return largest;
}

}  // namespace lathe::testing
