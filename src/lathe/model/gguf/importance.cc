#include "lathe/model/gguf/importance.h"

#include "lathe/base/error.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/model_pass.h"
#include "lathe/nn/adapters.h"

namespace lathe {
namespace {

// Watches the inputs of all products of a pass and changes nothing.
class InputSquares : public Adapters {
 public:
  struct Sum {
    std::vector<double> squares;
    int64_t rows = 0;
  };

  Var add_to_product(const Pass&, const Parameter& weight, const Var& x,
                     const Var& y) const override {
    add(weight, x.value);
    return y;
  }
  Var add_to_expert_product(const Pass&, const Parameter&, const Var&, const Var& y,
                            const ops::ExpertPlan&) const override {
    return y;
  }
  Var add_to_weight(const Pass&, const Parameter&, const Var& w, size_t) const override {
    return w;
  }

  void add(const Parameter& weight, const Tensor& input) const {
    const int64_t columns = weight.shape[1];
    const Tensor x = input.to(DType::kF32);
    Sum& sum = sums_[&weight];
    sum.squares.resize(static_cast<size_t>(columns));
    for (int64_t row = 0; row < x.numel() / columns; ++row) {
      const float* values = x.data<float>() + row * columns;
      for (int64_t c = 0; c < columns; ++c)
        sum.squares[static_cast<size_t>(c)] += double{values[c]} * double{values[c]};
    }
    sum.rows += x.numel() / columns;
  }

  const Sum* find(const Parameter& weight) const {
    const auto at = sums_.find(&weight);
    return at == sums_.end() ? nullptr : &at->second;
  }

 private:
  mutable std::map<const Parameter*, Sum> sums_;  // a pass belongs to one thread
};

std::vector<float> means(const InputSquares::Sum& sum) {
  std::vector<float> out;
  for (const double squares : sum.squares)
    out.push_back(static_cast<float>(squares / static_cast<double>(sum.rows)));
  return out;
}

// The matrix that makes logits.
const Parameter& output_matrix(Transformer& model) {
  const Parameter* table = nullptr;
  for (const Parameter* p : model.parameters()) {
    if (p->name == "head.weight") return *p;
    if (p->name == "embedding.weight") table = p;
  }
  return *table;
}

}  // namespace

std::span<const float> importance_of(const Importances* all, const std::string& name) {
  if (all == nullptr) return {};
  const auto found = all->find(name);
  return found == all->end() ? std::span<const float>() : found->second;
}

Importances calibrate(Transformer& model, std::span<const int32_t> text,
                      const CalibrationOptions& options) {
  const auto window = static_cast<size_t>(model.window_of(options.window));
  require(text.size() >= window, ErrorKind::kData, "calibration",
          "the text has {} tokens, expected at least {}; give a longer one", text.size(), window);
  const auto tensors = map_weights(model, gguf_architecture_of(family_for(model.config())));
  InputSquares inputs;
  const Parameter& output = output_matrix(model);
  for (size_t first = 0; first + window <= text.size(); first += window) {
    const IdRows part = {{text.begin() + static_cast<ptrdiff_t>(first),
                          text.begin() + static_cast<ptrdiff_t>(first + window)}};
    ModelPass pass(model, Pass{.adapters = &inputs});
    inputs.add(output, pass.hidden({.rows = Rows::of(part)}).value);
    if (options.progress) options.progress(static_cast<int64_t>(first + window));
  }
  Importances out;
  for (const DiskTensor& t : tensors)
    if (const auto* sum = inputs.find(*t.pieces.front().parameter);
        sum != nullptr && t.shape.rank() == 2)
      out[t.name] = means(*sum);
  return out;
}

}  // namespace lathe
