#include "lathe/model/gguf/calibration.h"

#include "lathe/base/error.h"
#include "lathe/model/model_pass.h"
#include "lathe/nn/adapters.h"

namespace lathe {
namespace {

// Watches the inputs of all products of a pass and changes nothing.
class Watch : public Adapters {
 public:
  explicit Watch(const OnInputs& f) : f_(f) {}
  Var add_to_product(const Pass&, const Parameter& weight, const Var& x, const Var& y,
                     const Var&) const override {
    show(weight, x.value);
    return y;
  }
  void show(const Parameter& weight, const Tensor& x) const {
    f_(weight, x.to(DType::kF32).reshape({x.numel() / weight.shape[1], weight.shape[1]}));
  }

 private:
  const OnInputs& f_;
};

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

void show_inputs(Transformer& model, std::span<const int32_t> text,
                 const CalibrationOptions& options, const OnInputs& f) {
  require(!model.config().body_traits().encoder, ErrorKind::kData, "calibration",
          "a model with body \"{}\" reads two texts, and a calibration has one; give --imatrix, or "
          "neither",
          model.config().body);
  const auto window = static_cast<size_t>(model.window_of(options.window));
  require(text.size() >= window, ErrorKind::kData, "calibration",
          "the text has {} tokens, expected at least {}; give a longer one", text.size(), window);
  const Watch watch(f);
  const Parameter& output = output_matrix(model);
  for (size_t first = 0; first + window <= text.size(); first += window) {
    const IdRows part = {{text.begin() + static_cast<ptrdiff_t>(first),
                          text.begin() + static_cast<ptrdiff_t>(first + window)}};
    ModelPass pass(model, Pass{.adapters = &watch});
    watch.show(output, pass.hidden({.rows = Rows::of(part)}).value);
    if (options.progress) options.progress(static_cast<int64_t>(first + window));
  }
}

}  // namespace lathe
