// Conversions of small models for their tests.
#pragma once

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/model/convert/conversion.h"
#include "model/grid.h"

namespace lathe::testing {
inline std::unique_ptr<Transformer> model_of(const ModelConfig& c) {
  return make_model(c, DType::kF32, Device::kCpu);
}

inline Parameter& parameter(Transformer& model, const std::string& name) {
  for (Parameter* p : model.parameters())
    if (p->name == name) return *p;
  throw std::runtime_error("no parameter " + name);
}

// Two models of the same values.
inline std::unique_ptr<Transformer> copy_of(Transformer& model) {
  auto copy = std::make_unique<Transformer>(model.config());
  copy->allocate(DType::kF32);
  for (Parameter* p : copy->parameters())
    p->value.tensor().copy_from(parameter(model, p->name).value.tensor());
  return copy;
}

inline std::unique_ptr<Transformer> converted(Transformer& model,
                                              const ConversionOptions& options) {
  return convert(copy_of(model), options);
}

inline std::string refusal(const ModelConfig& c, const ConversionOptions& options) {
  return error_text([&] { converted_config(c, options); });
}

inline void expect_equal_logits(Transformer& a, Transformer& b, double tolerance = 1e-6) {
  const Tensor x = logits_of(a, some_ids(2, 9)), y = logits_of(b, some_ids(2, 9));
  EXPECT_LE(largest_difference(x, y), tolerance * std::max(1.0, largest_magnitude(x)));
}

inline ModelConfig llama_like() {
  ModelConfig c = tiny_config();
  c.model_type = "llama";
  return c;
}

}  // namespace lathe::testing
