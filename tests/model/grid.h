// Tiny models of every combination that the catalogues allow, so that a component added to a
// catalogue is tested in all of them without a line here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/model/transformer.h"
#include "lathe/nn/attention/memory.h"

namespace lathe::testing {

struct Variant {
  Variant(std::string n, ModelConfig c) : name(std::move(n)), config(std::move(c)) {}

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
    if (e.name == "alibi")
      all[1].push_back({"alibi_falcon", [apply](ModelConfig& c) {
                          apply(c);
                          c.position.alibi = "falcon";
                        }});
    if (e.name != "rope") continue;
    all[1].push_back({"rope_partial", [apply](ModelConfig& c) {
                        apply(c);
                        c.position.partial_rotary_factor = 0.5;
                        c.position.rope_local_base_freq = 50.0;
                      }});
    all[1].push_back({"rope_yarn", [apply](ModelConfig& c) {
                        apply(c);
                        c.position.scaling.kind = "yarn";
                        c.position.scaling.factor = 3.0;
                        c.position.scaling.original_max_position_embeddings = 8;
                      }});
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
                 {"mqa", [](ModelConfig& c) { c.num_key_value_heads = 1; }},
                 {"headnorm", [](ModelConfig& c) { c.attention.qk_norm = "head"; }},
                 {"fullnorm", [](ModelConfig& c) { c.attention.qk_norm = "full"; }},
                 {"sinks", [](ModelConfig& c) { c.attention.sink_logits = true; }},
                 {"scaled", [](ModelConfig& c) {
                    c.attention.scale = 0.4;
                    c.attention.output_bias = true;
                    c.attn_logit_softcapping = 1.5;
                  }}});
  all.push_back({{"everywhere", [](ModelConfig&) {}},
                 {"window", [](ModelConfig& c) { c.sliding_window = 3; }},
                 {"alternating",
                  [](ModelConfig& c) {
                    c.sliding_window = 4;
                    c.layer_types = {"sliding_attention", "full_attention"};
                  }},
                 {"window_with_sinks",
                  [](ModelConfig& c) {
                    c.sliding_window = 2;
                    c.attention.sink_tokens = 2;
                  }},
                 {"strided",
                  [](ModelConfig& c) {
                    c.layer_types = {"strided_attention"};
                    c.attention.sparse_stride = 3;
                    c.attention.sparse_local = 2;
                  }},
                 {"fixed", [](ModelConfig& c) {
                    c.layer_types = {"fixed_attention", "full_attention"};
                    c.attention.sparse_block = 2;
                    c.attention.sparse_stride = 2;
                    c.attention.sink_tokens = 1;
                  }}});
  Dimension placements;
  for (const auto& e : norm_placements())
    placements.push_back({std::string(e.name), [e](ModelConfig& c) { c.norm.placement = e.name; }});
  for (const char* parallel : {"shared_norm", "two_norms"})
    placements.push_back({parallel, [parallel](ModelConfig& c) { c.parallel_block = parallel; }});
  all.push_back(placements);
  all.push_back(
      {{"plain", [](ModelConfig&) {}},
       {"biased", [](ModelConfig& c) { c.attention_bias = c.mlp_bias = c.norm.bias = true; }}});
  all.push_back({{"untied", [](ModelConfig&) {}},
                 {"tied", [](ModelConfig& c) { c.tie_word_embeddings = true; }},
                 {"biased_head",
                  [](ModelConfig& c) {
                    c.lm_head_bias = true;
                    c.final_logit_softcapping = 2.0;
                    c.logit_scale = 0.7;
                  }},
                 {"tied_biased_head", [](ModelConfig& c) {
                    c.tie_word_embeddings = c.lm_head_bias = true;
                    c.scale_embedding = c.norm.embedding = true;
                  }}});
  all.push_back(
      {{"final", [](ModelConfig&) {}}, {"bare", [](ModelConfig& c) { c.norm.final = false; }}});
  Dimension all_bodies;
  for (const auto& e : bodies())
    all_bodies.push_back({std::string(e.name), [e](ModelConfig& c) {
                            c.body = e.name;
                            if (e.make.encoder) c.num_encoder_layers = 1;
                            if (e.make.causal) return;
                            c.head_transform = true;
                            c.type_vocab_size = 3;
                          }});
  all.push_back(all_bodies);
  return all;
}

using Pick = std::vector<size_t>;  // one choice of each dimension

inline Variant variant_of(const std::vector<Dimension>& dims, const Pick& pick) {
  Variant v("", tiny_config());
  for (size_t d = 0; d < dims.size(); ++d) {
    v.name += (d ? "-" : "") + dims[d][pick[d]].name;
    dims[d][pick[d]].apply(v.config);
  }
  return v;
}

// Picks in which every choice meets every choice of any strength - 1 other dimensions: each begins
// with a meeting that has not been, and goes on with the choice that adds the most new ones.
class Covering {
 public:
  Covering(const std::vector<Dimension>& dims, size_t strength) : dims_(dims), strength_(strength) {
    find_refused_pairs();
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

  // Two choices that a model refuses to have together, whatever else it has, do not meet;
  // refusal_test.cc has the reasons.
  void find_refused_pairs() {
    for (size_t a = 0; a < dims_.size(); ++a)
      for (size_t b = a + 1; b < dims_.size(); ++b)
        for (size_t i = 0; i < dims_[a].size(); ++i)
          for (size_t j = 0; j < dims_[b].size(); ++j) {
            ModelConfig c = tiny_config();
            dims_[a][i].apply(c);
            dims_[b][j].apply(c);
            if (is_refused(c)) refused_.insert({{a, i}, {b, j}});
          }
  }
  static bool is_refused(const ModelConfig& c) {
    try {
      validate(c);
      return false;
    } catch (const Error&) {
      return true;
    }
  }
  bool fits(const Meeting& m) const {
    for (size_t i = 0; i < m.size(); ++i)
      for (size_t j = i + 1; j < m.size(); ++j)
        if (refused_.contains({m[i], m[j]})) return false;
    return true;
  }
  bool fits(const Pick& p, size_t d) const {
    for (size_t other = 0; other < p.size(); ++other) {
      if (other == d || p[other] == kOpen) continue;
      const size_t low = std::min(d, other), high = std::max(d, other);
      if (refused_.contains({{low, p[low]}, {high, p[high]}})) return false;
    }
    return true;
  }

  void list_meetings(size_t from, Meeting& m) {
    if (m.size() == strength_) {
      if (fits(m)) missing_.insert(m);
      return;
    }
    for (size_t d = from; d < dims_.size(); ++d) {
      for (size_t c = 0; c < dims_[d].size(); ++c) {
        m.emplace_back(d, c);
        list_meetings(d + 1, m);
        m.pop_back();
      }
    }
  }

  // The meetings among what `p` has fixed; with `must` < size only those with that dimension.
  std::vector<Meeting> meetings_of(const Pick& p, size_t must) const {
    std::vector<Meeting> out;
    Meeting m;
    const std::function<void(size_t)> extend = [&](size_t from) {
      if (m.size() == strength_) {
        const bool has = std::ranges::any_of(m, [&](const auto& x) { return x.first == must; });
        if (must == p.size() || has) out.push_back(m);
        return;
      }
      for (size_t d = from; d < p.size(); ++d) {
        if (p[d] == kOpen) continue;
        m.emplace_back(d, p[d]);
        extend(d + 1);
        m.pop_back();
      }
    };
    extend(0);
    return out;
  }

  size_t best_choice(Pick& p, size_t d, size_t round) const {
    size_t best = kOpen, most = 0;
    for (size_t i = 0; i < dims_[d].size(); ++i) {
      const size_t c = (i + round) % dims_[d].size();
      p[d] = c;
      if (!fits(p, d)) continue;
      size_t fresh = 1;
      for (const Meeting& m : meetings_of(p, d)) fresh += missing_.contains(m);
      if (fresh > most) {
        most = fresh;
        best = c;
      }
    }
    return best;
  }

  const std::vector<Dimension>& dims_;
  size_t strength_;
  std::set<Meeting> missing_, refused_;
};

// What does not combine with every choice: latent attention, experts.
inline std::vector<Variant> special_variants() {
  std::vector<Variant> all;
  const auto add = [&all](std::string name, const std::function<void(ModelConfig&)>& apply) {
    apply(all.emplace_back(std::move(name), tiny_config()).config);
  };
  const auto latent = [](ModelConfig& c) {
    c.attention.kind = "latent";
    c.attention.kv_lora_rank = 6;
    c.attention.qk_nope_head_dim = 3;
    c.attention.qk_rope_head_dim = 2;
    c.attention.v_head_dim = 5;
  };
  const auto experts = [](ModelConfig& c) {
    c.moe.num_experts = 4;
    c.moe.moe_intermediate_size = 6;
  };
  for (const char* position : {"rope", "alibi", "t5", "learned", "none"})
    add(std::string("latent-") + position, [&](ModelConfig& c) {
      latent(c);
      c.position.kind = position;
    });
  add("latent-ranked-window", [&](ModelConfig& c) {
    latent(c);
    c.attention.q_lora_rank = 7;
    c.attention_bias = true;
    c.sliding_window = 3;
    c.position.rope_layout = "interleaved";
  });
  add("latent-strided-sinks", [&](ModelConfig& c) {
    latent(c);
    c.layer_types = {"strided_attention"};
    c.attention.sparse_stride = 2;
    c.attention.sink_tokens = 1;
    c.attention.sink_logits = true;
  });
  add("experts", experts);
  add("experts-sigmoid-shared", [&](ModelConfig& c) {
    experts(c);
    c.moe.router = "sigmoid";
    c.moe.n_shared_experts = 1;
    c.moe.first_k_dense_replace = 1;
  });
  add("experts-switch-mlp", [&](ModelConfig& c) {
    experts(c);
    c.moe.router = "switch";
    c.moe.expert = "mlp";
    c.norm.placement = "post";
  });
  add("experts-latent", [&](ModelConfig& c) {
    latent(c);
    experts(c);
    c.parallel_block = "two_norms";
  });
  for (const char* body : {"encoder", "encoder_decoder", "prefix_decoder"}) {
    add(std::string("latent-") + body, [&](ModelConfig& c) {
      latent(c);
      c.body = body;
    });
    add(std::string("experts-") + body, [&](ModelConfig& c) {
      experts(c);
      c.body = body;
    });
  }
  return all;
}

// Every choice with every other (strength 2), or with every two others (strength 3).
inline std::vector<Variant> covering_variants(size_t strength) {
  const auto dims = dimensions();
  std::vector<Variant> chosen;
  for (const Pick& p : Covering(dims, strength).picks()) chosen.push_back(variant_of(dims, p));
  for (Variant& v : special_variants()) chosen.push_back(std::move(v));
  return chosen;
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

// What a model of any body reads beside `ids`, all of it following from the first token of each row
// and from the places: a text for an encoder, a prefix, kinds of tokens. Must outlive the backward.
class Context {
 public:
  static constexpr int64_t kPrefix = 2;

  Context(Transformer& model, Forward& f, const Tensor& ids,
          Recompute recompute = Recompute::kNone) {
    const Body body = model.config().body_traits();
    const int64_t rows = ids.size(0);
    if (model.config().type_vocab_size > 0) {
      f.token_types = Tensor(ids.shape(), DType::kI32);
      for (int64_t i = 0; i < ids.numel(); ++i)
        f.token_types.data<int32_t>()[i] = static_cast<int32_t>(
            i % ids.size(1) % std::min<int64_t>(2, model.config().type_vocab_size));
    }
    if (body.prefix) {
      f.prefix = Tensor({rows}, DType::kI32);
      std::ranges::fill(f.prefix.span<int32_t>(), static_cast<int32_t>(kPrefix));
    }
    if (!body.encoder) return;
    constexpr int64_t kLength = 6;
    Tensor text({rows, kLength}, DType::kI32);
    for (int64_t i = 0; i < text.numel(); ++i)
      text.data<int32_t>()[i] = static_cast<int32_t>(
          (ids.data<int32_t>()[i / kLength * ids.size(1)] + 3 * (i % kLength) + 1) % kVocabulary);
    Forward encoding = f;
    encoding.token_types = Tensor();
    memory_ = model.encode(encoding, text, recompute);
    f.memory = &memory_;
  }
  Context(const Context&) = delete;

 private:
  EncoderMemory memory_;
};

inline Tensor logits_of(Transformer& model, const Tensor& ids) {
  Forward f;
  const Context context(model, f, ids);
  return model.logits(f, model.hidden(f, ids)).value;
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
