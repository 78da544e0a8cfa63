// What an adapter does to one matrix of a model, and the catalogue of its kinds, one file each in
// kinds/. The same object serves training, where its tensors are on the tape, and inference.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/config/component.h"
#include "lathe/nn/module.h"
#include "lathe/nn/pass.h"

namespace lathe {

namespace ops {
struct ExpertPlan;  // ops/moe_plan.h
}

// The matrix: W [outputs, inputs] of a linear layer; of `experts` of them, one below the other; or,
// for a table of embeddings, [inputs, outputs], whose rows are looked up.
struct ModuleSite {
  std::string module;  // as transformers names it: "model.layers.0.self_attn.q_proj"
  int64_t outputs = 0, inputs = 0;
  int64_t experts = 0;  // 0: no experts
  bool is_table = false;
  // Of this module, after rank_pattern and alpha_pattern.
  int64_t rank = 8;
  double alpha = 8;
  std::string init_weights = "true";  // how the kind's tensors begin, if it has several ways
};

// ΔW = scale · B·A.
struct LowRankFactors {
  Tensor a;  // [r, inputs]
  Tensor b;  // [outputs, r]
  double scale = 1;
};

using TensorsByName = std::map<std::string, Tensor>;

// Its parameters have the names that adapter_model.safetensors has behind the module's. Functions
// record on the tape of the pass; const ones are thread-safe. Rows and columns of W are in the order
// of the file.
class ModuleAdapter : public Module {
 public:
  // A product y = x·Wᵀ + b; x [N, inputs].
  struct Product {
    const Var& x;
    DType out;               // of y
    std::function<Var()> y;  // [N, outputs], a copy
    std::function<Var()> w;  // [outputs, inputs]
    std::function<Var()> b;  // [outputs]; undefined if there is none
    Rng rng;                 // of the module, for dropout in training
  };
  // What is added to y, [N, outputs].
  virtual Var added(const Pass& pass, const Product& product) const = 0;
  // W, in the orientation of ModuleSite, with what the adapter makes of it.
  virtual Var weight(const Pass& pass, const Var& w) const = 0;
  // The same for b, which may be undefined, and so may the result.
  virtual bool changes_bias() const { return false; }
  virtual Var bias(const Pass&, const Var& b) const { return b; }
  // Of tables: what is added to the rows `ids` i32 [N], [N, outputs]. Of experts: what is added to
  // x·Wᵀ of each expert's rows.
  virtual Var added_to_lookup(const Pass& pass, const Tensor& ids) const;
  virtual Var added_to_experts(const Pass& pass, const Var& x, const ops::ExpertPlan& plan) const;

  // ΔW as two narrow matrices, one for each expert, if that is all that the adapter does; empty if it
  // is not. Of tables a [rows, r] and b [width, r], ΔW [rows, width] = scale · a·bᵀ.
  virtual std::vector<LowRankFactors> factors() const { return {}; }
  // Terms of a loss that keeps factors orthogonal, and their number.
  virtual std::vector<Var> regularization(const Pass&) const { return {}; }

  // Draws the parameters, whose memory exists, of a fresh adapter of W.
  virtual void start(const Tensor& w, const Rng& rng);
  // Tensors that all modules of an adapter share (VeRA), by their names in the file: their sizes for
  // this module, and the tensors themselves, at least as large.
  virtual std::map<std::string, Shape> shared() const { return {}; }
  virtual void share(const TensorsByName&) {}
  // What the file has of this module, by the names behind the module's.
  virtual TensorsByName saved() const;
};

// What is known of a kind before it has a module.
struct ModuleAdapterTraits {
  std::vector<std::string_view> tensors;            // that a module may have in a file, by name
  std::string_view rank_key = "r", alpha_key = {};  // empty: the kind has none
  int64_t default_rank = 8;
  double default_alpha = 8;
  bool tables = false, experts = false;  // whether it acts on them
  bool keeps_configuration = true;       // false if what is saved is another one (PiSSA)
};

using ModuleAdapterKind = Component<ModuleAdapter, ModuleSite, ModuleAdapterTraits>;
std::span<const ModuleAdapterKind> module_adapters();

template <class Class, class Config = NoConfig>
ModuleAdapterKind module_adapter(const ComponentText& text) {
  return component<ModuleAdapter, ModuleSite, Class, Config, ModuleAdapterTraits>(text);
}

// w + delta, in delta's dtype: a base may be kept in a narrower one.
Var plus(const Var& w, const Var& delta);
// a·b of matrices.
Var matmul(const Var& a, const Var& b);
// diag(factors)·w.
Var scale_rows_of(const Var& w, const Var& factors);
// A matrix of zeros with ones at (i, i mod columns) or (i mod rows, i), whichever is longer.
Tensor repeated_identity(int64_t rows, int64_t columns, DType dtype, Device device);

// Whether a name of `targets` is the module's or its end behind a dot; one that is not a plain name
// is a regular expression for the whole name.
bool names_module(std::span<const std::string> targets, std::string_view module,
                  std::string_view origin);

}  // namespace lathe
