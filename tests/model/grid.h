// Tiny models of every combination that works (model/combinations.h), so that a component added to
// a catalogue is tested in all of them without a line here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/config/read_write.h"
#include "lathe/model/combinations.h"
#include "lathe/model/model_pass.h"
#include "lathe/nn/attention/latent.h"
#include "lathe/nn/position/rope.h"

namespace lathe::testing {

struct Variant {
  Variant(std::string n, ModelConfig c) : name(std::move(n)), config(std::move(c)) {}

  std::string name;
  ModelConfig config;
};

inline constexpr int64_t kVocabulary = kTinyVocabulary;

using Pick = std::vector<size_t>;  // one choice of each dimension

inline Variant variant_of(const std::vector<Dimension>& dims, const Pick& pick) {
  Variant v("", tiny_config());
  for (size_t d = 0; d < dims.size(); ++d) {
    const Choice& choice = dims[d].choices[pick[d]];
    v.name += (d ? "-" : "") + choice.name;
    choice.apply(v.config);
  }
  return v;
}

// Picks in which every choice meets every choice of any strength - 1 other dimensions, except where
// there is no such model: each begins with a meeting that has not been, and goes on with the choice
// that adds the most new ones among those that can join.
class Covering {
 public:
  Covering(const std::vector<Dimension>& dims, size_t strength) : dims_(dims), strength_(strength) {
    Meeting m;
    list_meetings(0, m);
  }

  std::vector<Pick> picks() {
    std::vector<Pick> all;
    while (!missing_.empty()) {
      Pick p(dims_.size(), kOpen);
      for (const auto& [dimension, choice] : *missing_.begin()) p[dimension] = choice;
      for (size_t d = 0; d < dims_.size(); ++d)
        if (p[d] == kOpen) p[d] = best_choice(p, d, all.size());
      for (const Meeting& m : meetings_of(p, dims_.size())) missing_.erase(m);
      all.push_back(std::move(p));
    }
    return all;
  }

 private:
  using Meeting = std::vector<std::pair<size_t, size_t>>;  // (dimension, choice), ascending
  static constexpr size_t kOpen = ~size_t{0};

  // Whether what is chosen so far makes a model.
  bool works(const Pick& p) const {
    ModelConfig config = tiny_config();
    for (size_t d = 0; d < dims_.size(); ++d)
      if (p[d] != kOpen) dims_[d].choices[p[d]].apply(config);
    return refusal_of(config).empty();
  }

  void list_meetings(size_t from, Meeting& m) {
    if (m.size() == strength_) {
      Pick p(dims_.size(), kOpen);
      for (const auto& [dimension, choice] : m) p[dimension] = choice;
      if (works(p)) missing_.insert(m);
      return;
    }
    for (size_t d = from; d < dims_.size(); ++d) {
      for (size_t c = 0; c < dims_[d].choices.size(); ++c) {
        m.emplace_back(d, c);
        list_meetings(d + 1, m);
        m.pop_back();
      }
    }
  }

  // The meetings among what `p` has fixed; with `must` < size only those with that dimension.
  std::vector<Meeting> meetings_of(const Pick& p, size_t must) const {
    const bool has_must = must < p.size();
    std::vector<Meeting> out;
    Meeting m;
    const std::function<void(size_t)> extend = [&](size_t from) {
      if (m.size() + has_must == strength_) {
        out.push_back(m);
        if (has_must) {
          const std::pair fixed(must, p[must]);
          out.back().insert(std::ranges::lower_bound(out.back(), fixed), fixed);
        }
        return;
      }
      for (size_t d = from; d < p.size(); ++d) {
        if (p[d] == kOpen || d == must) continue;
        m.emplace_back(d, p[d]);
        extend(d + 1);
        m.pop_back();
      }
    };
    extend(0);
    return out;
  }

  size_t best_choice(Pick& p, size_t d, size_t round) const {
    size_t best = 0, most = 0;
    for (size_t i = 0; i < dims_[d].choices.size(); ++i) {
      const size_t c = (i + round) % dims_[d].choices.size();
      p[d] = c;
      size_t fresh = 1;
      for (const Meeting& m : meetings_of(p, d)) fresh += missing_.contains(m);
      if (fresh > most && works(p)) {
        most = fresh;
        best = c;
      }
    }
    return best;
  }

  const std::vector<Dimension>& dims_;
  size_t strength_;
  std::set<Meeting> missing_;
};

// Settings of the choices that are worth a model of their own.
inline std::vector<Variant> special_variants() {
  std::vector<Variant> all;
  const auto add = [&all](std::string name, const std::function<void(ModelConfig&)>& apply) {
    apply(all.emplace_back(std::move(name), tiny_config()).config);
  };
  const auto choose = [](ModelConfig& c, std::string_view name) {
    for (const Dimension& d : dimensions())
      for (const Choice& choice : d.choices)
        if (choice.name == name) choice.apply(c);
  };
  add("latent-ranked-window", [&](ModelConfig& c) {
    choose(c, "latent");
    c.attention.get<LatentConfig>().q_lora_rank = 7;
    c.attention_bias = true;
    c.sliding_window = 3;
    c.position.get<RopeConfig>().rope_layout = "interleaved";
  });
  add("latent-strided-sinks", [&](ModelConfig& c) {
    choose(c, "latent");
    c.layer_types = {"strided_attention"};
    c.attention.sparse_stride = 2;
    c.attention.sink_tokens = 1;
    c.attention.sink_logits = true;
  });
  add("experts-everywhere", [&](ModelConfig& c) {
    choose(c, "softmax_topk");
    c.moe.first_k_dense_replace = 0;
  });
  add("experts-sigmoid-shared", [&](ModelConfig& c) {
    choose(c, "sigmoid");
    c.moe.n_shared_experts = 1;
  });
  add("experts-switch-mlp", [&](ModelConfig& c) {
    choose(c, "switch");
    c.moe.first_k_dense_replace = 0;
    c.moe.expert = "mlp";
    c.norm.placement = "post";
  });
  return all;
}

// Every choice with every other (strength 2), or with every two others (strength 3).
// Several tests of a program ask for the same ones, and each process of a test for those of all: they are found once.
inline const std::vector<Variant>& covering_variants(size_t strength) {
  static std::map<size_t, std::vector<Variant>> known;
  const auto [at, is_new] = known.try_emplace(strength);
  std::vector<Variant>& chosen = at->second;
  if (!is_new) return chosen;
  const auto dims = dimensions();
  for (const Pick& p : Covering(dims, strength).picks()) chosen.push_back(variant_of(dims, p));
  for (Variant& v : special_variants()) chosen.push_back(std::move(v));
  return chosen;
}

inline std::vector<double> values_of(const Parameter& p) { return p.value.tensor().to_vector(); }

// Every parameter random, biases and gains too.
inline void randomize(Transformer& model, uint64_t seed = 1) {
  model.initialize(Rng(seed));
  for (Parameter* p : model.parameters()) {
    if (p->shape.rank() != 1) continue;
    const double centre = p->init.kind == Initializer::Kind::kOnes ? 1.0 : 0.0;
    std::vector<double> values;
    for (int64_t i = 0; i < p->shape.numel(); ++i)
      values.push_back(centre + 0.3 * Rng(seed).fork(p->name).normal(static_cast<uint64_t>(i)));
    const Tensor& value = p->value.tensor();
    value.copy_from(Tensor::of<double>(values, p->shape, value.device()));
  }
}

// Keys of a section as a recipe has them, in JSON.
template <class Section>
void set_keys(Section& section, std::string_view json) {
  read_config(section, nlohmann::ordered_json::parse(json), "test");
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

inline constexpr int64_t kPrefix = 2;

// The tokens [at, at + length) of each row of [B,T].
inline Tensor columns_of(const Tensor& rows, int64_t at, int64_t length) {
  return rows.narrow(1, at, length).clone();
}
inline Tensor flat(const Tensor& rows) { return rows.reshape({rows.numel()}); }

// What a model of any body reads beside `ids` [B,T], all of it following from the first token of
// each row and from the places: a text for an encoder, a prefix, kinds of tokens.
inline ModelInputs inputs_for(const Transformer& model, const Tensor& ids) {
  const Body body = model.config().body_traits();
  const int64_t rows = ids.size(0);
  ModelInputs inputs{.rows = Rows::of(ids)};
  if (model.config().type_vocab_size > 0) {
    inputs.rows.token_types = Tensor({ids.numel()}, DType::kI32);
    for (int64_t i = 0; i < ids.numel(); ++i)
      inputs.rows.token_types.data<int32_t>()[i] = static_cast<int32_t>(
          i % ids.size(1) % std::min<int64_t>(2, model.config().type_vocab_size));
  }
  if (body.prefix) {
    inputs.rows.prefix = Tensor({rows}, DType::kI32);
    std::ranges::fill(inputs.rows.prefix.span<int32_t>(), static_cast<int32_t>(kPrefix));
  }
  if (!body.encoder) return inputs;
  constexpr int64_t kLength = 6;
  Tensor text({rows, kLength}, DType::kI32);
  for (int64_t i = 0; i < text.numel(); ++i)
    text.data<int32_t>()[i] = static_cast<int32_t>(
        (ids.data<int32_t>()[i / kLength * ids.size(1)] + 3 * (i % kLength) + 1) % kVocabulary);
  inputs.text = Rows::of(text);
  return inputs;
}

// [N,V].
inline Tensor logits_of(const Transformer& model, const ModelInputs& inputs) {
  ModelPass pass(model, {});
  return pass.logits(pass.hidden(inputs)).value;
}
// [B,T,V].
inline Tensor logits_of(const Transformer& model, const Tensor& ids) {
  const Tensor logits = logits_of(model, inputs_for(model, ids));
  return logits.reshape({ids.size(0), ids.size(1), logits.size(1)});
}

inline double largest_magnitude(const Tensor& t) {
  double largest = 0;
  for (const double x : t.to_vector()) largest = std::max(largest, std::abs(x));
  return largest;
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
