#include "lathe/model/adapter/prompt_encoder.h"

#include <cmath>

#include "lathe/nn/initialize.h"
#include "lathe/ops/linear.h"

namespace lathe {

// One per file in kinds/.
PromptKind prompt_tuning();
PromptKind p_tuning();
PromptKind prefix_tuning();

std::span<const PromptKind> prompt_encoders() {
  static const PromptKind kKinds[] = {prompt_tuning(), p_tuning(), prefix_tuning()};
  return kKinds;
}

void PromptEncoder::start(const Rng& rng) {
  for_each_parameter(*this,
                     [&](const std::string& path, Parameter& p) { draw(p, rng.fork(path)); });
}

namespace {

class PlainVectors : public PromptEncoder {
 public:
  PlainVectors(int64_t rows, int64_t columns)
      : vectors_({rows, columns}, {Initializer::Kind::kNormal, 1.0}) {}
  Var vectors(const Pass& pass) const override { return pass.use(vectors_); }
  std::string_view kind() const override { return "PlainVectors"; }
  void visit(ModuleVisitor& v) override { v.parameter("prompt_embeddings", vectors_); }

 private:
  Parameter vectors_;
};

}  // namespace

std::unique_ptr<PromptEncoder> plain_vectors(int64_t rows, int64_t columns) {
  return std::make_unique<PlainVectors>(rows, columns);
}

Dense::Dense(int64_t inputs, int64_t outputs)
    : weight_({outputs, inputs},
              {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(inputs))}),
      bias_({outputs}, {Initializer::Kind::kZeros, 0}) {}

Var Dense::operator()(const Pass& pass, const Var& x) const {
  return ops::linear(x, pass.use(weight_), pass.use(bias_));
}

void Dense::visit(ModuleVisitor& v) {
  v.parameter("weight", weight_);
  v.parameter("bias", bias_);
}

}  // namespace lathe
